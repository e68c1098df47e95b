#!/usr/bin/env bash
# Options of `cameo compile` that shape the result: names, the embedding, dimensions, batch, labels,
# dumps, generated C kept.
. "$(dirname "$0")/common.bash"
cd "$scratch"
status=0
check() { # WHAT COMMAND...
  local what=$1
  shift
  if "$@" >out 2>&1; then echo "ok   $what"; else echo "FAIL $what: $*"; head -20 out; status=1; fi
}
has() { grep -q -- "$1" "$2"; }
lacks() { ! grep -q -- "$1" "$2"; }
"$CAMEO" new mobilenet-v1 --width 0.25 --input 3x32x32 --classes 7 -o net.onnx 2>log

echo "-- --dump-after"
for pass in import resolve infer embedding fold simplify batch fuse layout select schedule plan; do
  "$CAMEO" compile net.onnx --dump-after $pass --emit c -o c >dump-$pass
  check "$pass" test -s dump-$pass
done
check "BatchNormalization is there before fuse" has BatchNormalization dump-batch
check "and gone after it" lacks BatchNormalization dump-fuse
check "kernels are known after select" \
  test "$(grep -c direct-conv dump-fuse)" -lt "$(grep -c direct-conv dump-select)"
"$CAMEO" info net.onnx --dump-after infer >dump-info
check "info dumps the same" has "$(sed -n 3p dump-infer | tr '[]*' '...')" dump-info
"$CAMEO" compile net.onnx --dump-after lunch -o x 2>err &&
  { echo "FAIL an unknown pass"; status=1; }
check "an unknown pass is told what there is" has "known: import resolve" err

echo "-- --keep-c and --name"
"$CAMEO" compile net.onnx --keep-c kept --name my-net -o program
"$CAMEO" compile net.onnx --emit c --name my-net -o emitted
check "--keep-c and --emit c write the same" diff -r kept emitted
check "names begin with the prefix" has "^const cameo_model my_net_model" kept/model.c
check "the header's too" \
  has "static inline int my_net_run(my_net \*context, size_t count" kept/model.h
check "macros too" has "#define MY_NET_INPUT_0_DIM_1 3" kept/model.h
strict=(-O1 -Wall -Wextra -Wconversion -Wshadow -Werror)
check "the header has no warning" \
  ${CC:-cc} -I "$SOURCE/runtime" "${strict[@]}" -Wpedantic -x c -c -o header.o kept/model.h
for cc in gcc clang; do
  check "$cc has no warning about the kept C" \
    $cc -I "$SOURCE/runtime" -I kept -march=native "${strict[@]}" -c -o kept.o kept/model.c
done
# every name that another file can see begins with the prefix
nm -g --defined-only kept.o | awk '{ print $3 }' | grep -v '^my_net_\|^__' >foreign-names || true
check "no other name is visible" test ! -s foreign-names
check "the program is called so" has "my_net" <(./program --version)
for name in int cameo main 7up; do
  "$CAMEO" compile net.onnx --emit c --name $name -o odd
  check "--name $name: the header" \
    ${CC:-cc} -I "$SOURCE/runtime" -Werror -x c -fsyntax-only odd/model.h
  check "--name $name: the code" \
    ${CC:-cc} -I "$SOURCE/runtime" -I odd -march=native -fsyntax-only odd/model.c
done

echo "-- --embedding"
for k in 1 2; do
  awk -v k=$k 'BEGIN { print "P3\n32 32\n255"; for (i = 0; i < 3072; i++) print (i * k) % 256 }' \
    >$k.ppm
done
# Of an .npy.
shape() { head -c 120 "$1" | tail -c +11 | tr -d '\n' | sed "s/.*'shape': (\([^)]*\)).*/\1/"; }
value() { sed -n "s/.*\"$2\": *\"\{0,1\}\([^\",}]*\).*/\1/p" <<<"$1"; }      # of a key in JSON
./program embed 1.ppm 2.ppm -o e.npy
check "what the model says by default" test "$(shape e.npy)" = "2, 256"
"$CAMEO" compile net.onnx --embedding logits --name net -o logits
./logits embed 1.ppm 2.ppm -o l.npy
check "the output on demand" test "$(shape l.npy)" = "2, 7"
check "the rule is told" has '"--embedding"' <(./logits info --json)
inner=$(grep -o '^  %[^ :]*:' dump-batch | tr -d ' %:' | sed -n 5p)
check "there is an inner tensor to choose" test -n "$inner"
"$CAMEO" compile net.onnx --embedding "$inner" --name net -o inner
info=$(./inner info --json)
check "an inner tensor is told" \
  test "$(value "$info" embedding) by $(value "$info" embedding_rule)" = "$inner by --embedding"
./inner embed 1.ppm 2.ppm -o i.npy
length=$(grep -o "%$inner:float32[^ ]*" dump-batch | head -1 | tr -dc '0-9x\n' |
  sed 's/.*32\(1x\)/\1/' | awk -Fx '{ print $2 * $3 * $4 }')
check "it is of another length" test "$(shape i.npy)" = "2, $length"
"$CAMEO" compile net.onnx --embedding nothing -o x 2>err && status=1
check "no such tensor" has 'no computed tensor is named "nothing"' err

echo "-- --preprocess"
for spec in "colour=rgb" "size=112x112" "color=gray" "mean=1,2" "resize=16 crop=32x32"; do
  "$CAMEO" compile net.onnx --preprocess "$spec" -o x 2>err &&
    { echo "FAIL --preprocess \"$spec\" was taken"; status=1; }
  check "\"$spec\" is refused before compiling" has "^net.onnx: --preprocess: " err
done
"$CAMEO" compile net.onnx --preprocess "mean=127.5 scale=1/127.5 color=bgr" --name net -o bgr
check "a good one is kept" has '"mean=127.5 scale=1/127.5 color=bgr"' <(./bgr info --json)

echo "-- the number of parameters"
"$CAMEO" new mobilenet-v2 -o v2.onnx 2>log-v2
parameters() { value "$("$@" --json)" parameters; }
check "as published for MobileNet-V2" test "$(parameters "$CAMEO" info v2.onnx)" = 3504872
made=$(sed -n 's/.* \([0-9]*\) parameters.*/\1/p' log)
check "new, info and the program agree" \
  test "$made $made" = "$(parameters "$CAMEO" info net.onnx) $(parameters ./program info)"

echo "-- --batch and --labels"
printf 'zero\none\ntwo "quoted"\n' >names
"$CAMEO" compile net.onnx --batch 5 --labels names --name net -o five
check "the batch is told" test "$(value "$(./five info --json)" batch)" = 5
./five embed 1.ppm 2.ppm -o b.npy
check "the same bits at another batch" cmp e.npy b.npy
./five classify 1.ppm --top 7 >classes
check "names of classes" has '  2  two "quoted"' classes
"$CAMEO" compile net.onnx --labels nowhere -o x 2>err && status=1
check "no such file of labels" has "nowhere: No such file" err

echo "-- --dim and --shape"
if [ -d "$DATA/models" ]; then
  model=$DATA/models/mobilefacenet-dynamic-batch.onnx
  dimension=$("$CAMEO" info "$model" --dump-after import |
    sed -n 's/.*\[\([a-z_]*\),3,112,112\].*/\1/p' | head -1)
  "$CAMEO" info "$model" --shape input=6x3x112x112 --json >info
  check "--shape" has '"shape":\[6,3,112,112\]' info
  "$CAMEO" info "$model" --dim "${dimension:-batch}=4" --json >info
  check "--dim" has '"shape":\[4,3,112,112\]' info
  model=$DATA/models/mobilenetv3-paddle-opset10.onnx
  "$CAMEO" compile "$model" -o x 2>err && status=1
  check "what is not pinned is told" has "--shape\|--dim" err
  "$CAMEO" compile "$model" --shape x=1x3x48x192 --kernels plain -o shaped
  check "--shape of a program" has '1,3,48,192' <(./shaped info --json | tr -d ' ')
else echo "left out: no models under ../shared/data or \$CAMEO_DATA"; fi
exit $status
