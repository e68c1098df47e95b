#!/usr/bin/env bash
# Nets whose equal tensors an exporter has tied train as the untied ones do: gradients, running statistics and losses are PyTorch's
# of the untied net, in each of the four ways of tying. All of the training goldens with CAMEO_TIES=all.
. "$(dirname "$0")/common.bash"
check="$SOURCE/tests/golden/check_training.sh"
names=(mobilenet-v1-adam)
more=(mobilefacenet)
[ "${CAMEO_TIES:-}" != all ] || names=() more=()
for way in direct identity chain both; do
  "$check" "$CAMEO" "$SOURCE" -t $way "${names[@]}"
done
[ ${#more[@]} -eq 0 ] || "$check" "$CAMEO" "$SOURCE" -t direct "${more[@]}"
