#!/usr/bin/env bash
# Files that 0.1.0 wrote (tests/golden/v0.1.0): today's programs read them and come to the same
# results, or refuse them with a remedy; they leave what they refuse as it is.
. "$(dirname "$0")/common.bash"
cd "$scratch"
fail() { echo "FAIL $*"; exit 1; }
cp -r "$SOURCE"/tests/golden/v0.1.0/. .
preprocess="color=rgb mean=127.5 scale=1/127.5"
target=(--target x86-64-v2 --preprocess "$preprocess")
"$CAMEO" compile net.onnx --train --batch 4 "${target[@]}" -o face 2>log ||
  { cat log; fail "compile --train"; }
near() { # FIELDS A B: the numbers there are the same but for rounding
  paste -d' ' <(cut -d, -f"$1" "$2") <(cut -d, -f"$1" "$3") | tr , ' ' |
    awk '{ for (i = 1; i <= NF / 2; i++) if (!(($i - $(i + NF / 2)) ^ 2 <= 1e-10)) bad++ }
      END { exit !(NR && !bad) }'
}
steps() { grep '"event": "step"' "$1" | sed 's/"images_per_s.*//; s/"[^"]*": *//g; s/[{} ]//g'; }

# A run that stopped within an epoch goes on, to the end that it would have had.
expect 0 "epoch   6/6" ./face train --resume -o run
near 2-4 <(steps run/log.jsonl) <(steps whole.jsonl) ||
  { steps run/log.jsonl; fail "the resumed run went another way"; }
[ "$(steps run/log.jsonl | wc -l)" -eq 24 ] || fail "steps are missing"
./face export --from run -o exported.onnx || fail "a checkpoint is not exported"

# Where a net holds a tensor once, 0.1.0 learnt one: another net than today's. The file compiles.
cp -r tied before
expect 1 "cameo compile tied/last.onnx --train" ./face train --data data/train --resume -o tied
expect 1 "cameo compile tied/best.onnx --train" \
  ./face score pairs.txt --root data/held-out --weights tied -o x
diff -r tied before || fail "a refused run was changed"
expect 0 "which is ignored" "$CAMEO" compile tied/last.onnx --train --batch 4 --emit c -o tied.c

# Embeddings that were kept: 0.1.0 did not turn pictures by their eXIf, so its rows are not taken.
cp -r cache kept
score() {
  expect 0 "9 embedded now, 0 from the cache" ./face score pairs.txt --root data/held-out "$@"
}
score --cache kept -o with-cache
score --cache none -o without
cmp with-cache/scores.csv without/scores.csv
cmp cache/*.embeddings kept/"$(basename cache/*.embeddings)" || fail "0.1.0's cache was changed"
head -7 score/scores.csv >unturned
head -7 without/scores.csv >here
near 3-5 unturned here || fail "other scores than 0.1.0's"
if near 4 score/scores.csv without/scores.csv; then
  fail "turned.png is not turned, so the cache is not tried"
fi
expect 0 "8 pairs of 9 pictures" \
  ./face score pairs.txt --embeddings score/embeddings.npy --names score/images.txt -o saved
near 3-5 score/scores.csv saved/scores.csv || fail "saved embeddings score otherwise"
expect 0 "written to comparison.html" ./face report score without

# Operating points: beside the program, and in the model.
expect 0 "threshold 0.9266977 (eer on pairs.txt; from $scratch/face.calibration.json)" \
  ./face verify data/held-out/id004/00[01].ppm
"$CAMEO" compile calibrated.onnx "${target[@]}" --emit c -o calibrated 2>log ||
  { cat log; fail "a calibrated model"; }
grep -q 'threshold.*0.9266977' calibrated/*.c || fail "the model's calibration is lost"
sed -i 's/"model_hash": "./&x/' face.calibration.json
expect 1 "hint: run calibrate again, or remove the file" \
  ./face verify data/held-out/id004/00[01].ppm

# Times of 0.1.0's kernels are no times of today's.
expect 1 "no timings for x86-64-v2 by version" \
  "$CAMEO" compile net.onnx "${target[@]}" --tuning tuning.tsv --emit c -o x
[ ! -e x ] || fail "a refused command left a file"
