#!/usr/bin/env bash
# LFW with the real MobileFaceNet: every cosine within 1e-4 of the reference and the same AUC,
# whatever the batch and the number of threads.
. "$(dirname "$0")/common.bash"
need_data lfw
preprocess="size=112x112 color=rgb mean=123.675,116.28,103.53 scale=0.01712475,0.01750700,0.01742919"
for variant in "1 1" "16 2"; do
  set -- $variant
  "$CAMEO" compile "$DATA/models/mobilefacenet-dynamic-batch.onnx" --batch "$1" --preprocess "$preprocess" -o "$scratch/face"
  "$scratch/face" score "$DATA/lfw/pairs_hw2p2.txt" --root "$DATA/lfw/images" --threads "$2" --cache none -o "$scratch/run$1"
  awk -F, -v tolerance=1e-4 'NR==FNR { if (FNR>1) want[$1","$2]=$4; next } FNR>1 {
      d = $4 - want[$1","$2]; if (d < 0) d = -d; if (d > worst) worst = d; n++ }
      END { printf "%d pairs, largest difference of a cosine %.2g\n", n, worst; exit !(n == 2400 && worst <= tolerance) }' \
      "$DATA/lfw/reference_scores.csv" "$scratch/run$1/scores.csv"
done
# AUC is the one of the reference's cosines, by its definition: ranks of the same pairs.
tail -n +2 "$DATA/lfw/reference_scores.csv" | sort -t, -g -k4 | awk -F, -v got="$(number "$scratch/run1" auc)" '
    $3 == 1 { same++; sum += NR } $3 == 0 { different++ }
    END { auc = (sum - same * (same + 1) / 2) / same / different; printf "AUC %.9f, of the reference %.9f\n", got, auc
          exit !(got - auc < 1e-6 && auc - got < 1e-6) }'
cmp "$scratch/run1/scores.csv" "$scratch/run16/scores.csv"
