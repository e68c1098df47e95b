#!/usr/bin/env bash
# --target: programs of every level this processor has agree with each other; those it lacks say so.
# --static, as far as the system has static libraries. (Another processor family:
# targets_foreign.sh.)
. "$(dirname "$0")/targets.bash"
status=0
fail() { echo "FAIL $*"; status=1; }
build=$(dirname "$(dirname "$CAMEO")")
sanitized=$(grep -cE '^CAMEO_SANITIZE(_THREADS)?:BOOL=ON' "$build/CMakeCache.txt" || true)
"$TOOLS/example_numbers" draw 3x112x112 a.npy b.npy
"$CAMEO" compile net.onnx --kernels plain -o plain
want=$(numbers ./plain)
echo "plain loops: $want"

case $(uname -m) in
x86_64) levels="x86-64 x86-64-v2 x86-64-v3 x86-64-v4" ;;
aarch64) levels=aarch64 ;;
*) levels= ;;
esac
target_of() { "$@" info --json | sed 's/.*"target": *"\([^"]*\)".*/\1/'; } # PROGRAM
for level in $levels; do
  "$CAMEO" compile net.onnx --target "$level" --name face -o program
  got=$(numbers ./program)
  case $got in
  *"compiled for $level, but this processor has no"*) echo "ok   $level refused: $got" ;;
  *) close "$level" "$got" ;;
  esac
  # The C compiler does its work again for the lowest level, Cameo for each.
  kept=${KEPT:-none}
  [ "$level" != "${levels%% *}" ] || kept=none
  KEPT=$kept "$CAMEO" compile net.onnx --target "$level" --name face -o program2
  cmp program program2 || fail "$level: other bytes the second time"
done
"$CAMEO" compile net.onnx --name face -o native
close native "$(numbers ./native)"
native=$(target_of ./native)
case " $levels " in *" $native "*) ;; *) fail "native is \"$native\"" ;; esac

echo "-- several targets"
if [ "$(uname -m)" = x86_64 ]; then
  several=x86-64-v2,x86-64-v4,x86-64,x86-64-v3,x86-64-v2
  "$CAMEO" compile net.onnx --target $several --name face -o several
  [ "$(target_of ./several)" = "$native" ] ||
    fail "several targets: not $native's code"
  for k in a b; do
    ./several run --input $k.npy --output many >out
    ./native run --input $k.npy --output one >out
    cmp many/output_0.npy one/output_0.npy ||
      fail "several targets: not the numbers of $native alone"
  done
  "$CAMEO" compile net.onnx --target $several --emit so --name face -o libseveral.so
  "$CAMEO" compile net.onnx --target $several --kernels native --emit lib --name face -o libface.a
  ${CC:-cc} -O2 -I. -I"$SOURCE/runtime" "$SOURCE/examples/embed/embed.c" libface.a \
    "$build/lib/libcameo.a" -lm -lpthread -o several_embed
  close "several targets in a library" "$(./several_embed)"
  old=$(emulator_of x86_64)
  if [ -n "$old" ] && [ "$sanitized" -eq 0 ]; then
    close "several targets on a Nehalem" "$("$old" -cpu Nehalem ./several_embed)"
    level=$(target_of "$old" -cpu Nehalem ./several)
    [ "$level" = x86-64-v2 ] || fail "several targets on a Nehalem: $level"
  else echo "not run on an older processor: no qemu-x86_64"; fi
fi
refused() { # MESSAGE OPTION...
  local got=0 message=$1
  shift
  "$CAMEO" compile net.onnx "$@" -o none 2>err || got=$?
  if [ $got -ne 2 ] || ! grep -qF -- "$message" err; then fail "exit $got: $*"; cat err; fi
}
refused "one processor family" --target x86-64-v3,aarch64
refused 'unknown value of --target "x86-64-v5"' --target x86-64-v3,x86-64-v5
refused 'unknown value of --target ""' --target x86-64-v3,
refused "several targets do not go with --train" --target x86-64-v3,x86-64-v2 --train
refused "several targets do not go with --weights sidecar" \
  --target x86-64-v3,x86-64-v2 --weights sidecar
refused "several targets do not go with --emit c" --target x86-64-v3,x86-64-v2 --emit c

echo "-- --static"
if [ "$sanitized" -ne 0 ]; then echo "left out: there is no static sanitizer"
elif "$CAMEO" compile net.onnx --static --name face -o static 2>err; then
  close "--static" "$(numbers ./static)"
  if ldd static >out 2>&1; then fail "--static is dynamic"; cat out; fi
  [ "$(($(stat -c %s static) - $(stat -c %s net.onnx)))" -le 4000000 ] ||
    fail "--static: more than 4 MB beside the weights"
  # Nothing but itself and pictures: no library, no /tmp, no /proc.
  mkdir -p empty
  cp static empty/face
  for k in a b; do
    awk -v k=$k 'BEGIN {
      print "P3\n112 112\n255"
      for (i = 0; i < 37632; i++) print (i * i * (k == "a" ? 7 : 3) + i) % 251
    }' >$k.ppm
  done
  cp a.ppm b.ppm empty
  inside="chroot empty"
  if unshare -rR empty /face info >/dev/null 2>log; then inside="unshare -rR empty"; fi
  if [ "$inside" = "chroot empty" ] && [ "$(id -u)" -ne 0 ]; then
    echo "left out: no right to change the root: $(head -1 log)"
  else
    got=$($inside /face verify /a.ppm /b.ppm --json 2>err) ||
      { fail "--static in an empty root"; cat err; }
    outside=$(./static verify a.ppm b.ppm --json | sed 's|"\([ab].ppm\)|"/\1|g')
    if [ "$got" = "$outside" ]; then echo "ok   in an empty root: $got"
    else fail "--static in an empty root: $got"; fi
  fi
else
  grep -q 'does not find lib.*\.a' err && echo "ok   refused: $(head -1 err)" ||
    { fail "--static"; cat err; }
fi
if [ "$sanitized" -eq 0 ] && [ ! -e "$(${CC:-cc} -print-file-name=libXNNPACK.a)" ]; then
  got=0
  "$CAMEO" compile net.onnx --static --kernels xnnpack -o none 2>err || got=$?
  [ $got -eq 4 ] && grep -q 'libXNNPACK.a' err && grep -q 'hint: .*--kernels native' err ||
    { fail "--static without libXNNPACK.a: $got"; cat err; }
fi
exit $status
