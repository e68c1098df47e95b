# Shared by the end-to-end scripts: where things are, a scratch folder, skipping.
set -euo pipefail
: "${CAMEO:?path of the cameo program}" "${SOURCE:?source folder}"
: "${TOOLS:?folder of the test tools}"
DATA=${CAMEO_DATA:-$SOURCE/../shared/data}
scratch=$(mktemp -d)
export XDG_CACHE_HOME=$scratch/cache # programs and embeddings are kept for one test only
trap 'rm -rf "$scratch"' EXIT
skip() { echo "SKIPPED: $*"; exit 77; }
need_data() { [ -d "$DATA/$1" ] || skip "no $1 under ../shared/data or \$CAMEO_DATA"; }
# RUN KEY: the first of that name, which is the chosen score's
number() { grep -o "\"$2\": [-0-9.e+]*" "$1/metrics.json" | sed 's/.* //;q'; }
# What the MobileFaceNet of ../shared/data/models was trained with.
lfw="size=112x112 color=rgb mean=123.675,116.28,103.53 scale=0.01712475,0.01750700,0.01742919"
export lfw

# CLASSES PICTURES SIZE: drawn faces in data/, and net.onnx, a small MobileNet for them.
synthetic_net() {
  ${CC:-cc} -O2 "$SOURCE/examples/synthetic_faces/synthetic_faces.c" -o faces -lm
  ./faces data "$1" "$2" "$3" >log
  "$CAMEO" new mobilenet-v1 --width 0.25 --input 3x32x32 --classes "$1" -o net.onnx 2>log
}

# EXIT MESSAGE COMMAND...: the command ends so and says that; else the script's own `fail`.
expect() {
  local want=$1 message=$2 got=0
  shift 2
  "$@" >out 2>err || got=$?
  [ $got -eq "$want" ] || { cat out err; fail "exit $got instead of $want: $*"; }
  grep -qF -- "$message" out err || { cat out err; fail "\"$message\" is not said: $*"; }
}
