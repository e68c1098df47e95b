#!/bin/bash
# Speed of compiled programs beside ONNX Runtime, on this machine, in alternation.
#
# usage: compare_ort.sh [-n ALTERNATIONS] [-r RUNS] [-t THREADS] [-c "COMPILE OPTIONS"] MODEL...
#   MODEL   an architecture of `cameo new`, or an .onnx file
# environment: CAMEO (default: cameo on the PATH), ORT (a folder where onnxruntime-node 1.30.0 was
#   installed with npm install --ignore-scripts onnxruntime-node@1.30.0), WORK (where models and
#   programs are kept; default a temporary folder)
#
# Each alternation times RUNS runs of both and takes the minimum; the ratio is ORT's time over ours
# (above 1: we are faster). Printed: the medians, the median ratio with its quartiles, and how many
# alternations were taken. Fails when a model cannot be measured.
set -euo pipefail
# shellcheck source=tests/bench/peers.bash
. "$(dirname "$0")/peers.bash"
alternations=15 runs=10 threads=1 options=
while getopts n:r:t:c: o; do
    case $o in
    n) alternations=$OPTARG ;; r) runs=$OPTARG ;; t) threads=$OPTARG ;; c) options=$OPTARG ;;
    *) sed -n '4,6p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { sed -n '4,6p' "$0" >&2; exit 2; }
cameo=$(command -v "${CAMEO:-cameo}") || { echo "compare_ort: no cameo; set CAMEO" >&2; exit 4; }
cameo=$(realpath "$cameo")
need_ort
if [ -z "${WORK:-}" ]; then
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK"

compare() {
    local name model program ours theirs i
    if [ -f "$1" ]; then name=$(basename "$1" .onnx) model=$(realpath "$1")
    else name=$1 model=$WORK/$1.onnx; fi
    [ -f "$model" ] || "$cameo" new "$1" --statistics random -o "$model" 2>"$WORK/$name.log" ||
        { cat "$WORK/$name.log" >&2; return 1; }
    program=$WORK/$name.program
    # shellcheck disable=SC2086 # options are words
    "$cameo" compile "$model" -o "$program" $options 2>"$WORK/$name.log" ||
        { cat "$WORK/$name.log" >&2; return 1; }
    start_ort "$model" "$threads" 1 || return 1
    : >"$WORK/$name.pairs"
    for ((i = 0; i < alternations; i++)); do
        theirs=$(time_ort "$runs") && ours=$(time_program "$program" "$threads" "$runs") || return 1
        awk -v a="$theirs" -v b="$ours" 'BEGIN { print a, b, a / b }' >>"$WORK/$name.pairs"
    done
    stop_ort
    q() { cut -d' ' -f"$1" "$WORK/$name.pairs" | quantile "$2"; }
    printf '%-16s %9.3f %9.3f %7.3f  (%.3f .. %.3f)  %d\n' "$name" "$(q 1 0.5)" "$(q 2 0.5)" \
        "$(q 3 0.5)" "$(q 3 0.25)" "$(q 3 0.75)" "$alternations"
}

printf '%-16s %9s %9s %7s  %-16s  %s\n' model "ort ms" "cameo ms" ratio quartiles pairs
failed=0
for model in "$@"; do
    compare "$model" || { echo "$model: not measured" >&2; failed=1; }
done
exit $failed
