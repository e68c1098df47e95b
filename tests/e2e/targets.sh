#!/usr/bin/env bash
# --target: programs of every level this processor has agree with each other; those it lacks say so. --static, as far as the system has
# static libraries. For another processor family, the library forms with the runtime built from its sources, where there is a cross
# compiler, and run where there is an emulator.
. "$(dirname "$0")/common.bash"
build=$(dirname "$(dirname "$CAMEO")")
sanitized=$(grep -cE '^CAMEO_SANITIZE(_THREADS)?:BOOL=ON' "$build/CMakeCache.txt" || true)
cd "$scratch"
status=0
fail() { echo "FAIL $*"; status=1; }
emulator_of() { command -v "qemu-$1-static" || command -v "qemu-$1" || true; } # Debian 12's name, Debian 13's
"$CAMEO" new mobilefacenet --statistics random --seed 3 -o net.onnx 2>log
"$TOOLS/example_numbers" draw 3x112x112 a.npy b.npy
numbers() { # PROGRAM: the example's line
  for k in a b; do "$1" run --input $k.npy --output $k >out 2>&1 || { cat out; return; }; done
  "$TOOLS/example_numbers" tell a/output_0.npy b/output_0.npy
}
"$CAMEO" compile net.onnx --kernels plain -o plain
want=$(numbers ./plain)
echo "plain loops: $want"
close() { # WHAT GOT: equal but for two units of the last digit
  if awk -v a="${2##* }" -v b="${want##* }" 'BEGIN { d = a - b; exit !(a != "" && d <= 2.1e-6 && d >= -2.1e-6) }'; then echo "ok   $1: $2"
  else fail "$1: $2"; fi
}

case $(uname -m) in x86_64) levels="x86-64 x86-64-v2 x86-64-v3 x86-64-v4" ;; aarch64) levels=aarch64 ;; *) levels= ;; esac
for level in $levels; do
  "$CAMEO" compile net.onnx --target "$level" --name face -o program
  got=$(numbers ./program)
  case $got in
  *"compiled for $level, but this processor has no"*) echo "ok   $level refused: $got" ;;
  *) close "$level" "$got" ;;
  esac
  # The C compiler is asked again for the lowest level only; what it is given is the same for all.
  kept=${KEPT:-none}
  [ "$level" != x86-64 ] || kept=none
  KEPT=$kept "$CAMEO" compile net.onnx --target "$level" --name face -o program2
  cmp program program2 || fail "$level: other bytes the second time"
done
"$CAMEO" compile net.onnx --name face -o native
close native "$(numbers ./native)"
native=$(./native info --json | sed 's/.*"target": *"\([^"]*\)".*/\1/')
case " $levels " in *" $native "*) ;; *) fail "native is \"$native\"" ;; esac

echo "-- several targets"
if [ "$(uname -m)" = x86_64 ]; then
  several=x86-64-v2,x86-64-v4,x86-64,x86-64-v3,x86-64-v2
  "$CAMEO" compile net.onnx --target $several --name face -o several
  [ "$(./several info --json | sed 's/.*"target": *"\([^"]*\)".*/\1/')" = "$native" ] || fail "several targets: not $native's code"
  for k in a b; do
    ./several run --input $k.npy --output many >out
    ./native run --input $k.npy --output one >out
    cmp many/output_0.npy one/output_0.npy || fail "several targets: not the numbers of $native alone"
  done
  "$CAMEO" compile net.onnx --target $several --emit so --name face -o libseveral.so
  "$CAMEO" compile net.onnx --target $several --kernels native --emit lib --name face -o libface.a
  ${CC:-cc} -O2 -I. -I"$SOURCE/runtime" "$SOURCE/examples/embed/embed.c" libface.a "$build/lib/libcameo.a" -lm -lpthread -o several_embed
  close "several targets in a library" "$(./several_embed)"
  old=$(emulator_of x86_64)
  if [ -n "$old" ] && [ "$sanitized" -eq 0 ]; then
    close "several targets on a Nehalem" "$("$old" -cpu Nehalem ./several_embed)"
    level=$("$old" -cpu Nehalem ./several info --json | sed 's/.*"target": *"\([^"]*\)".*/\1/')
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
refused "several targets do not go with --weights sidecar" --target x86-64-v3,x86-64-v2 --weights sidecar
refused "several targets do not go with --emit c" --target x86-64-v3,x86-64-v2 --emit c

echo "-- --static"
if [ "$sanitized" -ne 0 ]; then echo "left out: there is no static sanitizer"
elif "$CAMEO" compile net.onnx --static --name face -o static 2>err; then
  close "--static" "$(numbers ./static)"
  if ldd static >out 2>&1; then fail "--static is dynamic"; cat out; fi
  [ "$(($(stat -c %s static) - $(stat -c %s net.onnx)))" -le 4000000 ] || fail "--static: more than 4 MB beside the weights"
  # Nothing but itself and pictures: no library, no /tmp, no /proc.
  mkdir -p empty
  cp static empty/face
  for k in a b; do awk -v k=$k 'BEGIN { print "P3\n112 112\n255"; for (i = 0; i < 37632; i++) print (i * i * (k == "a" ? 7 : 3) + i) % 251 }' >$k.ppm; done
  cp a.ppm b.ppm empty
  if unshare -rR empty /face info >/dev/null 2>log; then inside="unshare -rR empty"; else inside="chroot empty"; fi
  if [ "$inside" = "chroot empty" ] && [ "$(id -u)" -ne 0 ]; then echo "left out: no right to change the root: $(head -1 log)"
  else
    got=$($inside /face verify /a.ppm /b.ppm --json 2>err) || { fail "--static in an empty root"; cat err; }
    [ "$got" = "$(./static verify a.ppm b.ppm --json | sed 's|"\([ab].ppm\)|"/\1|g')" ] && echo "ok   in an empty root: $got" || fail "--static in an empty root: $got"
  fi
else
  grep -q 'does not find lib.*\.a' err && echo "ok   refused: $(head -1 err)" || { fail "--static"; cat err; }
fi
if [ "$sanitized" -eq 0 ] && [ ! -e "$(${CC:-cc} -print-file-name=libXNNPACK.a)" ]; then
  got=0
  "$CAMEO" compile net.onnx --static --kernels xnnpack -o none 2>err || got=$?
  if [ $got -ne 4 ] || ! grep -q 'libXNNPACK.a' err || ! grep -q 'hint: .*--kernels native' err; then fail "--static without libXNNPACK.a: $got"; cat err; fi
fi

echo "-- another processor family"
case $(uname -m) in x86_64) other=aarch64 family=aarch64 ;; *) other=x86-64-v2 family=x86_64 ;; esac
cross=$family-linux-gnu-gcc emulator=$(emulator_of $family)
cross_cc="bash $SOURCE/tests/tools/keeping-cc $cross"
got=0
"$CAMEO" compile net.onnx --target $other -o none 2>err || got=$?
if [ $got -ne 2 ] || ! grep -q "the target is $other; name a compiler for it, such as --cc" err; then fail "a compiler for another family: exit $got"; cat err; fi
"$CAMEO" compile net.onnx --target $other --emit c --name face -o generated # needs no compiler
grep -q "target $other" generated/model.c || fail "--emit c --target $other"
if ! command -v $cross >log; then echo "left out: no $cross"; exit $status; fi
# Nets with every family of kernels: direct, Winograd and depthwise convolutions, pools, fully connected layers.
for arch in mobilefacenet resnet18 mobilenet-v2 densenet121 vgg11-bn alexnet; do
  case $arch in mobilefacenet) shape=3x112x112 width=() ;; alexnet) shape=3x67x67 width=() ;; *) shape=3x67x67 width=(--width 0.25) ;; esac
  [ $arch = vgg11-bn ] && shape=3x64x64
  [ $arch = mobilenet-v2 ] && shape=3x224x224 width=(--width 0.5) # large enough for strips
  "$CAMEO" new $arch "${width[@]}" --input $shape --statistics random --seed 3 -o foreign.onnx 2>log
  "$TOOLS/example_numbers" draw $shape a.npy b.npy
  output=$("$CAMEO" info foreign.onnx --json | grep -o "\"outputs\":\[{\"name\":\"[^\"]*" | sed "s/.*\"//")
  "$CAMEO" compile foreign.onnx --embedding "$output" --kernels plain -o plain
  want=$(numbers ./plain)
  "$CAMEO" compile foreign.onnx --embedding "$output" --target $other --cc "$cross_cc" --kernels native --emit lib --name face -o libface.a
  $cross -static -O2 -I. -I"$SOURCE/runtime" "$SOURCE/examples/embed/embed.c" libface.a -lm -lpthread -o embed
  if [ -n "$emulator" ]; then close "$arch for $other, emulated" "$("$emulator" ./embed)"; else echo "not run: no emulator of $other"; fi
done
(cd generated && $cross -O2 -I"$SOURCE/runtime" -c model.c)
"$CAMEO" compile net.onnx --target $other --cc "$cross_cc" --kernels native --emit so -o libface.so
got=0
"$CAMEO" compile net.onnx --target $other --cc "$cross_cc" --kernels native --name face -o foreign 2>err || got=$?
case $got in 0) ;; 4) grep -q "does not find lib.* for $other" err && echo "ok   a program needs more: $(head -1 err)" || fail "a whole program" ;; *) fail "a whole program: exit $got"; cat err ;; esac
exit $status
