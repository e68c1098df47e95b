#!/usr/bin/env bash
# ONNX's own backend tests as Debian packages them: no test of the tier-1 list may fail (tests/conform/tier1.txt), none may crash.
. "$(dirname "$0")/common.bash"
root=$(dpkg -L libonnx-testdata 2>/dev/null | grep -m1 '/data/node$' || true)
[ -n "$root" ] || skip "Debian's libonnx-testdata is not installed"
root=$(dirname "$root")
dirs=()
while read -r test; do dirs+=("$root/$test"); done < <(grep -v '^#' "$SOURCE/tests/conform/tier1.txt")
"$CAMEO" conform --json "${dirs[@]}" >"$scratch/results" || true
grep -c '"result":"pass"' "$scratch/results" | sed 's/$/ pass/'
bad=$(grep -v '"result":"pass"' "$scratch/results" | grep -v -F -f <(grep -v "^#" "$SOURCE/tests/conform/exceptions.txt"; echo "<none>") || true)
[ "$(wc -l <"$scratch/results")" -eq ${#dirs[@]} ] || { echo "results for $(wc -l <"$scratch/results") of ${#dirs[@]} tests"; exit 1; }
[ -z "$bad" ] || { echo "$bad"; exit 1; }
