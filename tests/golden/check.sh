#!/bin/bash
# Every golden file of this folder: the model `cameo new` makes has the same bytes, and the program
# compiled from it gives ONNX Runtime's outputs. With --kernels xnnpack at least 95 % of the
# multiply-adds run in XNNPACK. Goldens are made by tests/oracle/make_golden.py.
#
# usage: check.sh CAMEO [-m] [-c "COMPILE OPTIONS"]... [ARCHITECTURE...]
#   -m   only compare the models' bytes, do not compile
#   -c   compile so; given again, the same model is compiled once more
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/digest.bash"
[ $# -ge 1 ] || { sed -n '6,8p' "$0" >&2; exit 2; }
cameo=$(realpath "$1") models_only='' compilations=()
shift
while getopts mc: o; do
    case $o in m) models_only=1 ;; c) compilations+=("$OPTARG") ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
[ ${#compilations[@]} -gt 0 ] || compilations=("")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -std=gnu11 -O1 -o "$work/golden" "$here/golden.c" -lm

check() {
    local golden=$here/$1.json words
    [ -f "$golden" ] || { echo "no golden file of $1" >&2; return 1; }
    mapfile -t words < <("$work/golden" value "$golden" command)
    quietly "$cameo" "${words[@]}" -o "$work/$1.onnx" || return 1
    local got
    got=$(digest "$work/$1.onnx")
    if [ "$got" != "$("$work/golden" value "$golden" sha256)" ]; then
        echo "$1: the model's bytes differ from those the golden file was made with" >&2
        return 1
    fi
    [ -z "$models_only" ] || return 0
    "$work/golden" input "$golden" "$work/input.npy" || return 1
    local options
    for options in "${compilations[@]}"; do
        [ -z "$options" ] || echo "-- $1 $options"
        compiled "$1" "$options" || return 1
    done
}

# COMMAND...: without its output, unless it fails.
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }; }

# NET OPTIONS: a program compiled so gives the golden outputs.
compiled() {
    rm -rf "$work/program" "$work/out"
    # shellcheck disable=SC2086 # options are words
    quietly "$cameo" compile "$work/$1.onnx" --batch 2 $2 -o "$work/program" || return 1
    quietly "$work/program" run --input "$work/input.npy" --output "$work/out" || return 1
    "$work/golden" check "$here/$1.json" "$work/out/output_0.npy" || return 1
    case $2 in *xnnpack*) xnnpack_share ;; esac
}

xnnpack_share() {
    "$work/program" profile --runs 1 --json | tr '{' '\n' | awk '
        function field(name) {
            if (!match($0, "\"" name "\": *\"?[^\",}]*")) return ""
            value = substr($0, RSTART, RLENGTH)
            sub(/.*: *"?/, "", value)
            return value
        }
        { total += field("macs"); if (field("kernel") ~ /^xnn/) xnn += field("macs") }
        END {
            share = total ? xnn / total : 0
            printf "XNNPACK does %.2f %%\n", 100 * share
            exit !(share >= 0.95)
        }'
}

# shellcheck disable=SC2046 # names are words
[ $# -gt 0 ] || set -- $(cd "$here" && ls ./*.json | sed 's,^\./,,; s,\.json$,,')
failed=0
for name in "$@"; do
    if check "$name"; then echo "ok    $name"; else echo "FAIL  $name"; failed=1; fi
    rm -rf "$work/$name.onnx" "$work/program" "$work/out"
done
exit $failed
