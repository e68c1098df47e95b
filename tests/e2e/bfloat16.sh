#!/usr/bin/env bash
# --bfloat16: fully connected layers that are read from memory get rounded weights, half as many
# bytes; what comes out differs by the rounding only, and not with the batch.
. "$(dirname "$0")/common.bash"
cd "$scratch"
status=0
fail() { echo "FAIL $*"; status=1; }
"$CAMEO" new vgg11-bn --width 0.25 --input 3x32x32 --classes 301 --statistics random -o net.onnx 2>log
for form in whole half half3; do
  mkdir $form
  case $form in whole) options=() ;; half) options=(--bfloat16) ;; half3) options=(--bfloat16 --batch 3) ;; esac
  "$CAMEO" compile net.onnx "${options[@]}" --weights sidecar -o $form/net
done
kernels() { ./"$1"/net profile --runs 1 --json | grep -o '"kernel": "gemm[^"]*"' | sort | uniq -c | tr -s ' \n' ' '; }
case "$(kernels whole)" in *bfloat16*) fail "rounded without --bfloat16" ;; esac
[ "$(kernels half)" = ' 3 "kernel": "gemm-bfloat16" ' ] || fail "kernels: $(kernels half)"
[ "$(kernels half3)" = "$(kernels half)" ] || fail "the batch decides: $(kernels half3)"
saved=$(($(stat -c %s whole/net.weights) - $(stat -c %s half/net.weights)))
weights=$(((6272 * 1024 + 1024 * 1024 + 1024 * 301) * 2)) # 2 bytes each; the last layer's are padded to whole blocks
[ $saved -gt $((weights - weights / 50)) ] && [ $saved -lt $((weights + weights / 50)) ] || fail "$saved bytes saved, not about $weights"
"$CAMEO" compare net.onnx --bfloat16 --rtol 0.01 >log || { cat log; fail "compare"; }
if "$CAMEO" compare net.onnx --bfloat16 --rtol 1e-5 >log; then fail "nothing was rounded"; fi
"$TOOLS/example_numbers" draw 3x32x32 a.npy b.npy
for k in a b; do ./half/net run --input $k.npy --output $k >log; ./half3/net run --input $k.npy --output three-$k >log; done
for k in a b; do cmp $k/output_0.npy three-$k/output_0.npy || fail "one image of three: other bits"; done
if "$CAMEO" compile net.onnx --train --bfloat16 -o x 2>err; then fail "trains rounded weights"; fi
grep -q "do not train" err || fail "no reason: $(cat err)"
exit $status
