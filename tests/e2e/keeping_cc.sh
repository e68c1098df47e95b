#!/usr/bin/env bash
# tests/tools/keeping-cc: the compiler is asked once for a text and options; again where a header,
# an option or the compiler differs, where it warns or fails, and for weights, which the text only
# names.
. "$(dirname "$0")/common.bash"
cd "$scratch"
export KEPT=$scratch/kept
fail() { echo "FAIL $*"; exit 1; }
printf '#!/bin/sh\ncase " $* " in *" -E "*) ;; *) echo >>asked ;; esac\nexec cc "$@"\n' >counting-cc
chmod +x counting-cc
cp counting-cc other-cc
asked() { # TIMES WHAT COMMAND...: the compiler was asked that often in all
  local times=$1 what=$2
  shift 2
  bash "$SOURCE/tests/tools/keeping-cc" "$@" 2>err || true
  [ "$(wc -l <asked)" -eq "$times" ] || fail "$what: asked $(wc -l <asked) times, not $times"
}
mkdir kernels
echo 'enum { A = 1 };' >kernels/all.h
echo '#include "kernels/all.h"
int f(void) { return A; }' >a.c
asked 1 "the first time" ./counting-cc -O1 -c -o a.o a.c
asked 1 "again" ./counting-cc -O1 -c -o b.o a.c
cmp a.o b.o
asked 2 "another option" ./counting-cc -O2 -c -o b.o a.c
asked 3 "another compiler" ./other-cc -O1 -c -o b.o a.c
echo 'enum { A = 2 };' >kernels/all.h
asked 4 "another header" ./counting-cc -O1 -c -o b.o a.c
! cmp -s a.o b.o || fail "the old header's object"
asked 5 "places of debugging" ./counting-cc -O1 -g -c -o b.o a.c
asked 6 "the same" ./counting-cc -O1 -g -c -o b.o a.c
KEPT=none asked 7 "nothing is kept" ./counting-cc -O1 -c -o b.o a.c
echo 'static void unused(void) {}' >>a.c
for times in 8 9; do
  asked $times "a warning" ./counting-cc -Wall -c -o b.o a.c
  grep -q unused err || fail "the warning is not passed on"
done
echo '#include "absent.h"' >>a.c
for times in 10 11; do
  rm -f b.o
  asked $times "an error" ./counting-cc -c -o b.o a.c
  [ ! -e b.o ] && grep -q absent.h err || fail "the error is not passed on"
done
echo '#include "kernels/all.h"
__asm__(".incbin \"weights.bin\"");' >a.c
for k in 1 2; do
  echo $k >weights.bin
  asked $((11 + k)) "other weights" ./counting-cc -c -o $k.o a.c
done
! cmp -s 1.o 2.o || fail "the old weights"
# Another run of the suite begins, and empties the folder.
printf '#!/bin/sh\nrm -rf "$KEPT"\nexec cc "$@"\n' >emptying-cc
chmod +x emptying-cc
echo '#include "kernels/all.h"' >a.c
bash "$SOURCE/tests/tools/keeping-cc" ./emptying-cc -c -o c.o a.c 2>err || fail "the folder went"
[ -e c.o ] && [ ! -s err ] || fail "the folder went: $(cat err)"
