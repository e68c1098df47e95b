#!/usr/bin/env bash
# Makes the files beside this script with the cameo of 0.1.0 (commit d5f1207):
#   CAMEO=.../cameo tests/golden/v0.1.0/make.sh
# net.onnx is tests/golden/ties/plain.onnx with every tensor by itself; data/ was drawn by
# examples/synthetic_faces (4 classes, 4 pictures, size 8), turned.png by hand: a PNG with an eXIf
# orientation, which 0.1.0 did not heed.
set -euo pipefail
: "${CAMEO:?the program of 0.1.0}"
cd "$(dirname "$0")"
build=$(mktemp -d) && trap 'rm -rf "$build"' EXIT
PATH=$build:$PATH
preprocess="color=rgb mean=127.5 scale=1/127.5"
compile() { "$CAMEO" compile "$@" --preprocess "$preprocess"; }

compile net.onnx --train --batch 4 --target x86-64-v2 -o "$build/face"
options=(--data data/train --val data/val --epochs 6 --lr 0.05 --ema 0.9 --augment crop=1,flip)
options+=(--log-every 1 --checkpoint-every 1 --threads 1)
face train "${options[@]}" -o "$build/whole"
mv "$build/whole/log.jsonl" whole.jsonl

# A run that was stopped within its third epoch.
update=0
while [ "$update" = 0 ]; do
  rm -rf run
  face train "${options[@]}" -o run & pid=$!
  until grep -q '"epoch": 2, "step": 8.*accuracy' run/log.jsonl; do sleep 0.001; done
  kill -TERM $pid
  wait $pid
  step=$(grep -o '"step": [0-9]*' run/log.jsonl | tail -1)
  update=$((${step#*: } % 4))
done 2>"$build/log"
rm run/curves.html

# 0.1.0 learnt tensors that a file holds once as one.
compile ../ties/plain.onnx --train --batch 4 -o "$build/tied"
tied train --data data/train --epochs 1 -o tied
rm tied/curves.html tied/log.jsonl

face score pairs.txt --root data/held-out --cache cache --save-embeddings -o score
rm score/report.html
face calibrate pairs.txt --root data/held-out --cache none -o face.calibration.json
cp net.onnx calibrated.onnx
face calibrate pairs.txt --root data/held-out --cache none --into calibrated.onnx
rm -f tuning.tsv
"$CAMEO" compile net.onnx --target x86-64-v2 --tune --tuning tuning.tsv -o "$build/tuned"
