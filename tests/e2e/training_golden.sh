#!/usr/bin/env bash
# Gradients, running statistics and losses of compiled trainers beside PyTorch's, with our kernels and with plain loops.
. "$(dirname "$0")/common.bash"
check="$SOURCE/tests/golden/check_training.sh"
"$check" "$CAMEO" "$SOURCE"
"$check" "$CAMEO" "$SOURCE" -c "--kernels plain" mobilenet-v1-adam
