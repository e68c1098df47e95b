#!/usr/bin/env bash
# Every script of the repository, and what CMake reads: no line has more than 100 columns.
# ShellCheck over the scripts: nothing of its level "warning" or worse.
. "$(dirname "$0")/common.bash"
cd "$SOURCE"
# What is no script by its ending begins with "#!" and names a shell.
scripts=()
while IFS= read -r file; do
  case $file in
  *.sh | *.bash) scripts+=("$file") ;;
  *) if head -n 1 "$file" | grep -qE '^#!.*\b(ba)?sh\b'; then scripts+=("$file"); fi ;;
  esac
done < <(find scripts tests docs/man examples .ci -type f)
[ ${#scripts[@]} -gt 30 ] || { echo "only ${#scripts[@]} scripts found"; exit 1; }
too_long() {
  awk 'length > 100 { print FILENAME ":" FNR ": " length " columns"; long = 1 }
    END { exit !long }' "$@"
}
mapfile -t build < <(find . -name 'build*' -prune -o \
  \( -name CMakeLists.txt -o -name '*.cmake*' \) -print)
if too_long "${scripts[@]}" "${build[@]}"; then exit 1; fi
printf '%101s\n' . >"$scratch/long"
too_long "$scratch/long" >"$scratch/log" || { echo "101 columns are not found"; exit 1; }

command -v shellcheck >/dev/null || skip "no shellcheck"
# 2154: common.bash, which a script reads from the folder beside it, sets the name. 2164: it sets
# -e, too. 2054: commas belong to the options that stand in arrays. 2238: `known` and `strings` are
# files.
shellcheck --shell bash --severity warning --exclude SC2154,SC2164,SC2054,SC2238 "${scripts[@]}"
