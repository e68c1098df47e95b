#!/usr/bin/env bash
# From raw photographs to scores in one command: a program with a YuNet detector in it finds the
# faces of LFW's first fold itself.
. "$(dirname "$0")/common.bash"
need_data lfw-raw
cd "$scratch"
status=0
fail() { echo "FAIL $*"; status=1; }
"$CAMEO" compile "$DATA/models/mobilefacenet-dynamic-batch.onnx" --detector "$DATA/models/yunet-detector.onnx" \
  --preprocess "size=112x112 color=rgb mean=123.675,116.28,103.53 scale=0.01712475,0.01750700,0.01742919" -o face
pairs=$DATA/lfw-raw/pairs_hw2p2.txt
./face score "$pairs" --root "$DATA/lfw-raw/images" --threads 1 -o found >out
./face score "$pairs" --root "$DATA/lfw/images" --aligned --threads 1 -o supplied >out
grep -q '"alignment": "detector' found/metrics.json || fail "the alignment is not told"
grep -q '"alignment": "none' supplied/metrics.json || fail "--aligned"
for name in accuracy_10fold auc eer; do echo "$name: $(number found $name) found, $(number supplied $name) supplied"; done
awk -v a="$(number found accuracy_10fold)" -v b="$(number supplied accuracy_10fold)" 'BEGIN { exit !(b > 0.98 && a >= b - 0.01) }' ||
  fail "accuracy is more than a point below that of the supplied crops"
awk -v a="$(number found auc)" 'BEGIN { exit !(a >= 0.998) }' || fail "AUC below 0.998"

# One photograph gives the same embedding whatever it is beside; without a face in it it is named.
name=$(awk 'NR == 1 { print $1; exit }' "$pairs")
./face verify "$DATA/lfw-raw/images/$name" "$DATA/lfw-raw/images/$name" | grep -q '^cosine 1  l2 0$' || fail "a photograph and itself"
awk 'BEGIN { print "P2\n150 150\n255"; for (i = 0; i < 22500; i++) print 90 }' >wall.pgm
code=0; ./face verify "$DATA/lfw-raw/images/$name" wall.pgm >out 2>err || code=$?
[ $code = 1 ] && grep -q 'wall.pgm.*no face' err || fail "a picture without a face: exit $code"
code=0; "$CAMEO" compile "$DATA/models/mobilefacenet-dynamic-batch.onnx" --detector "$DATA/models/mobilefacenet-dynamic-batch.onnx" -o no 2>err || code=$?
[ $code = 1 ] || { ./no verify wall.pgm wall.pgm --preprocess "mean=0 scale=1" >out 2>err && fail "a network that is no detector"; grep -q YuNet err || fail "no word of YuNet"; }
exit $status
