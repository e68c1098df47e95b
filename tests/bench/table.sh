#!/bin/bash
# The table of inference: every net through Cameo, Cameo with --kernels xnnpack, and ONNX Runtime,
# in alternation on this machine.
#
# usage: table.sh [--nets A,B] [--threads 1,2] [--quick] [--alternations N] [--without-xnnpack]
#                 [--prepare] [--models DIR] [--exported DIR] [-o DIR]
#   --nets         rows (default: all; --list names them)
#   --quick        3 alternations of few runs: to see that all works, not to compare
#   --prepare      makes and compiles the nets, measures nothing: what follows then needs the
#                  machine for less long
#   --models DIR   ONNX files that are there already, named as the rows (resnet18.onnx), instead of
#                  `cameo new`
#   --exported DIR the same nets as a framework exports them, named as the rows with _ for -: a row
#                  NAME-exported for NAME.onnx, NAME-kept for NAME.bn.onnx, where BatchNormalization
#                  was kept; and a row for each other ONNX file there. Their last column is the time
#                  over that of `cameo new`'s net, in the same alternations. Exports are made with
#                  other tools, none is needed here
#   -o DIR         where nets, programs and results are kept (default bench-out); rows that were
#                  measured before stay in the table
# environment: CAMEO (default: cameo on the PATH), ORT (a folder for onnxruntime-node 1.30.0; by
#   default DIR/ort, installed by npm)
#
# An alternation times some runs of each and takes the least; a ratio is another's time over ours of
# the same alternation (above 1: we are faster), and the median and the quartiles of all ratios are
# shown. Peak memory and start-up are of a whole process that loads and runs the net once (of ONNX
# Runtime: of loading and one run inside its process). The peak of multiply-adds is measured too.
# Writes DIR/table.md and DIR/table.json. Fails when a row cannot be measured.
set -euo pipefail
# shellcheck source=tests/bench/peers.bash
. "$(dirname "$0")/peers.bash"

# row      architecture and options of cameo new                   batch
rows='alexnet            alexnet                                        1
vgg16-bn           vgg16-bn                                       1
resnet18           resnet18                                       1
resnet34           resnet34                                       1
resnet50           resnet50                                       1
densenet121        densenet121                                    1
mobilenet-v1       mobilenet-v1                                   1
mobilenet-v2       mobilenet-v2                                   1
mobilefacenet      mobilefacenet                                  1
iresnet50          iresnet50                                      1
resnet18-64        resnet18 --classes 4000 --input 3x64x64        1
resnet50-b16       resnet50                                       16
mobilenet-v2-b16   mobilenet-v2                                   16'

usage() { sed -n '/^# usage:/,/^#$/s/^# //p' "$0"; }
nets='' threads=1 alternations=15 budget=200 xnnpack=1 prepare='' models='' exported='' list=''
out=bench-out
while [ $# -gt 0 ]; do
    case $1 in
    --nets) nets=${2//,/ }; shift ;;
    --threads) threads=${2//,/ }; shift ;;
    --alternations) alternations=$2; shift ;;
    --models) models=$2; shift ;;
    --exported) exported=$2; shift ;;
    -o) out=$2; shift ;;
    --quick) alternations=3 budget=50 ;;
    --without-xnnpack) xnnpack= ;;
    --prepare) prepare=1 ;;
    --list) list=1 ;;
    -h | --help) usage; exit ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done

# Rows of the files in $exported: name, @ and the file, the row of the same net (or -), batch.
exported_rows() {
    local file base name own
    for file in "$exported"/*.onnx; do
        [ -f "$file" ] || continue
        base=$(basename "$file" .onnx) name=$(basename "$file" .onnx)
        base=${base%.bn}
        own=$(awk -v b="$base" '
            { n = $1; gsub(/-/, "_", n); if (n == b && $NF == 1) print $1 }' <<<"$rows")
        case $name in
        *.bn) name=${own:-$base}-kept ;;
        *) [ -z "$own" ] || name=$own-exported ;;
        esac
        echo "$name @$file ${own:--} 1"
    done
}
if [ -n "$exported" ]; then
    exported=$(realpath "$exported")
    made=$(exported_rows)
    [ -n "$made" ] || { echo "table.sh: no ONNX file in $exported" >&2; exit 2; }
    rows+=$'\n'$made
fi
[ -z "$list" ] || { awk '{ print $1 }' <<<"$rows"; exit; }
nets=${nets:-$(awk '{ print $1 }' <<<"$rows")}
for net in $nets; do
    grep -q "^$net " <<<"$rows" && continue
    echo "table.sh: no row $net; there are: $(awk '{ print $1 }' <<<"$rows" | tr '\n' ' ')" >&2
    exit 2
done
cameo=$(command -v "${CAMEO:-cameo}") || { echo "table.sh: no cameo; set CAMEO" >&2; exit 4; }
cameo=$(realpath "$cameo")
mkdir -p "$out"
out=$(realpath "$out")

# Of an exported row: its file, and the row of our own net.
row_file() { awk -v r="$1" '$1 == r && sub(/^@/, "", $2) { print $2 }' <<<"$rows"; }
row_own() { awk -v r="$1" '$1 == r && /@/ && $3 != "-" { print $3 }' <<<"$rows"; }

row_batch() { awk -v r="$1" '$1 == r { print $NF }' <<<"$rows"; }

install_ort() {
    ORT=${ORT:-$out/ort}
    if [ ! -d "$ORT/node_modules/onnxruntime-node" ] && command -v npm >/dev/null; then
        mkdir -p "$ORT"
        (cd "$ORT" && npm install --ignore-scripts --no-audit --no-fund onnxruntime-node@1.30.0 \
            >npm.log 2>&1) || cat "$ORT/npm.log" >&2
    fi
    need_ort
}

# The net of a row is compiled, by this compiler.
made() { [ -x "$out/$1.cameo" ] && [ ! "$cameo" -nt "$out/$1.cameo" ]; }

# make_net ROW: its model, our program with its C (whose weights.bin says how much of the program is
# weights), the one with XNNPACK
make_net() {
    local options model=$out/$1.onnx batch log=$out/$1.log own file
    own=$(row_own "$1") file=$(row_file "$1")
    [ -z "$own" ] || made "$own" || make_net "$own" || return 1
    batch=$(row_batch "$1")
    options=$(awk -v r="$1" '$1 == r { $1 = $NF = ""; print }' <<<"$rows")
    # shellcheck disable=SC2086 # options are words
    if [ -n "$file" ]; then cp "$file" "$model"
    elif [ -n "$models" ]; then cp "$models/$1.onnx" "$model"
    elif [ ! -f "$model" ]; then
        "$cameo" new $options --statistics random -o "$model" 2>"$log" ||
            { cat "$log" >&2; return 1; }
    fi
    "$cameo" info --json "$model" >"$out/$1.info" 2>"$log" &&
        "$cameo" compile "$model" --batch "$batch" -o "$out/$1.cameo" --keep-c "$out/$1.c" \
            2>"$log" || { cat "$log" >&2; return 1; }
    if [ -z "$xnnpack" ] || [ -f "$out/$1.xnnpack" ]; then return; fi
    "$cameo" compile "$model" --batch "$batch" --kernels xnnpack -o "$out/$1.xnnpack" 2>"$log" ||
        { cat "$log" >&2; return 1; }
}

# Runs that fit the budget of one turn, given the time of one in ms.
runs_of() {
    awk -v t="$1" -v b="$budget" 'BEGIN { n = int(b / t); print (n < 2 ? 2 : n > 50 ? 50 : n) }'
}

# alternate ROW THREADS: lines "ORT ours XNNPACK new" in ms, the last for exported nets
alternate() {
    local i runs theirs ours x=0 new=0 own
    own=$(row_own "$1")
    runs=$(runs_of "$(time_program "$out/$1.cameo" "$2" 2)")
    for ((i = 0; i < alternations; i++)); do
        theirs=$(time_ort "$runs") && ours=$(time_program "$out/$1.cameo" "$2" "$runs") || return 1
        [ -z "$xnnpack" ] || x=$(time_program "$out/$1.xnnpack" "$2" "$runs") || return 1
        [ -z "$own" ] || new=$(time_program "$out/$own.cameo" "$2" "$runs") || return 1
        echo "$theirs $ours $x $new"
    done
}

# The least of several, of a process that loads the net and runs it once: "ms MB".
start_up() {
    local i line
    for ((i = 0; i < 5; i++)); do
        line=$("$out/machine" once "$1" bench --threads "$2" --runs 0) || return 1
        echo "$(field "$line" ms) $(field "$line" rss_mb)"
    done | sort -g | head -1
}

# measure ROW THREADS: one line of numbers, of which render knows the order
measure() {
    local batch pairs=$out/$1.$2.pairs once program weights macs new=0
    q() { awk "{ print $1 }" "$pairs" | quantile "$2"; }
    batch=$(row_batch "$1")
    start_ort "$out/$1.onnx" "$2" "$batch" || return 1
    alternate "$1" "$2" >"$pairs" || return 1
    stop_ort
    once=$(start_up "$out/$1.cameo" "$2") || return 1
    weights=$(stat -c %s "$out/$1.c/weights.bin")
    program=$(($(stat -c %s "$out/$1.cameo") - weights))
    macs=$(field "$(cat "$out/$1.info")" macs)
    # shellcheck disable=SC2016 # fields of awk
    [ -z "$(row_own "$1")" ] || new=$(q '$2 / $4' 0.5)
    # shellcheck disable=SC2016
    echo "$1 $2 $batch $macs $(q '$1' 0.5) $(q '$2' 0.5) $(q '$3' 0.5)" \
        "$(q '$1 / $2' 0.25) $(q '$1 / $2' 0.5) $(q '$1 / $2' 0.75)" \
        "$(q '$3 / $2' 0.25) $(q '$3 / $2' 0.5) $(q '$3 / $2' 0.75)" \
        "$alternations $once $ort_load $program $weights $new" >"$out/$1.$2.row"
}

lines() {
    local t r
    for t in $(find "$out" -name '*.row' | sed -E 's/.*\.([0-9]+)\.row/\1/' | sort -nu); do
        for r in $(awk '{ print $1 }' <<<"$rows"); do
            [ ! -f "$out/$r.$t.row" ] || cat "$out/$r.$t.row"
        done
    done
}

markdown() {
    lines | awk -v peak="$1" -v memory="$2" '
    BEGIN {
        printf "One core: %.0f GFLOP/s float32, %.1f GB/s from memory. ", peak, memory
        print "Times in ms; above 1 we are faster.\n"
        print "| net | threads | GMAC | ONNX Runtime | XNNPACK | Cameo | GFLOP/s | of peak " \
            "| x ONNX Runtime | x XNNPACK |" \
            " start-up | ORT start-up | memory MB | program MB | weights MB | / cameo new |"
        print "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    }
    {
        gmac = $3 * $4 / 1e9; rate = 2 * gmac / $6 * 1000
        printf "| %s | %d | %.3f | %.2f | %s | ", $1, $2, gmac, $5, $7 ? sprintf("%.2f", $7) : "-"
        printf "%.2f | %.0f | %.0f %% |", $6, rate,
            100 * rate / peak / $2
        printf " %.2f (%.2f - %.2f) | %s |", $9, $8, $10,
            $7 ? sprintf("%.2f (%.2f - %.2f)", $12, $11, $13) : "-"
        printf " %.1f | %.0f | %.1f | %.2f | %.1f | %s |\n", $15, $17, $16, $18 / 1e6, $19 / 1e6,
            $20 ? sprintf("%.3f", $20) : "-"
    }'
}

json() {
    lines | awk -v peak="$1" -v memory="$2" '
    BEGIN { printf "{\"peak_gflops\":%s,\"memory_gbytes\":%s,\"rows\":[", peak, memory }
    {
        rate = 2 * $3 * $4 / $6 / 1e6
        printf "%s\n{\"net\":\"%s\",\"threads\":%d,\"batch\":%d,\"macs\":%.0f,",
            (NR > 1 ? "," : ""), $1, $2, $3, $4
        printf "\"onnxruntime_ms\":%s,\"cameo_ms\":%s,\"xnnpack_ms\":%s,", $5, $6, $7 ? $7 : "null"
        printf "\"gflops\":%.2f,\"of_peak\":%.4f,", rate, rate / peak / $2
        printf "\"ratio\":%s,\"ratio_quartiles\":[%s,%s],", $9, $8, $10
        printf "\"xnnpack_ratio\":%s,\"alternations\":%d,", $7 ? $12 : "null", $14
        printf "\"startup_ms\":%s,\"peak_rss_mb\":%s,", $15, $16
        printf "\"onnxruntime_startup_ms\":%s,\"program_bytes\":%d,", $17, $18
        printf "\"weights_bytes\":%d,\"over_new\":%s}", $19, $20 ? $20 : "null"
    }
    END { print "\n]}" }'
}

[ -n "$prepare" ] || install_ort
[ -x "$out/machine" ] ||
    ${CC:-cc} -O3 -march=native -ffp-contract=fast "$bench_folder/machine.c" -o "$out/machine"
failed=0
for net in $nets; do
    if [ -n "$prepare" ] || ! made "$net"; then
        make_net "$net" || { echo "table.sh: $net: not compiled" >&2; failed=1; continue; }
    fi
    [ -z "$prepare" ] || continue
    for t in $threads; do
        measure "$net" "$t" || { echo "table.sh: $net, $t threads: not measured" >&2; failed=1; }
    done
done
[ -z "$prepare" ] || exit $failed
peak=$("$out/machine" peak)
markdown "$(field "$peak" gflops)" "$(field "$peak" gbytes)" >"$out/table.md"
json "$(field "$peak" gflops)" "$(field "$peak" gbytes)" >"$out/table.json"
cat "$out/table.md"
exit $failed
