#!/usr/bin/env bash
# kill -9 at twenty random moments, resumed each time: weights, log and curves end as those of a run
# that nobody disturbed, and no half-written file stays.
. "$(dirname "$0")/common.bash"
cd "$scratch"
fail() { echo "FAIL $*"; exit 1; }
synthetic_net 8 8 24
"$CAMEO" compile net.onnx --train --batch 8 --preprocess "color=rgb mean=127.5 scale=1/127.5" \
  -o net 2>log || { cat log; fail "compile --train"; }
run=(--data data/train --val data/val --epochs 25 --lr 0.02 --augment crop=2,flip
  --checkpoint-every 2 --log-every 1 --ema 0.9)
start=$(date +%s%N)
./net train "${run[@]}" -o whole >log 2>&1 || { cat log; fail "the undisturbed run"; }
took=$((($(date +%s%N) - start) / 1000000))

epochs() {
  grep '"event": *"epoch"' "$1" | sed 's/"seconds": *[0-9.]*//; s/"images_per_s": *[0-9.]*//'
}
same_as_whole() {
  cmp whole/last.onnx cut/last.onnx
  cmp whole/best.onnx cut/best.onnx
  cmp <(epochs whole/log.jsonl) <(epochs cut/log.jsonl)
  [ "$(epochs whole/log.jsonl | wc -l)" -eq 25 ] || fail "the log lacks epochs"
  [ "$(cd whole && ls)" = "$(cd cut && ls)" ] || fail "files were left: $(ls -A cut)"
}

RANDOM=$(($(date +%s) % 32768))
kills=0 runs=0
while [ $kills -lt 20 ]; do
  [ $runs -lt 200 ] || fail "only $kills of $runs runs were still running when their signal came"
  runs=$((runs + 1))
  resume=(--resume)
  [ -e cut/last.onnx ] || { resume=() && rm -rf cut; }
  ./net train "${run[@]}" "${resume[@]}" -o cut >log 2>err & pid=$!
  # Together the pieces are about as long as the whole run, since a killed one repeats little.
  sleep "$(awk -v r=$RANDOM -v t=$took 'BEGIN { printf "%.3f", 0.02 + r / 32768 * t / 10000 }')"
  kill -KILL $pid 2>gone || true
  code=0
  wait $pid 2>gone || code=$?
  case $code in
  137) kills=$((kills + 1)) ;;
  0) same_as_whole; rm -r cut ;; # it had ended before: begin anew
  *) cat log err; fail "a resumed run: exit $code" ;;
  esac
done
resume=(--resume)
[ -e cut/last.onnx ] || { resume=() && rm -rf cut; }
./net train "${run[@]}" "${resume[@]}" -o cut >log 2>&1 || { cat log; fail "the last resume"; }
same_as_whole
echo "20 kills met a running program, in $runs runs"
