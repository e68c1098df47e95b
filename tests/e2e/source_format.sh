#!/usr/bin/env bash
# The C is as clang-format with .clang-format writes it.
. "$(dirname "$0")/common.bash"
command -v clang-format >/dev/null || skip "no clang-format"
cd "$SOURCE"
# Versions disagree in small things; the tree follows that of Debian 12.
version=$(clang-format --version)
case $version in *"version 14."*) ;; *) skip "not clang-format 14: $version" ;; esac
# tests/golden has data that tests/oracle writes.
find runtime compiler models tests examples docs \( -path tests/golden -o -name build \) -prune \
  -o -name '*.[ch]' -print0 |
  xargs -0 clang-format --dry-run -Werror
