#!/usr/bin/env bash
# What is written about options agrees with the programs: each option that --help lists is taken, is
# in the manual page and in no other form; usage lines, README and docs name only options and verbs
# that exist.
. "$(dirname "$0")/common.bash"
build=$(dirname "$(dirname "$CAMEO")")
cd "$scratch"
status=0
fail() { echo "FAIL $*"; status=1; }
"$CAMEO" new mobilenet-v1 --width 0.25 --input 3x32x32 --classes 7 -o net.onnx 2>log
"$CAMEO" compile net.onnx --kernels plain -o net
# The manual is about programs that train, too: what lists their verbs for the manual stands for
# them, and has what others have.
trainer=$build/manual-verbs
verbs() { "$1" --help | awk '/^  [a-z]/ { print $1 }'; }
# "name VALUE" of each line of a --help
options() { sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}--\([a-z0-9-]*\)\( [^ ]*\)\{0,1\} .*/\2\3/p'; }

one_verb() { # PROGRAM NAME PAGE VERB
  local program=$1 page=$3 verb=$4 name value got
  "$program" "$verb" --help >help || { fail "$2 $verb --help: exit $?"; return; }
  head -1 help | grep -q "^usage: .*$verb" || fail "$2 $verb --help: no usage line"
  # the verb's section of the page, as plain text
  awk -v head="^[.]SS (cameo|NET) $verb( |\$)" '
    $0 ~ head { on = 1; next } /^[.]S[SH] / { on = 0 } on' "$page" | sed 's/\\-/-/g' >section
  [ -s section ] || fail "$page has no section of $verb"
  options <help >options
  [ -s options ] || fail "$2 $verb --help lists no options"
  while read -r name value; do
    grep -q -- "^[.]B .*--$name\($\| \)" section || fail "$page: $verb lacks --$name"
    got=0
    if [ "$name" = help ]; then "$program" "$verb" --help >out 2>&1 || got=$?
    elif [ -n "$value" ]; then "$program" "$verb" "--$name" 1 --help >out 2>&1 || got=$?
    else "$program" "$verb" "--$name" --help >out 2>&1 || got=$?; fi
    if [ $got -ne 0 ] || ! cmp -s out help; then fail "$2 $verb --$name is not taken"; fi
  done <options
  # what the page and the usage line name is in the list
  {
    sed -n 's/^[.]B .*--\([a-z0-9-]*\).*/\1/p' section
    head -1 help | { grep -o -- '--[a-z][a-z0-9-]*' || true; } | cut -c3-
  } | sort -u >named
  while read -r name; do
    grep -q "^$name\($\| \)" options || [ "$name" = help ] ||
      fail "$2 $verb: --$name is named but not listed"
  done <named
  got=0
  "$program" "$verb" --no-such-option >out 2>err || got=$?
  [ $got -eq 2 ] && grep -q no-such-option err || fail "$2 $verb --no-such-option: exit $got"
  sed 's/ .*//' options >>"$2.options"
}

for pair in "cameo $CAMEO" "cameo-program $trainer"; do
  read -r name program <<<"$pair"
  page=$build/share/man/man1/$name.1
  [ -s "$page" ] || { fail "no $page"; continue; }
  : >"$name.options"
  for verb in $(verbs "$program"); do one_verb "$program" "$name" "$page" "$verb"; done
  echo "$name: $(verbs "$program" | wc -l) verbs, $(sort -u "$name.options" | wc -l) options"
  if command -v man >log && man --warnings -l "$page" 2>&1 >/dev/null | grep .; then
    fail "$page: troff warns"
  fi
done

for verb in $(verbs ./net); do
  verbs "$trainer" | grep -qx "$verb" || fail "a program that trains lacks $verb"
  ./net "$verb" --help >plain
  "$trainer" "$verb" --help | options >all
  options <plain >some
  grep -vxFf all some >missing || true
  [ ! -s missing ] || fail "$verb of a program that trains lacks $(head -1 missing)"
done

# Documents: options of ours, of our scripts (as they parse them), or of the tools that they show.
{
  cat cameo.options cameo-program.options
  grep -ohE -- '--[a-z][a-z0-9-]+\)' "$SOURCE"/scripts/* "$SOURCE"/tests/bench/*.sh |
    sed 's/^--//; s/)$//'
  printf '%s\n' help version preset build install prefix component target test data cflags libs \
    no-such-option param
} | sort -u >known
for document in "$SOURCE"/*.md "$SOURCE"/docs/*.md "$SOURCE"/examples/*/*; do
  [ "$(basename "$document")" = conformance.md ] && continue
  { grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z0-9-]+' "$document" || true; } | sed 's/.*--//' |
    sort -u | while read -r name; do
      grep -qx "$name" known || echo "$(basename "$document"): --$name"
    done
done >unknown
[ ! -s unknown ] || { fail "documents name options that do not exist:"; cat unknown; }
# Messages: what a string of the sources calls an option is one of the programs' own. Not meant:
# styles of the reports, words for the C compiler.
find "$SOURCE"/compiler "$SOURCE"/runtime -name '*.[ch]' \
  -exec grep -HoE '"([^"\\]|\\.)*"' {} + >strings.all || true
sed -E 's/var\(--[a-z0-9-]*\)//g; s/--[a-z0-9-]+:( ?#|[a-z])//g; s/-Wl,--[a-z-]+|--param//g' \
  strings.all >strings
[ "$(wc -l <strings)" -gt 1000 ] || fail "the sources have no strings"
awk -F: 'NR == FNR { known[$1]; next }
  { for (s = $0; match(s, /[^a-zA-Z0-9-]--[a-z][a-z0-9-]+/); s = substr(s, RSTART + RLENGTH)) {
      name = substr(s, RSTART + 3, RLENGTH - 3)
      if (!(name in known)) print $1 ": --" name
    } }' known strings >unknown
[ ! -s unknown ] || { fail "messages name options that do not exist:"; cat unknown; }
# The hint of an error that has none of its own blames the file: not where Cameo falls short.
find "$SOURCE"/compiler -name '*.c' -exec cat {} + | tr '\n' ' ' |
  grep -oE '(diag_error\([^;]*, n, NULL|node_error\([^;"]*), *("([^"\]|\\.)*" *)+' |
  grep -v '^node_error([^,]*, NULL,' >faults || true # what is about no node has no such hint
[ "$(wc -l <faults)" -gt 100 ] || fail "messages about the file's faults are not found"
grep -E 'not supported|(is|are) supported|too high|has no gradient' faults >blamed || true
[ ! -s blamed ] || { fail "these are no fault of the file: DIAG_UNSUPPORTED"; cat blamed; }
known_verbs=" $(verbs "$CAMEO" | tr '\n' ' ') $(verbs "$trainer" | tr '\n' ' ') "
sed -n 's/^ *\(\.\/[a-z]*\|cameo\) \([a-z]*\) .*/\2/p' "$SOURCE"/README.md "$SOURCE"/docs/using.md |
  sort -u >shown
[ -s shown ] || fail "README shows no commands"
while read -r verb; do
  case $known_verbs in *" $verb "*) ;; *) fail "a document shows the verb \"$verb\"" ;; esac
done <shown
exit $status
