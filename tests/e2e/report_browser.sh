#!/usr/bin/env bash
# report.html in a headless browser: every picture shown, nothing fetched, no error, nothing wider
# than a phone.
. "$(dirname "$0")/common.bash"
cd "$scratch"
browser=
for name in chromium chromium-headless-shell google-chrome; do
  if [ -z "$browser" ] && command -v $name >/dev/null; then browser=$name; fi
done
[ "$browser" ] || skip "no Chromium"
"$CAMEO" new mobilenet-v1 --width 0.25 --input 3x32x32 --classes 7 -o net.onnx 2>log
"$CAMEO" compile net.onnx --kernels plain --preprocess "color=rgb mean=127.5 scale=1/128" -o net 2>log
for p in 1 2 3 4 5 6; do
  awk -v s=$p 'BEGIN { print "P3\n32 32\n255"; for (i = 0; i < 3072; i++) { s = (s * 1103515245 + 12345) % 2147483648; printf "%d\n", s / 8388608 } }' >$p-a_rather_long_name_of_a_picture_that_must_not_widen_the_page.ppm
done
for p in 1 2 3 4 5; do for q in 2 3 4 5 6; do [ $p = $q ] || echo $p-*.ppm $q-*.ppm $(((p + q) % 2)); done; done >pairs.txt
./net score pairs.txt -o run >log 2>&1
./net report run run -o both.html >log
cat >probe.html <<'E2'
<script>addEventListener("load", () => { const i = [...document.images];
  document.title = `${i.length} pictures, ${i.filter(x => !x.complete || !x.naturalWidth).length} not shown, ` +
    `${performance.getEntriesByType("resource").filter(r => !r.name.startsWith("data:")).length} fetched, ` +
    (document.documentElement.scrollWidth > innerWidth ? "too wide" : "fits") })</script>
E2
status=0
for page in run/report.html both.html; do
  cat "$page" probe.html >page.html
  for width in 320 1200; do
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --enable-logging=stderr --user-data-dir="$scratch/profile" --window-size=$width,900 \
      --virtual-time-budget=5000 --dump-dom "file://$scratch/page.html" >dom 2>err || { tail -5 err; echo "FAIL $browser"; status=1; }
    title=$(grep -o '<title>[^<]*' dom | head -1)
    echo "$page at $width: ${title#<title>}"
    [[ $title == *" 0 not shown, 0 fetched, fits" ]] || { echo "FAIL $page at $width"; status=1; }
    if grep CONSOLE err; then echo "FAIL $page: console"; status=1; fi
  done
done
exit $status
