#!/bin/bash
# Training beside PyTorch's numbers: for every file of tests/golden/training (or those named, as
# ties/NAME) the trainer compiled from the same model gives the same gradients, running statistics
# and losses. tests/tools/training_reference.c says how near.
#
# With -t the model's equal tensors are tied first, as exporters do
# (tests/tools/tie_initializers.c): nothing may change.
#
# usage: check_training.sh CAMEO SOURCE [-c "COMPILE OPTIONS"] [-t direct|identity|chain|both]
#                          [NAME...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/digest.bash"
[ $# -ge 2 ] || { sed -n '9,10p' "$0" >&2; exit 2; }
cameo=$(realpath "$1") source=$(realpath "$2") options='' tie=''
shift 2
while getopts c:t: o; do
    case $o in c) options=$OPTARG ;; t) tie=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
library=$(dirname "$cameo")/../lib/libcameo.a

check() {
    local golden=$here/training/$1.txt got
    [ "${1#*/}" = "$1" ] || golden=$here/$1.txt
    local -a new compile
    read -ra new <<<"$(sed -n 's/^new //p' "$golden")"
    read -ra compile <<<"$(sed -n 's/^compile //p' "$golden")"
    if [ ${#new[@]} -eq 0 ]; then
        cp "$here/$(sed -n 's/^model //p' "$golden")" "$work/net.onnx"
    else
        "$cameo" "${new[@]}" -o "$work/net.onnx" 2>"$work/log" || { cat "$work/log" >&2; return 1; }
    fi
    got=$(digest "$work/net.onnx")
    if [ ${#new[@]} -gt 0 ] && [ "$got" != "$(sed -n 's/^sha256 //p' "$golden")" ]; then
        echo "$1: the model's bytes differ from those the golden file was made with" >&2
        return 1
    fi
    local model=$work/net.onnx
    if [ -n "$tie" ]; then
        model=$work/tied.onnx
        "$work/tie" "$tie" "$work/net.onnx" "$model" || return 1
    fi
    # shellcheck disable=SC2086 # options are words
    "$cameo" compile "$model" "${compile[@]}" $options --emit lib --name net -o "$work/libnet.a" \
        2>"$work/log" || { cat "$work/log" >&2; return 1; }
    ${CC:-cc} -O2 -I "$source" -o "$work/reference" "$source/tests/tools/training_reference.c" \
        "$work/libnet.a" "$library" -lturbojpeg -lpng -lXNNPACK -lpthreadpool -lpthread -lm ||
        return 1
    "$work/reference" "$golden" ${tie:+"$work/net.onnx"}
}

if [ -n "$tie" ]; then
    ${CC:-cc} -O2 -I "$source" -o "$work/tie" "$source/tests/tools/tie_initializers.c" \
        "$source/runtime/base/wire.c"
fi

# shellcheck disable=SC2046 # names are words
[ $# -gt 0 ] || set -- $(cd "$here/training" && ls ./*.txt | sed 's,^\./,,; s,\.txt$,,')
failed=0
for name in "$@"; do
    if check "$name"; then echo "ok    $name"; else echo "FAIL  $name"; failed=1; fi
done
exit $failed
