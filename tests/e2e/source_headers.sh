#!/usr/bin/env bash
# Every header of the runtime and of the compiler compiles by itself: it includes what it needs.
. "$(dirname "$0")/common.bash"
build=$(dirname "$(dirname "$CAMEO")")
cd "$SOURCE"
headers=0 status=0
while IFS= read -r header; do
  headers=$((headers + 1))
  echo "#include \"$header\"" |
    ${CC:-cc} -std=gnu11 -Wall -Werror -fsyntax-only -Wno-unused-function -I. -Iruntime \
      -I"$build/generated" -x c - 2>"$scratch/log" ||
    { echo "FAIL $header:"; head -5 "$scratch/log"; status=1; }
done < <(find runtime compiler -name '*.h' | LC_ALL=C sort)
[ $headers -gt 50 ] || { echo "only $headers headers found"; exit 1; }
echo "$headers headers"
exit $status
