#!/usr/bin/env bash
# Every externally trained float32 model agrees with its reference outputs; the int8 ones are
# refused with a precise listing.
. "$(dirname "$0")/common.bash"
need_data models
status=0
fail() { echo "FAIL $name: $*"; status=1; }
for model in "$DATA"/models/*.onnx; do
  name=$(basename "$model" .onnx)
  case $name in
  *int8* | *qdq*)
    if "$CAMEO" check "$model" >"$scratch/out" 2>&1; then fail "accepted"
    elif ! grep -q 'not supported yet' "$scratch/out"; then fail "no listing"; cat "$scratch/out"
    else echo "refused, as it should be: $name"; fi
    continue ;;
  esac
  extra=()
  # Its height and width are symbolic.
  case $name in mobilenetv3-paddle*) extra=(--shape x=1x3x48x192) ;; esac
  echo "$name"
  "$CAMEO" compile "$model" "${extra[@]}" -o "$scratch/net" ||
    { fail "does not compile"; continue; }
  "$TOOLS/model_reference" "$scratch/net" "$DATA/models/$name" 1e-4 || fail "other numbers"
done
exit $status
