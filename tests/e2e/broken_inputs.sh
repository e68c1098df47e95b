#!/usr/bin/env bash
# Hostile and broken inputs: each gives a message on stderr and exit code 1, quickly. (The
# importer's own table of hostile models is tests/unit/test_import_hostile.c, the decoders'
# tests/unit/test_image.c; this is what a user would type.)
. "$(dirname "$0")/common.bash"
cd "$scratch"
failures=0 cases=0
expect() { # CODE NAME COMMAND...
  local code=$1 name=$2 got=0
  shift 2
  cases=$((cases + 1))
  timeout 60 "$@" >out 2>err </dev/null || got=$?
  if [ $got -ne "$code" ] || [ ! -s err ] || grep -qE 'Sanitizer|runtime error' err; then
    echo "FAIL $name: exit $got, wanted $code"; head -5 err; failures=$((failures + 1))
  fi
}
# A network to break, and a program to feed.
"$CAMEO" new mobilefacenet --input 3x112x112 -o good.onnx 2>log
"$CAMEO" compile good.onnx -o net 2>log || { cat log; exit 1; }

printf '' >empty.onnx
head -c 5000 good.onnx >truncated.onnx
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' >lfs.onnx
printf '<!DOCTYPE html><html><body>404</body></html>' >html.onnx
printf 'just some text\n' >text.onnx
gzip -c good.onnx >gz.onnx
truncate -s 3G sparse.onnx
head -c 100000 /dev/zero >zeros.onnx
head -c 100000 /dev/urandom >noise.onnx
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "\012\377\377\377\177" }' >lengths.onnx
mkdir folder.onnx
for f in empty truncated lfs html text gz sparse zeros noise lengths folder absent; do
  expect 1 "check $f" "$CAMEO" check $f.onnx
  expect 1 "compile $f" "$CAMEO" compile $f.onnx -o nothing
  [ ! -e nothing ] || { echo "FAIL $f: left an output behind"; failures=$((failures + 1)); }
done

awk 'BEGIN { print "P3\n112 112\n255"; for (i = 0; i < 112 * 112; i++) print i % 256, 100, 50 }' >good.ppm
head -c 100 good.ppm >short.ppm
printf 'P6\n99999999 99999999\n255\n' >huge.ppm
printf '\377\330\377\340garbage' >bad.jpg
printf '\211PNG\r\n\032\ngarbage' >bad.png
printf 'GIF89a....' >other.gif
: >empty.jpg
mkdir dir.jpg
for f in short.ppm huge.ppm bad.jpg bad.png other.gif empty.jpg dir.jpg absent.jpg; do
  expect 1 "verify $f" ./net verify good.ppm $f
  expect 1 "embed $f" ./net embed $f -o e.npy
  printf 'good.ppm %s 1\n' "$f" >list
  expect 1 "score $f" ./net score list -o run
done
printf 'good.ppm\n' >one; printf 'good.ppm good.ppm maybe\n' >label; : >none; printf '10\t300\nA\t1\n' >lfw
for f in one label none lfw absent; do expect 1 "pair list $f" ./net score $f -o run; done
head -c 64 /dev/urandom >bad.npy
printf '\223NUMPY\001\000\020\000{broken: header}' >worse.npy
for f in bad.npy worse.npy absent.npy; do expect 1 "tensor $f" ./net run --input $f --output o; done
expect 2 "no verb" ./net
expect 2 "unknown verb" ./net frobnicate
expect 2 "unknown option" ./net bench --thread 2
expect 2 "bad number" ./net bench --threads many
expect 2 "unknown cameo verb" "$CAMEO" frobnicate
expect 2 "no model" "$CAMEO" compile
expect 2 "unknown compile option" "$CAMEO" compile good.onnx --ouput x
expect 4 "no compiler" "$CAMEO" compile good.onnx --cc no-such-compiler -o nothing
expect 4 "no such folder" "$CAMEO" compile good.onnx -o no/such/folder/net
if [ -e /dev/full ]; then expect 4 "full disk" ./net embed good.ppm -o /dev/full; fi
echo "$cases cases, $failures failures"
[ $failures -eq 0 ]
