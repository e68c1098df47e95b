#!/usr/bin/env bash
# Every architecture of `cameo new` gives the bytes its golden file was made from; the small ones are compiled as well, with both
# kernel choices, and agree with ONNX Runtime's stored outputs. ARCHITECTURES=all compiles every one.
. "$(dirname "$0")/common.bash"
check=$SOURCE/tests/golden/check.sh
bash "$check" "$CAMEO" -m
small=(alexnet vgg11 resnet18 resnet50 densenet121 mobilenet-v1 mobilenet-v2 mobilefacenet iresnet18 sphereface20)
[ "${ARCHITECTURES:-}" != all ] || small=()
for kernels in auto xnnpack native; do
  echo "-- kernels: $kernels"
  bash "$check" "$CAMEO" -c "--kernels $kernels" "${small[@]}"
done
