#!/usr/bin/env bash
# --tune times every kernel that fits and keeps the times; --tuning replays them; both refuse what
# they cannot use, and leave nothing.
. "$(dirname "$0")/common.bash"
cd "$scratch"
export TMPDIR=$scratch/tmp
mkdir tmp
status=0
fail() { echo "FAIL $*"; status=1; }
"$CAMEO" new resnet18 --width 0.25 --input 3x56x56 --classes 10 -o net.onnx 2>log

cache=$XDG_CACHE_HOME/cameo/tuning.tsv
mkdir -p "$XDG_CACHE_HOME/cameo"
cp "$SOURCE/tests/golden/v0.1.0/tuning.tsv" "$cache"
expect 0 "programs, 5 times" "$CAMEO" compile net.onnx --tune --name net -o tuned
[ "$(grep -cP '\t0\.1\.0\t' "$cache")" -eq 10 ] || fail "timings of another version are lost"
for kernel in direct-conv winograd-4x4 winograd-2x2 xnn-conv; do
  grep -qP "\t$kernel\t[0-9.]+$" "$cache" || fail "$kernel was not timed"
done
cut -f1-5 "$cache" | sort | uniq -d | grep . && fail "a kernel was timed twice"
expect 0 "layers have a choice" "$CAMEO" compile net.onnx --tune --name net -o again
grep -q "program 1" err && fail "what is known was timed again"
cmp tuned again || fail "the same timings make another program"
expect 0 "layers have a choice" "$CAMEO" compile net.onnx --tuning "$cache" --name net -o replayed
cmp tuned replayed || fail "--tuning makes another program of the same timings"
"$CAMEO" compare net.onnx >out 2>err || fail "compare"
./tuned bench --runs 1 >out || fail "the tuned program does not run"

# Other timings, another choice: XNNPACK for one kind of layers, the smaller tiles for another.
layer=$(cut -f4,5 "$cache" | grep -P 'strides=1,1 .*nhwc:1x32x7x7.*\txnn-conv$' | head -1 | cut -f1) || true
[ -n "$layer" ] || fail "no such layer"
awk -F'\t' -v OFS='\t' -v l="$layer" '$4 == l { $6 = $5 == "winograd-2x2" ? 1 : 500 } $4 ~ /7,7/ { $6 = $5 == "xnn-conv" ? 1 : 500 } { print }' "$cache" >made.tsv
expect 0 "take another kernel" "$CAMEO" compile net.onnx --tuning made.tsv -o made
./made profile --runs 1 --json >rows
grep -o '{[^}]*"kernel": "xnn-conv"[^}]*}' rows | grep -q '16x28x28\|1x16x28x28' || { cat rows; fail "the first convolution is not XNNPACK's"; }
grep -q '"kernel": "winograd-2x2"' rows || fail "no layer has the smaller tiles"

expect 1 "no such file; --tune --tuning nowhere.tsv makes it" "$CAMEO" compile net.onnx --tuning nowhere.tsv -o x
printf 'a\tb\tc\n' >broken.tsv
expect 1 "broken.tsv: line 1 is no timing" "$CAMEO" compile net.onnx --tuning broken.tsv -o x
sed 's/\t[^\t]*/\tx86-64-v9/' "$cache" >other.tsv
expect 1 "no timings for" "$CAMEO" compile net.onnx --tuning other.tsv -o x
expect 2 "do not train" "$CAMEO" compile net.onnx --tune --train -o x
expect 1 "net2.onnx" "$CAMEO" compile net2.onnx --tune -o x
[ ! -e x ] || fail "a refused compilation left a file"

# Interrupted: no program, no timings, nothing in the temporary folder.
# As a compiler does that a signal meets between two steps.
printf '#!/bin/sh\n>"$TMPDIR/left.$$"\nexec cc "$@"\n' >leaving-cc
chmod +x leaving-cc
"$CAMEO" compile net.onnx --tune --tuning new.tsv --cc "$PWD/leaving-cc" -o x >out 2>err & pid=$!
while ! grep -q "program 2" err && kill -0 $pid 2>gone; do sleep 0.05; done
kill -INT $pid 2>gone || true
kill -TERM $pid 2>gone || true # a script's children do not hear SIGINT
wait $pid && fail "an interrupted compilation ends well"
[ ! -e x ] && [ ! -e new.tsv ] || fail "an interrupted compilation left its output"
[ -z "$(ls tmp)" ] || fail "left in the temporary folder: $(ls tmp)"
exit $status
