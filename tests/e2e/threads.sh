#!/usr/bin/env bash
# A compiled net runs on four threads. In a build of the thread sanitizer (PRESET=tsan) a race ends
# the program with a failure. Only kernels of our own: the sanitizer does not see how
# libpthreadpool, which is not built with it, makes threads wait.
. "$(dirname "$0")/common.bash"
cd "$scratch"
"$CAMEO" new mobilenet-v1 --width 0.25 --input 3x32x32 --classes 4 -o net.onnx
"$CAMEO" compile net.onnx --batch 4 --kernels native -o net
./net bench --threads 4 --runs 3
