#!/usr/bin/env bash
# Gradients, running statistics and losses of compiled trainers beside PyTorch's, with our kernels,
# with those of the narrowest vectors, and with plain loops. Nets whose layers are of the same kinds
# as a smaller one's are compiled with -O1, which takes two thirds of the time. ctest runs the nets
# side by side (tests/CMakeLists.txt).
#
# usage: training_golden.sh [--plain | --narrow] NET...
. "$(dirname "$0")/common.bash"
options=()
if [ "${1:-}" = --plain ]; then
  options=(-c "--kernels plain")
  shift
elif [ "${1:-}" = --narrow ]; then # 4 floats: SSE; AArch64 has no others
  [ "$(uname -m)" != x86_64 ] || options=(-c "--target x86-64-v2")
  shift
fi
[ $# -gt 0 ] || { echo "training_golden: which nets?" >&2; exit 2; }
case $* in densenet121 | resnet50 | mobilenet-v2 | vgg11-bn) export LAST_OPTIONS=-O1 ;; esac
"$SOURCE/tests/golden/check_training.sh" "$CAMEO" "$SOURCE" "${options[@]}" "$@"
