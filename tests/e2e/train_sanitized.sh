#!/usr/bin/env bash
# A compiled training program under AddressSanitizer and UndefinedBehaviorSanitizer: its C, compiled
# by hand, takes steps on synthetic faces. (In a sanitized build the runtime it is linked with is
# sanitized too.)
. "$(dirname "$0")/common.bash"
build=$(dirname "$(dirname "$CAMEO")")
cc=${CC:-cc}
sanitize=(-fsanitize=address,undefined -fno-sanitize-recover=all)
cd "$scratch"
echo 'int main(void) { return 0; }' >empty.c
{ $cc "${sanitize[@]}" empty.c -o empty && ./empty; } 2>log || skip "$cc has no sanitizers"
target=x86-64-v3
grep -qw avx2 /proc/cpuinfo || target=x86-64-v2
synthetic_net 4 6 32
"$CAMEO" compile net.onnx --train --batch 4 --emit c --name net --target $target --preprocess "color=rgb mean=127.5 scale=1/127.5" -o c 2>log
cat >c/main.c <<'C'
#include "training/training.h"
extern const cameo_trainer net_trainer;
int main(int argc, char **argv) { return cameo_train_main(&net_trainer, argc, argv); }
C
cd c
jobs=()
for f in *.c; do
  $cc -O1 -g "${sanitize[@]}" -march=$target -ffp-contract=fast -fno-math-errno -I"$build/include/cameo" -I. -c "$f" -o "${f%.c}.o" & jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done
cd ..
$cc "${sanitize[@]}" c/*.o "$build/lib/libcameo.a" -lturbojpeg -lpng -lz -lm -lpthread -ldl -o net

status=0
run() {
  local got=0
  ./net "$@" >out 2>err || got=$?
  if [ $got -ne 0 ] || grep -qE 'Sanitizer|runtime error' err; then echo "FAIL net $1: exit $got"; head -30 err; status=1; fi
}
train=(train --data data/train --val data/val --pairs data/pairs.txt --pairs-root data/held-out --lr 0.02 --augment crop=2,flip)
run "${train[@]}" --epochs 2 --mixup 0.2 --ema 0.9 --clip-norm 1 --threads 2 -o run
run "${train[@]}" --epochs 3 --mixup 0.2 --ema 0.9 --clip-norm 1 --threads 2 --resume -o run
run train --data data/train --lr 0.02 --overfit-one-batch --epochs 1 --threads 1 -o one
run bench --train --runs 2 --json --threads 1
run export --from run -o trained.onnx
run score data/pairs.txt --root data/held-out --weights run --cache none -o scores
[ -s run/last.onnx ] && [ -s trained.onnx ] && [ -s scores/report.html ] || { echo "FAIL results"; status=1; }
exit $status
