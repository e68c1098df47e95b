#!/usr/bin/env bash
# Every externally trained float32 model agrees with its reference outputs; the int8 ones are refused with a precise listing.
. "$(dirname "$0")/common.bash"
need_data models
status=0
for model in "$DATA"/models/*.onnx; do
  name=$(basename "$model" .onnx)
  case $name in
  *int8* | *qdq*)
    if "$CAMEO" check "$model" >"$scratch/out" 2>&1; then echo "FAIL $name: accepted"; status=1
    elif ! grep -q 'not supported yet' "$scratch/out"; then echo "FAIL $name: no listing"; cat "$scratch/out"; status=1
    else echo "refused, as it should be: $name"; fi
    continue ;;
  esac
  extra=()
  case $name in mobilenetv3-paddle*) extra=(--shape x=1x3x48x192) ;; esac # its height and width are symbolic
  echo "$name"
  if ! "$CAMEO" compile "$model" "${extra[@]}" -o "$scratch/net"; then echo "FAIL $name: does not compile"; status=1; continue; fi
  "$TOOLS/model_reference" "$scratch/net" "$DATA/models/$name" 1e-4 || { echo "FAIL $name"; status=1; }
done
exit $status
