#!/usr/bin/env bash
# ONNX's own backend tests as Debian packages them: no test of the tier-1 list may fail
# (tests/conform/tier1.txt), none may crash.
. "$(dirname "$0")/common.bash"
root=$(dpkg -L libonnx-testdata 2>/dev/null | grep -m1 '/data/node$' || true)
[ -n "$root" ] || skip "Debian's libonnx-testdata is not installed"
root=$(dirname "$root")
dirs=() absent=()
while read -r test; do
  if [ -d "$root/$test" ]; then dirs+=("$root/$test"); else absent+=("$test"); fi
done < <(grep -v '^#' "$SOURCE/tests/conform/tier1.txt")
# The list is that of ONNX 1.12 (Debian 12). Later versions renamed some tests and dropped others:
# they are named here.
if [ ${#absent[@]} -gt 0 ]; then
  echo "${#absent[@]} are not in this version of the suite: ${absent[*]}"
  case $(dpkg-query -W -f='${Version}' libonnx-testdata) in
  1.12.*) echo "but they belong to it"; exit 1 ;;
  esac
  [ ${#absent[@]} -le 40 ] || { echo "too many to call the rest the tier"; exit 1; }
fi
export KEPT=none # hardly two of them have a layer in common
"$CAMEO" conform --json "${dirs[@]}" >"$scratch/results" || true
grep -c '"result":"pass"' "$scratch/results" | sed 's/$/ pass/'
echo "<none>" >"$scratch/exceptions"
grep -v "^#" "$SOURCE/tests/conform/exceptions.txt" >>"$scratch/exceptions" || true # there are none
bad=$(grep -v '"result":"pass"' "$scratch/results" | grep -vFf "$scratch/exceptions" || true)
results=$(wc -l <"$scratch/results")
[ "$results" -eq ${#dirs[@]} ] || { echo "results for $results of ${#dirs[@]} tests"; exit 1; }
[ -z "$bad" ] || { echo "$bad"; exit 1; }
