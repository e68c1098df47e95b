# Shared by the tests of --target: a net, its numbers with plain loops, and what is near to them.
. "$(dirname "$0")/common.bash"
cd "$scratch"
# Debian 12's name, Debian 13's
emulator_of() { command -v "qemu-$1-static" || command -v "qemu-$1" || true; }
numbers() { # PROGRAM: the example's line
  for k in a b; do
    "$1" run --input $k.npy --output $k >out 2>&1 || { cat out; return; }
  done
  "$TOOLS/example_numbers" tell a/output_0.npy b/output_0.npy
}
close() { # WHAT GOT: equal to $want but for two units of the last digit
  if awk -v a="${2##* }" -v b="${want##* }" '
    BEGIN { d = a - b; exit !(a != "" && d <= 2.1e-6 && d >= -2.1e-6) }'; then
    echo "ok   $1: $2"
  else fail "$1: $2"; fi
}
"$CAMEO" new mobilefacenet --statistics random --seed 3 -o net.onnx 2>log
