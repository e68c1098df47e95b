#!/usr/bin/env bash
# An image's embedding is the same, bit for bit, alone and in any slot of a batch, for 1, 2 and 5
# threads and whatever the batch the program was compiled for.
. "$(dirname "$0")/common.bash"
cd "$scratch"
for k in 1 2 3 4 5 6 7; do
  awk -v k=$k 'BEGIN {
    print "P3\n112 112\n255"
    for (i = 0; i < 112 * 112; i++) print (i * k) % 251, (i * 7 + k) % 256, int(i / 49) % 256
  }' >$k.ppm
done
rows() { tail -c $((4 * $2 * $3)) "$1"; } # the data of an .npy of $2 rows of $3 floats
status=0
for arch in mobilefacenet iresnet18 mobilenet-v2; do
  "$CAMEO" new $arch --statistics random -o net.onnx 2>log
  choices="auto xnnpack" batches="1 4 13"
  # Its first blocks run a strip of rows at a time, in bands.
  [ $arch != mobilenet-v2 ] || choices=native batches="1 3"
  for kernels in $choices; do
    rm -f reference.*
    same=yes
    for batch in $batches; do
      "$CAMEO" compile net.onnx --batch $batch --kernels $kernels -o net
      ./net profile --runs 1 >layers
      if [ $arch = mobilenet-v2 ] && ! grep -q strip-conv layers; then
        echo "FAIL no layers of $arch run a strip at a time"
        status=1
      fi
      for threads in 1 2 5; do
        ./net embed 1.ppm 2.ppm 3.ppm 4.ppm 5.ppm 6.ppm 7.ppm --threads $threads -o all.npy >log
        ./net embed 7.ppm 1.ppm 3.ppm --threads $threads -o some.npy >log
        size=$(($(stat -c %s all.npy) - 128)) dim=$((($(stat -c %s all.npy) - 128) / 28))
        rows all.npy 7 $dim >all
        rows some.npy 3 $dim >some
        row=$((4 * dim))
        { tail -c $row all; head -c $row all; head -c $((3 * row)) all | tail -c $row; } >want
        [ -s reference.all ] || cp all reference.all
        [ "$size" -eq $((28 * dim)) ] && cmp -s all reference.all && cmp -s some want && continue
        echo "FAIL $arch, kernels $kernels, batch $batch, threads $threads"
        status=1 same=no
      done
    done
    [ $same = no ] || echo "$arch, kernels $kernels: the same bits"
  done
done
# Of iResNet's batch the early layers go in smaller groups than the late ones, whose weights more
# images share.
"$CAMEO" new iresnet18 -o net.onnx 2>log
"$CAMEO" compile net.onnx --batch 13 --emit c -o net.c
grep -q run_late net.c/model.c ||
  { echo "FAIL all layers of iresnet18 go in the same groups"; status=1; }
exit $status
