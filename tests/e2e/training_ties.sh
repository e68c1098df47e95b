#!/usr/bin/env bash
# Nets whose equal tensors an exporter has tied train as the untied ones do: a net of the training
# goldens tied in four ways has the gradients, running statistics and losses that PyTorch has for
# the untied one, and small nets exported by PyTorch with their ties train as in PyTorch.
# CAMEO_TIES=all takes all nets of both kinds (an hour of one core).
. "$(dirname "$0")/common.bash"
check="$SOURCE/tests/golden/check_training.sh"
golden="$SOURCE/tests/golden"
fail() { echo "FAIL $*"; exit 1; }
tied=(mobilenet-v1-adam)
small=(ties/plain-direct ties/plain-training12 ties/siamese ties/slopes-training
  ties/arcface-torch26)
if [ "${CAMEO_TIES:-}" = all ]; then
  tied=()
  mapfile -t small < <(cd "$golden" && ls ties/*.txt | sed 's,\.txt$,,')
fi
ways=(direct chain)
[ "${CAMEO_TIES:-}" != all ] || ways=(direct identity chain both)
for way in "${ways[@]}"; do
  "$check" "$CAMEO" "$SOURCE" -t "$way" "${tied[@]}"
done
export LAST_OPTIONS=-O1 # what follows is about ties; the loop above shares objects with the goldens
"$check" "$CAMEO" "$SOURCE" "${small[@]}"

# What counts is the same however a model is stored, and training form is said where it is not
# wanted.
cd "$scratch"
parameters() { "$CAMEO" info "$golden/ties/$1.onnx" 2>err | sed -n 's/^parameters *//p'; }
for net in plain plain-direct plain-training12; do
  [ "$(parameters $net)" = 860 ] || fail "$net has $(parameters $net) parameters"
done
parameters plain-training12 >count
grep -q "as in evaluation" err || fail "training form is not said: $(cat err)"

# The plan says what is shared and what is apart, and a stopped run goes on to the same bytes.
${CC:-cc} -O2 "$SOURCE/examples/synthetic_faces/synthetic_faces.c" -o faces -lm
./faces data 4 8 24 >log
"$CAMEO" compile "$golden/ties/plain-direct.onnx" --train --batch 8 \
  --preprocess "size=8x8 color=rgb mean=127.5 scale=1/127.5" -o net 2>log ||
  { cat log; fail "compile --train"; }
./net train --data data/train --epochs 2 --lr 0.05 --schedule constant -o whole >log
grep -q "^apart      8 tensors that the model file holds as 2" log ||
  { cat log; fail "the plan says nothing of ties"; }
./net train --data data/train --epochs 1 --lr 0.05 --schedule constant -o cut >log
./net train --resume --epochs 2 -o cut >log
"$CAMEO" info whole/last.onnx 2>err | grep -q "^parameters *860" ||
  fail "the checkpoint holds other parameters"
./net export --from whole/last.onnx -o whole.onnx 2>log
./net export --from cut/last.onnx -o cut.onnx 2>log
cmp whole.onnx cut.onnx
"$CAMEO" check whole.onnx >log
