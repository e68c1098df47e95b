#!/usr/bin/env bash
# Every architecture of `cameo new` gives the bytes its golden file was made from; the small ones
# are compiled as well, with each choice of kernels, and agree with ONNX Runtime's stored outputs.
# ctest runs the nets side by side (tests/CMakeLists.txt).
#
# usage: architectures.sh NET...             bytes, and compiled
#        architectures.sh --others NET...    bytes of all but these; with ARCHITECTURES=all they are compiled too
. "$(dirname "$0")/common.bash"
golden=$SOURCE/tests/golden
kernels=(-c "--kernels auto" -c "--kernels xnnpack" -c "--kernels native")
[ $# -gt 0 ] || { echo "architectures: which nets?" >&2; exit 2; }
if [ "$1" != --others ]; then
  bash "$golden/check.sh" "$CAMEO" "${kernels[@]}" "$@"
  exit
fi
shift
others=()
for file in "$golden"/*.json; do
  net=$(basename "$file" .json)
  case " $* " in *" $net "*) ;; *) others+=("$net") ;; esac
done
[ "${ARCHITECTURES:-}" = all ] || kernels=(-m)
bash "$golden/check.sh" "$CAMEO" "${kernels[@]}" "${others[@]}"
