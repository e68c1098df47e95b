#!/usr/bin/env bash
# With --kernels xnnpack at least 95 % of the multiply-adds run in XNNPACK, for every family of architectures.
. "$(dirname "$0")/common.bash"
status=0
for arch in alexnet vgg11 resnet18 resnet50 densenet121 mobilenet-v1 mobilenet-v2 mobilefacenet iresnet18 sphereface20; do
  "$CAMEO" new "$arch" -o "$scratch/net.onnx" 2>"$scratch/log"
  "$CAMEO" compile "$scratch/net.onnx" --kernels xnnpack -o "$scratch/net"
  "$scratch/net" profile --runs 1 --json | tr '{' '\n' | awk -v arch="$arch" '
    match($0, /"kernel": *"[^"]*"/) { kernel = substr($0, RSTART, RLENGTH); sub(/.*: *"/, "", kernel)
      match($0, /"macs": *[0-9.e+]+/); macs = substr($0, RSTART, RLENGTH); sub(/.*: */, "", macs)
      total += macs; if (kernel ~ /^xnn/) xnn += macs }
    END { share = total ? xnn / total : 0; printf "%-14s %.2f %%\n", arch, 100 * share; exit !(share >= 0.95) }' || status=1
done
exit $status
