#!/usr/bin/env bash
# The official zoo models agree with their stored outputs (1e-4 of the output's size; the weights
# are not of our choosing).
. "$(dirname "$0")/common.bash"
need_data onnx-zoo
"$CAMEO" conform --rtol 1e-4 --atol 1e-4 "$DATA"/onnx-zoo/*
