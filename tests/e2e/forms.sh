#!/usr/bin/env bash
# Models in the forms that other tools write (tests/forms, made by tests/oracle/make_forms.py) give
# what ONNX Runtime gives; symbols, uint8 pictures and files of class names work as people expect.
. "$(dirname "$0")/common.bash"
cd "$scratch"
status=0
forms=$SOURCE/tests/forms
fail() { echo "FAIL $*"; status=1; }
has() { grep -qF -- "$1" "$2" || { cat "$2"; fail "\"$1\" is not in $2"; }; }

KEPT=none "$CAMEO" conform --json "$forms" >conform 2>log ||
  { grep -v '"result":"pass"' conform; fail "conform"; }
[ "$(grep -c '"result":"pass"' conform)" -eq "$(find "$forms" -mindepth 1 -maxdepth 1 | wc -l)" ] ||
  fail "not every form is run"
if grep '"reference":"fail"' conform; then fail "the interpreter"; fi

# Symbols: told by name; bound by --dim though the output is declared for another size.
"$CAMEO" info "$forms/symbols/model.onnx" >info || fail "info: exit $?"
has 'Nx3x?hx?w' info
has 'unknown: --dim NAME=N' info
"$CAMEO" info "$forms/symbols/model.onnx" --json >info.json || fail "info --json: exit $?"
has '"shape":["N",3,"?h","?w"]' info.json
has '"parameters":108' info.json
has '"macs":null' info.json
expect 1 '--dim ?h=N' "$CAMEO" check "$forms/symbols/model.onnx"
expect 0 ': ok' "$CAMEO" check "$forms/symbols/model.onnx" --dim '?h=32' --dim '?w=32'
[ ! -s err ] || { cat err; fail "--dim: a warning of a declaration that was for other extents"; }
"$CAMEO" info "$forms/symbols/model.onnx" --dim '?h=32' --dim '?w=32' --json >bound.json
has '"shape":[450,2]' bound.json
"$CAMEO" check "$forms/stale-rank/model.onnx" 2>err >out || fail "a stale declaration is an error"
has 'declared 2x12x1x1 but computes 2x12' err
"$CAMEO" check "$forms/align-corners-linear-1.5/model.onnx" 2>err >out ||
  fail "a fractional extent is an error"
has 'align_corners with a fractional extent (5 x 1.5)' err

# uint8 pictures: the pixels go in as they are. The picture of a form's own input gives what `run`
# makes of that input.
{ printf 'P6 8 8 255\n'; tail -c 192 "$forms/uint8-nhwc/test_data_set_0/input_0.pb"; } >x.ppm
{ printf 'P6 8 8 255\n'; head -c 192 /dev/zero | tr '\0' '\144'; } >grey.ppm
for form in nhwc nchw; do
  model=$forms/uint8-$form/model.onnx
  expect 2 '--preprocess "color=rgb"  ' "$CAMEO" run "$model" embed x.ppm -o x.npy
  "$CAMEO" compile "$model" --preprocess "color=rgb" -o "$form"
  "./$form" run --input "$forms/uint8-$form/test_data_set_0/input_0.pb" --output "out_$form"
  "./$form" embed x.ppm grey.ppm -o "$form.npy"
  cmp <(tail -c 16 "out_$form/output_0.npy") <(tail -c 32 "$form.npy" | head -c 16) ||
    fail "$form: embed is not run"
  "./$form" verify x.ppm x.ppm >verify && has 'cosine 1' verify
  printf 'x.ppm grey.ppm 0\nx.ppm x.ppm 1\n' >pairs
  "./$form" score pairs --tta flip-sum -o "score_$form" >log || fail "$form: score"
  "./$form" classify x.ppm >classified && has 'x.ppm' classified
  expect 1 'mean=0 and scale=1 are all that fits' \
    "$CAMEO" compile "$model" --preprocess "mean=127.5" -o no
done
cmp nhwc.npy nchw.npy || fail "the orders differ"
expect 1 'input "x" is uint8; training augments pictures as float32' \
  "$CAMEO" compile "$model" --train -o no

# Class names: an empty line would shift all behind it.
printf 'a\n\nc\nd\n' >gap
printf 'a\nb\nc\nd\n\n' >good
printf 'a\nb\nc\n' >short
expect 1 'gap: line 2 is empty' \
  "$CAMEO" compile "$model" --preprocess "color=rgb" --labels gap -o no
expect 1 'gap: line 2 is empty' ./nchw classify x.ppm --labels gap
expect 1 'short: names 3 classes, but the network has 4' ./nchw classify x.ppm --labels short
"$CAMEO" compile "$model" --preprocess "color=rgb" --labels good -o named
./named classify x.ppm >by_model
./nchw classify x.ppm --labels good >by_file
cmp by_model by_file || fail "the names differ"
sed -n 's/^ .* //p' by_model | sort | tr -d '\n' | grep -qx abcd ||
  { cat by_model; fail "the names are not a b c d"; }
"$CAMEO" compile "$model" --preprocess "color=rgb" --labels short -o named 2>err &&
  has 'names 3 classes' err
exit $status
