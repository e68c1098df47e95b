#!/bin/bash
# Speed of compiled programs beside ONNX Runtime, on this machine, in alternation.
#
# usage: compare_ort.sh [-n ALTERNATIONS] [-r RUNS] [-t THREADS] [-c "COMPILE OPTIONS"] MODEL...
#   MODEL   an architecture of `cameo new`, or an .onnx file
# environment: CAMEO (default: cameo on the PATH), ORT (a folder where onnxruntime-node 1.30.0 was installed with
#   npm install --ignore-scripts onnxruntime-node@1.30.0), WORK (where models and programs are kept; default a temporary folder)
#
# Each alternation times RUNS runs of both and takes the minimum; the ratio is ORT's time over ours (above 1: we are faster). Printed:
# the medians, the median ratio with its quartiles, and how many alternations were taken. Fails when a model cannot be measured.
set -euo pipefail
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
[ -d "${ORT:?set ORT to the folder of onnxruntime-node}/node_modules/onnxruntime-node" ] || { echo "compare_ort: no onnxruntime-node in $ORT" >&2; exit 4; }
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${WORK:-}" ]; then
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK"

field() { sed -E "s/.*\"$2\": *([0-9.eE+-]+).*/\1/" <<<"$1"; }

# The q-th quantile (0..1) of the numbers on stdin.
quantile() { sort -g | awk -v q="$1" '{ v[NR] = $1 } END { k = (NR - 1) * q + 1; i = int(k); f = k - i; print v[i] + (i < NR ? f * (v[i + 1] - v[i]) : 0) }'; }

compare() {
    local name model program line ours theirs i
    if [ -f "$1" ]; then name=$(basename "$1" .onnx) model=$(realpath "$1"); else name=$1 model=$WORK/$1.onnx; fi
    [ -f "$model" ] || "$cameo" new "$1" --statistics random -o "$model" 2>"$WORK/$name.log" || { cat "$WORK/$name.log" >&2; return 1; }
    program=$WORK/$name.program
    # shellcheck disable=SC2086 # options are words
    "$cameo" compile "$model" -o "$program" $options 2>"$WORK/$name.log" || { cat "$WORK/$name.log" >&2; return 1; }
    coproc ORT_PROCESS { cd "$ORT" && BENCH_THREADS=$threads exec node "$here/ort.mjs" "$model"; }
    read -r line <&"${ORT_PROCESS[0]}" || return 1
    : >"$WORK/$name.pairs"
    for ((i = 0; i < alternations; i++)); do
        echo "$runs" >&"${ORT_PROCESS[1]}"
        read -r line <&"${ORT_PROCESS[0]}" || return 1
        theirs=$(field "$line" min_ms)
        line=$("$program" bench --threads "$threads" --runs "$runs" --json | tr -d '\n') || return 1
        ours=$(field "$line" min_ms)
        awk -v a="$theirs" -v b="$ours" 'BEGIN { print a, b, a / b }' >>"$WORK/$name.pairs"
    done
    eval "exec ${ORT_PROCESS[1]}>&-"
    wait "$ORT_PROCESS_PID" 2>/dev/null || true
    printf '%-16s %9.3f %9.3f %7.3f  (%.3f .. %.3f)  %d\n' "$name" "$(cut -d' ' -f1 "$WORK/$name.pairs" | quantile 0.5)" \
        "$(cut -d' ' -f2 "$WORK/$name.pairs" | quantile 0.5)" "$(cut -d' ' -f3 "$WORK/$name.pairs" | quantile 0.5)" \
        "$(cut -d' ' -f3 "$WORK/$name.pairs" | quantile 0.25)" "$(cut -d' ' -f3 "$WORK/$name.pairs" | quantile 0.75)" "$alternations"
}

printf '%-16s %9s %9s %7s  %-16s  %s\n' model "ort ms" "cameo ms" ratio quartiles pairs
failed=0
for model in "$@"; do
    compare "$model" || { echo "$model: not measured" >&2; failed=1; }
done
exit $failed
