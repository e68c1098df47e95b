#!/usr/bin/env bash
# kill -9 at twenty random moments, resumed each time: weights, log and curves end as those of a run that nobody disturbed, and no
# half-written file stays.
. "$(dirname "$0")/common.bash"
cc=${CC:-cc}
cd "$scratch"
fail() { echo "FAIL $*"; exit 1; }
$cc -O2 "$SOURCE/examples/synthetic_faces/synthetic_faces.c" -o faces -lm
./faces data 8 8 24 >log
"$CAMEO" new mobilenet-v1 --width 0.25 --input 3x32x32 --classes 8 -o net.onnx 2>log
"$CAMEO" compile net.onnx --train --batch 8 --preprocess "color=rgb mean=127.5 scale=1/127.5" -o net 2>log || { cat log; fail "compile --train"; }
run=(--data data/train --val data/val --epochs 25 --lr 0.02 --augment crop=2,flip --checkpoint-every 2 --log-every 1 --ema 0.9)
start=$(date +%s%N)
./net train "${run[@]}" -o whole >log 2>&1 || { cat log; fail "the undisturbed run"; }
took=$((($(date +%s%N) - start) / 1000000))

RANDOM=$(($(date +%s) % 32768))
kills=0 running=0
while [ $kills -lt 20 ]; do
  resume=(--resume)
  [ -e cut/last.onnx ] || { resume=() && rm -rf cut; }
  ./net train "${run[@]}" "${resume[@]}" -o cut >log 2>err & pid=$!
  # Together the pieces are about as long as the whole run, since a killed one repeats little.
  sleep "$(awk -v r=$RANDOM -v t=$took 'BEGIN { printf "%.3f", 0.02 + r / 32768 * t / 10000 }')"
  if kill -KILL $pid 2>err; then running=$((running + 1)); fi
  wait $pid 2>err || true
  kills=$((kills + 1))
done
[ $running -ge 10 ] || fail "only $running of 20 kills met a running program"
./net train "${run[@]}" --resume -o cut >log 2>&1 || { cat log; fail "the last resume"; }
cmp whole/last.onnx cut/last.onnx
cmp whole/best.onnx cut/best.onnx
epochs() { grep '"event": *"epoch"' "$1" | sed 's/"seconds": *[0-9.]*//; s/"images_per_s": *[0-9.]*//'; }
cmp <(epochs whole/log.jsonl) <(epochs cut/log.jsonl)
[ "$(epochs whole/log.jsonl | wc -l)" -eq 25 ] || fail "the log lacks epochs"
[ "$(cd whole && ls)" = "$(cd cut && ls)" ] || fail "files were left: $(ls -A cut)"
echo "$running of 20 kills met a running program"
