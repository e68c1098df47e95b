#!/usr/bin/env bash
# The training program for real: compiled from a net of `cameo new`, trained on synthetic faces,
# interrupted and resumed; what it writes is an ONNX model that compiles, and scores as the training
# program did.
. "$(dirname "$0")/common.bash"
cd "$scratch"
fail() { echo "FAIL $*"; exit 1; }
synthetic_net 8 8 24
preprocess="color=rgb mean=127.5 scale=1/127.5"
"$CAMEO" compile net.onnx --train --batch 8 --preprocess "$preprocess" -o net 2>log ||
  { cat log; fail "compile --train"; }

# Untouched weights come out bit for bit, and the model is the one that went in.
./net export -o same.onnx 2>log
plain=(--kernels plain --preprocess "$preprocess" --name net)
"$CAMEO" compile same.onnx "${plain[@]}" -o same 2>log
"$CAMEO" compile net.onnx "${plain[@]}" -o plain 2>log
find data/val -name '*.ppm' | sort >list
./same embed --list list -o same.npy
./plain embed --list list -o plain.npy
cmp same.npy plain.npy

# BatchNormalization folded away is said; the user chooses.
./net export --folded -o folded.onnx 2>log
"$CAMEO" compile folded.onnx --train --batch 8 --emit c -o folded.c 2>log ||
  { cat log; fail "a folded net is not trained"; }
grep -q "folded it away" log || fail "folded BatchNormalization is not said"
if "$CAMEO" compile folded.onnx --train --batch 8 --folded stop --emit c -o refused.c 2>log; then
  fail "--folded stop goes on"
fi
grep -q "folded continue" log || fail "no remedy is named: $(cat log)"
[ ! -e refused.c ] || fail "a refused net left a file"

run=(--data data/train --val data/val --pairs data/pairs.txt --pairs-root data/held-out
  --epochs 2 --lr 0.02 --augment crop=2,flip --log-every 1)
./net train "${run[@]}" --epochs 6 --threads 1 -o one >log
grep -q "AUC" log || fail "no AUC is printed"
./net train "${run[@]}" --epochs 6 --threads 2 -o two >log
cmp one/last.onnx two/last.onnx
cmp one/best.onnx two/best.onnx

# Interrupted at any moment: the same bytes in the end.
./net train "${run[@]}" --checkpoint-every 3 -o whole >log
for wait in 0.1 0.6; do
  ./net train "${run[@]}" --checkpoint-every 3 -o cut >log 2>err & pid=$!
  # From here on it heeds signals.
  while [ ! -e cut/last.onnx ] && kill -0 $pid 2>err; do sleep 0.02; done
  sleep $wait
  kill -TERM $pid 2>err || true
  wait $pid || { cat err; fail "SIGTERM: exit $?"; }
  ./net train --resume -o cut >log 2>err & pid=$!
  sleep $wait
  kill -KILL $pid 2>err || true
  wait $pid || true
  expect 0 "" ./net train "${run[@]}" --checkpoint-every 3 --resume -o cut
  cmp whole/last.onnx cut/last.onnx
  rm -r cut
done

# What was trained, compiled: embeddings of the training program, up to rounding (BatchNormalization
# is folded).
"$CAMEO" check one/last.onnx >log
"$CAMEO" compile one/last.onnx -o trained 2>log
./trained score data/pairs.txt --root data/held-out --json >compiled.json 2>log
./net score data/pairs.txt --root data/held-out --json --weights one/last.onnx >live.json 2>log
auc() { grep -o '"auc": [0-9.]*' "$1" | sed 's/.* //'; }
logged=$(auc one/log.jsonl | tail -1)
compiled=$(auc compiled.json | head -1) live=$(auc live.json | head -1)
awk -v a="$compiled" -v b="$live" -v c="$logged" '
  BEGIN { exit !(a > 0 && (a - b) ^ 2 < 1e-4 && (b - c) ^ 2 < 1e-12) }' ||
  fail "AUC $compiled compiled, $live live, $logged in the log"

# Folded on the level of ONNX: the scores are those of the unfolded net, up to rounding.
expect 0 "27 normalisations folded" ./net export --folded --from one/last.onnx -o folded.onnx
./net export --from one/last.onnx -o kept.onnx
for model in folded kept; do
  "$CAMEO" compile $model.onnx --kernels plain --name net -o $model 2>log
  ./$model score data/pairs.txt --root data/held-out -o $model.scores >log 2>&1
done
"$CAMEO" info folded.onnx --json >log
grep -q '"nodes":57' log || fail "nothing was folded"
paste -d, folded.scores/scores.csv kept.scores/scores.csv |
  awk -F, 'NR > 1 { d = $4 - $9; if (d < 0) d = -d; if (d > 1e-4) bad++; n++ }
    END { exit !(n > 0 && !bad) }' || fail "folded scores differ"

expect 1 "layer" ./net train --data data/train --lr 1e30 --epochs 2 -o diverged
expect 0 "it learns" ./net train --data data/train --overfit-one-batch --lr 0.05
expect 0 "images/s" ./net train --data data/train --dry-run
expect 0 '"peak_rss_mb"' ./net bench --train --json --runs 2
expect 0 '"layers"' ./net profile --train --json --runs 1
./faces five 5 8 24
expect 1 "--classes-from five/train" ./net train --data five/train -o wrong
echo "trained: AUC $logged on held-out synthetic identities," \
  "after $(wc -l <one/log.jsonl) lines of log"
