#!/usr/bin/env bash
# ShellCheck over every script of the repository: nothing of its level "warning" or worse.
. "$(dirname "$0")/common.bash"
command -v shellcheck >/dev/null || skip "no shellcheck"
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
# 2154: common.bash, which a script reads from the folder beside it, sets the name. 2164: it sets
# -e, too. 2054: commas belong to the options that stand in arrays. 2238: `known` and `strings` are
# files.
shellcheck --shell bash --severity warning --exclude SC2154,SC2164,SC2054,SC2238 "${scripts[@]}"
