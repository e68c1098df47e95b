#!/usr/bin/env bash
# Instructions, as callgrind counts them, of one run of six small nets and of `cameo compile --emit
# c` of them. Unlike times they are the same on a busy machine. Appends to instructions.tsv beside
# this script, and prints the change since the net's last line.
#
# usage: instructions.sh [-n] CAMEO [NET...]
#   -n   print only, append nothing
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
history=$here/instructions.tsv append=1
[ "${1:-}" != -n ] || { append=; shift; }
[ $# -ge 1 ] || { sed -n '6,7p' "$0" >&2; exit 2; }
command -v valgrind >/dev/null || { echo "instructions: no valgrind" >&2; exit 4; }
cameo=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- alexnet resnet18 mobilenet-v1 mobilenet-v2 densenet121 mobilefacenet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git -C "$here" describe --always --dirty --abbrev=10)

# COMMAND...: how many instructions it takes.
instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$work/out" "$@" >"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; return 1; }
  sed -n 's/^\(summary\|totals\): //p' "$work/out" | head -1
}

# FILE CHANNELS HEIGHT WIDTH: zeros.
zeros() {
  local header
  printf -v header "%-117s" "{'descr': '<f4', 'fortran_order': False, 'shape': (1, $2, $3, $4), }"
  printf '\x93NUMPY\x01\x00\x76\x00%s\n' "$header" >"$1"
  head -c $((4 * $2 * $3 * $4)) /dev/zero >>"$1"
}

# NEW OLD: the change in percent.
change() {
  awk -v a="$1" -v b="$2" 'BEGIN { if (b) printf "%+.2f%%", 100 * (a - b) / b; else print "new" }'
}

[ -e "$history" ] || printf 'commit\tnet\trun\tcompile\n' >"$history"
for net in "$@"; do
  case $net in mobilefacenet) size=112 input=() ;; alexnet) size=64 ;; *) size=32 ;; esac
  [ $size -eq 112 ] || input=(--input "3x${size}x$size")
  "$cameo" new "$net" "${input[@]}" -o "$work/net.onnx" 2>"$work/log"
  zeros "$work/x.npy" 3 $size $size
  # Valgrind knows no AVX-512.
  compile=$(instructions "$cameo" compile "$work/net.onnx" --target x86-64-v3 --emit c --name net \
    -o "$work/c")
  "$cameo" compile "$work/net.onnx" --target x86-64-v3 -o "$work/net" >"$work/log" 2>&1
  run=$(instructions "$work/net" run --threads 1 --input "$work/x.npy" --output "$work/y")
  read -r old_run old_compile < <(awk -v net="$net" '
    $2 == net { last = $3 " " $4 } END { print last }' "$history")
  printf '%-14s run %14d %-8s compile %14d %s\n' \
    "$net" "$run" "$(change "$run" "$old_run")" "$compile" \
    "$(change "$compile" "$old_compile")"
  [ -z "$append" ] || printf '%s\t%s\t%s\t%s\n' "$commit" "$net" "$run" "$compile" >>"$history"
  rm -rf "$work/c" "$work/y" "$work/net"
done
