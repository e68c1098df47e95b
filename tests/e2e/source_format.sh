#!/usr/bin/env bash
# The C is as clang-format with .clang-format writes it, and no line of code or prose is longer than
# 100 characters (rows of tables aside).
. "$(dirname "$0")/common.bash"
cd "$SOURCE"
known=$scratch/known.md # has one, which must be found
printf '%101s\n' . >"$known"
find compiler runtime models tests examples docs ./*.md "$known" \
  \( -path tests/golden -o -name build \) -prune -o \
  \( -name '*.[ch]' -o -name '*.def' -o -name '*.md' \) -print0 |
  LC_ALL=C.UTF-8 xargs -0 grep -nE '^.{101}' | grep -v '^[^:]*:[0-9]*:|' >"$scratch/found" || true
grep -qF "$known:1:" "$scratch/found" || { echo "101 columns are not found"; exit 1; }
if grep -vF "$known:1:" "$scratch/found" >"$scratch/long"; then
  echo "FAIL longer than 100 characters:"
  cut -c1-120 "$scratch/long"
  exit 1
fi
command -v clang-format >/dev/null || skip "no clang-format"
# Versions disagree in small things; the tree follows that of Debian 12.
version=$(clang-format --version)
case $version in *"version 14."*) ;; *) skip "not clang-format 14: $version" ;; esac
# tests/golden has data that tests/oracle writes.
find runtime compiler models tests examples docs \( -path tests/golden -o -name build \) -prune \
  -o -name '*.[ch]' -print0 |
  xargs -0 clang-format --dry-run -Werror
