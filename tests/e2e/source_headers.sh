#!/usr/bin/env bash
# Every header of the runtime and of the compiler compiles by itself: it includes what it needs. So
# do the benchmarks, which nothing else of the suite compiles.
. "$(dirname "$0")/common.bash"
build=$(dirname "$(dirname "$CAMEO")")
cd "$SOURCE"
files=0 status=0
while IFS= read -r file; do
  files=$((files + 1))
  echo "#include \"$file\"" |
    ${CC:-cc} -std=gnu11 -Wall -Werror -fsyntax-only -Wno-unused-function -I. -Iruntime \
      -I"$build/generated" -x c - 2>"$scratch/log" ||
    { echo "FAIL $file:"; head -5 "$scratch/log"; status=1; }
done < <(find runtime compiler tests/bench -name '*.h' -o -path 'tests/bench/*.c' | LC_ALL=C sort)
[ $files -gt 50 ] || { echo "only $files files found"; exit 1; }
echo "$files files"
exit $status
