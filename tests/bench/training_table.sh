#!/bin/bash
# The table of training: a step of Cameo beside one of PyTorch at its best, in alternation on this
# machine.
#
# usage: training_table.sh [--nets A,B] [--threads 1,2] [--alternations N] [--steps N]
#                          [--torch "OPTIONS"] [-o DIR]
#   --nets       rows (default: all; --list names them)
#   --torch      forms of PyTorch to time, blanks between them: words of torch_step.py, or - for
#                none (default "- foreach"); the fastest of them is what Cameo is compared with
#   -o DIR       where programs and results are kept (default bench-out)
# environment: CAMEO (default: cameo on the PATH), PYTHON (default /usr/bin/python3, with Debian's
#   python3-torch and python3-torchvision and libopenblas0-pthread; "chroot DIR /usr/bin/python3"
#   for one of another release)
#
# PyTorch at its best. glibc gives large blocks back to the system unless told otherwise, and
# PyTorch then spends up to half of a step on page faults: so it may neither map blocks nor trim.
# Debian 12's OpenBLAS does not know the newest processors and takes slow kernels for them:
# OPENBLAS_CORETYPE=SkylakeX, where AVX-512 is there. An alternation takes the least of some steps
# of each; a ratio is PyTorch's time over ours of one alternation. Writes DIR/training.md. Fails
# when a row cannot be measured.
set -euo pipefail
# shellcheck source=tests/bench/peers.bash
. "$(dirname "$0")/peers.bash"

# row          architecture and options of cameo new           batch  torchvision  size  classes
rows='resnet18     resnet18 --classes 4000 --input 3x64x64         32     resnet18     64    4000
mobilenet-v2 mobilenet-v2 --classes 1000 --input 3x64x64     32     mobilenet_v2 64    1000
resnet50     resnet50 --classes 1000 --input 3x112x112       16     resnet50     112   1000
vgg16-bn     vgg16-bn --classes 1000 --input 3x64x64         32     vgg16_bn     64    1000'

usage() { sed -n '/^# usage:/,/^#$/s/^# //p' "$0"; }
nets=$(awk '{ print $1 }' <<<"$rows")
threads=1 alternations=7 steps=5 forms="- foreach" out=bench-out
while [ $# -gt 0 ]; do
    case $1 in
    --nets) nets=${2//,/ }; shift ;;
    --threads) threads=${2//,/ }; shift ;;
    --alternations) alternations=$2; shift ;;
    --steps) steps=$2; shift ;;
    --torch) forms=$2; shift ;;
    -o) out=$2; shift ;;
    --list) awk '{ print $1 }' <<<"$rows"; exit ;;
    -h | --help) usage; exit ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
cameo=$(command -v "${CAMEO:-cameo}") ||
    { echo "training_table.sh: no cameo; set CAMEO" >&2; exit 4; }
cameo=$(realpath "$cameo")
python=${PYTHON:-/usr/bin/python3}
mkdir -p "$out"
export MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_MMAP_MAX_=0 MALLOC_TOP_PAD_=200000000
if grep -q avx512f /proc/cpuinfo; then export OPENBLAS_CORETYPE=SkylakeX; fi
unset OPENBLAS_L2_SIZE

# of ROW N: field N of the row, counted from its end
of() { awk -v r="$1" -v n="$2" '$1 == r { print $(NF + 1 - n) }' <<<"$rows"; }

make_program() {
    local options
    [ -x "$out/$1.trainer" ] && [ "$out/$1.trainer" -nt "$cameo" ] && return
    options=$(awk -v r="$1" '$1 == r { $1 = ""; NF -= 4; print }' <<<"$rows")
    # shellcheck disable=SC2086 # options are words
    "$cameo" new $options -o "$out/$1.onnx" 2>"$out/$1.log" &&
        "$cameo" compile "$out/$1.onnx" --train --batch "$(of "$1" 4)" -o "$out/$1.trainer" \
            2>>"$out/$1.log" ||
        { cat "$out/$1.log" >&2; return 1; }
}

# start_torch ROW THREADS OPTIONS
start_torch() {
    local line
    # shellcheck disable=SC2086 # PYTHON may be several words
    coproc TORCH { exec $python -c "$(cat "$bench_folder/torch_step.py")" \
        "$(of "$1" 3)" "$(of "$1" 2)" "$(of "$1" 4)" \
        "$(of "$1" 1)" "$2" "$3" 2>"$out/torch.log"; }
    read -r line <&"${TORCH[0]}" || { tail -n 3 "$out/torch.log" >&2; return 1; }
    torch_version=$(sed -E 's/.*"torch": "([^"+]*).*/\1/' <<<"$line")
}

stop_torch() {
    local pid=$TORCH_PID
    eval "exec ${TORCH[1]}>&-"
    wait "$pid" 2>/dev/null || true
}

# alternate ROW THREADS OPTIONS: lines "theirs ours their-MB our-MB", times in ms
alternate() {
    local i theirs ours
    for ((i = 0; i < alternations; i++)); do
        echo "$steps" >&"${TORCH[1]}"
        read -r theirs <&"${TORCH[0]}" || { tail -n 3 "$out/torch.log" >&2; return 1; }
        ours=$("$out/$1.trainer" bench --train --threads "$2" --runs "$steps" --json |
            tr -d '\n') || return 1
        echo "$(field "$theirs" min_ms) $(field "$ours" min_ms)" \
            "$(field "$theirs" peak_rss_mb) $(field "$ours" peak_rss_mb)"
    done
}

# measure ROW THREADS FORM: a line of numbers in DIR/ROW.THREADS.FORM.training
measure() {
    local pairs=$out/$1.$2.$3.steps
    q() { awk "{ print $1 }" "$pairs" | quantile "$2"; }
    start_torch "$1" "$2" "$3" || return 1
    alternate "$1" "$2" >"$pairs" || return 1
    stop_torch
    # shellcheck disable=SC2016 # fields of awk
    echo "$1 $2 $(of "$1" 4) $torch_version $3 $(q '$1' 0.5) $(q '$2' 0.5)" \
        "$(q '$1 / $2' 0.25) $(q '$1 / $2' 0.5)" \
        "$(q '$1 / $2' 0.75) $(q '$3' 1) $(q '$4' 1)" >"$out/$1.$2.$3.training"
}

# The line of the fastest form of each row and number of threads.
best() { sort -k1,1 -k2,2n -k6,6g | awk '!seen[$1 " " $2]++'; }

markdown() {
    echo "Steps as images/s, medians of $alternations alternations; above 1 we are faster." \
        "Memory in MB, at most."
    echo
    echo "| net | batch | threads | PyTorch | its form | images/s | Cameo | ratio (quartiles)" \
        "| memory: PyTorch | Cameo |"
    echo "|---|---|---|---|---|---|---|---|---|---|"
    cat "$out"/*.training | best | awk '{
        printf "| %s | %d | %d | %s | %s | ", $1, $3, $2, $4,
            ($5 == "-" ? "channels last" : "channels last, " $5)
        printf "%.1f | %.1f | %.2f (%.2f - %.2f) | %.0f | %.0f |\n",
            1000 * $3 / $6, 1000 * $3 / $7, $9, $8, $10, $11, $12 }'
}

failed=0
for net in $nets; do
    make_program "$net" || { echo "training_table.sh: $net: not compiled" >&2; failed=1; continue; }
    for t in $threads; do
        for form in $forms; do
            measure "$net" "$t" "$form" && continue
            echo "training_table.sh: $net, $t threads, $form: not measured" >&2
            failed=1
        done
    done
done
markdown | tee "$out/training.md"
exit $failed
