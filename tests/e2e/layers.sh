#!/usr/bin/env bash
# scripts/check-layers: passes here, and finds an include that climbs, in either program, and a file
# that is in no room.
set -euo pipefail
"$SOURCE/scripts/check-layers"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$SOURCE/runtime" "$SOURCE/compiler" "$copy"

# climbs FILE INCLUDE: with that line added to FILE, and to nothing else, the check names its place.
climbs() {
    local file=$copy/$1 said
    cp "$file" "$copy/kept"
    sed -i "1i #include \"$2\"" "$file"
    if said=$("$SOURCE/scripts/check-layers" "$copy"); then
        echo "layers: $1 may include $2" && exit 1
    fi
    grep -qF "$1:1: " <<<"$said" || { echo "layers: not said where: $said" && exit 1; }
    mv "$copy/kept" "$file"
}
climbs runtime/core/context.c ../base/files.h
climbs runtime/image/resize.c ../training/sampler.h
climbs compiler/ir/ir.c ../passes/front.h
climbs compiler/ops/conv.c ../kernels/conv_plan.h
climbs runtime/base/wire.c ../../compiler/ir/ir.h
echo 'int x;' >"$copy/runtime/loose.c"
if "$SOURCE/scripts/check-layers" "$copy" >/dev/null; then
    echo "layers: a file in no room" && exit 1
fi
echo "layers: ok"
