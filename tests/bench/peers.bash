# What the benchmarks share: ONNX Runtime as a process that times on request, our programs, and
# quantiles. Sourced.

# Fails unless onnxruntime-node lies in the folder $ORT.
need_ort() {
    : "${ORT:?set ORT to the folder of onnxruntime-node}"
    [ -d "$ORT/node_modules/onnxruntime-node" ] && return
    echo "$(basename "$0"): no onnxruntime-node in $ORT: run npm install --ignore-scripts" \
        "onnxruntime-node@1.30.0 there" >&2
    return 4
}

# field JSON NAME: a number
field() { sed -E "s/.*\"$2\": *([0-9.eE+-]+).*/\1/" <<<"$1"; }

# The q-th quantile (0..1) of the numbers on stdin.
quantile() {
    sort -g | awk -v q="$1" '
        { v[NR] = $1 }
        END {
            k = (NR - 1) * q + 1; i = int(k); f = k - i
            print v[i] + (i < NR ? f * (v[i + 1] - v[i]) : 0)
        }'
}

# start_ort MODEL THREADS BATCH: loads the model, runs it once; $ort_load is what that took, in ms.
start_ort() {
    coproc ORT_PROCESS {
        cd "$ORT" && BENCH_THREADS=$2 BENCH_BATCH=$3 exec node "$bench_folder/ort.mjs" "$1"
    }
    local line
    read -r line <&"${ORT_PROCESS[0]}" || return 1
    # shellcheck disable=SC2034 # for whoever sources this
    ort_load=$(field "$line" load_ms)
}

# time_ort RUNS: the least of so many, in ms
time_ort() {
    local line
    echo "$1" >&"${ORT_PROCESS[1]}"
    read -r line <&"${ORT_PROCESS[0]}" || return 1
    field "$line" min_ms
}

stop_ort() {
    local pid=$ORT_PROCESS_PID
    eval "exec ${ORT_PROCESS[1]}>&-"
    wait "$pid" 2>/dev/null || true
}

# time_program PROGRAM THREADS RUNS: the same of a compiled program
time_program() {
    local line
    line=$("$1" bench --threads "$2" --runs "$3" --json | tr -d '\n') || return 1
    field "$line" min_ms
}

bench_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
