#!/usr/bin/env bash
# --target for another processor family: the library forms with the runtime built from its sources,
# where there is a cross compiler, and run where there is an emulator.
. "$(dirname "$0")/targets.bash"
status=0
fail() { echo "FAIL $*"; status=1; }
case $(uname -m) in x86_64) other=aarch64 family=aarch64 ;; *) other=x86-64-v2 family=x86_64 ;; esac
cross=$family-linux-gnu-gcc emulator=$(emulator_of $family)
# The one net that is compiled as users do shares its objects with what comes after.
cat >cross-cc <<'END'
#!/bin/sh
exec bash "$SOURCE/tests/tools/keeping-cc" "$cross" "$@" $LAST_OPTIONS
END
chmod +x cross-cc
export cross
cross_cc=$PWD/cross-cc
got=0
"$CAMEO" compile net.onnx --target $other -o none 2>err || got=$?
[ $got -eq 2 ] && grep -q "the target is $other; name a compiler for it, such as --cc" err ||
  { fail "a compiler for another family: exit $got"; cat err; }
"$CAMEO" compile net.onnx --target $other --emit c --name face -o generated # needs no compiler
grep -q "target $other" generated/model.c || fail "--emit c --target $other"
if ! command -v $cross >log; then echo "left out: no $cross"; exit $status; fi
# Nets with every family of kernels: direct, Winograd and depthwise convolutions, pools, fully
# connected layers.
for arch in mobilefacenet resnet18 mobilenet-v2 densenet121 vgg11-bn alexnet; do
  shape=3x67x67 width=(--width 0.25)
  export LAST_OPTIONS=-O1
  case $arch in
  mobilefacenet) shape=3x112x112 width=() LAST_OPTIONS= ;;
  alexnet) width=() ;;
  vgg11-bn) shape=3x64x64 ;;
  mobilenet-v2) shape=3x224x224 width=(--width 0.5) ;; # large enough for strips
  esac
  "$CAMEO" new $arch "${width[@]}" --input $shape --statistics random --seed 3 -o foreign.onnx 2>log
  "$TOOLS/example_numbers" draw $shape a.npy b.npy
  output=$("$CAMEO" info foreign.onnx --json |
    sed -n 's/.*"outputs":\[{"name":"\([^"]*\).*/\1/p')
  "$CAMEO" compile foreign.onnx --embedding "$output" --kernels plain -o plain
  want=$(numbers ./plain)
  echo "$arch, plain loops: $want"
  "$CAMEO" compile foreign.onnx --embedding "$output" --target $other --cc "$cross_cc" \
    --kernels native --emit lib --name face -o libface.a
  $cross -static -O2 -I. -I"$SOURCE/runtime" "$SOURCE/examples/embed/embed.c" libface.a \
    -lm -lpthread -o embed
  if [ -n "$emulator" ]; then close "$arch for $other, emulated" "$("$emulator" ./embed)"
  else echo "not run: no emulator of $other"; fi
done
unset LAST_OPTIONS
(cd generated && $cross -O1 -I"$SOURCE/runtime" -c model.c)
"$CAMEO" compile net.onnx --target $other --cc "$cross_cc" --kernels native --emit so -o libface.so
got=0
"$CAMEO" compile net.onnx --target $other --cc "$cross_cc" --kernels native --name face \
  -o foreign 2>err || got=$?
case $got in
0) ;;
4) if grep -q "does not find lib.* for $other" err; then
    echo "ok   a program needs more: $(head -1 err)"
  else fail "a whole program"; fi ;;
*) fail "a whole program: exit $got"; cat err ;;
esac
exit $status
