#!/usr/bin/env bash
# `cmake --install` into a scratch prefix, which is then moved: the program finds its headers and
# library beside itself, also through a link on the PATH; the example builds through CMake and
# pkg-config; --emit c and so, and weights in a sidecar. Whatever the form, the numbers are those of
# the program.
. "$(dirname "$0")/common.bash"
build=$(dirname "$(dirname "$CAMEO")")
export XDG_CACHE_HOME=$scratch/cache
unset CAMEO_HOME
status=0
step() { echo "-- $*"; }
fail() { echo "FAIL $*"; status=1; }
same() { # WHAT GOT
  if [ "$2" = "$want" ]; then echo "ok   $1"; else fail "$1: \"$2\", not \"$want\""; fi
}
refused() { # WHAT CODE PATTERN COMMAND...
  local what=$1 code=$2 pattern=$3 got=0
  shift 3
  "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || got=$?
  if [ $got -eq "$code" ] && grep -q -- "$pattern" "$scratch/err"; then
    echo "ok   $what: $(head -1 "$scratch/err" | cut -c1-150)"
  else
    fail "$what: exit $got, wanted $code and \"$pattern\""
    cat "$scratch/err"
  fi
}

step "install, move the prefix, link to the program"
cmake --install "$build" --prefix "$scratch/first" >"$scratch/log"
mkdir -p "$scratch/on path" "$scratch/work"
mv "$scratch/first" "$scratch/prefix"
ln -s "$scratch/prefix/bin/cameo" "$scratch/on path/cameo"
headers=$(cd "$scratch/prefix/include/cameo" &&
  find . -name '*.[hd]*' -type f ! -path './kernels/*' | LC_ALL=C sort | tr '\n' ' ')
public="./cameo.h ./cameo_abi.h ./training/optim.h ./training/training.h "
[ "$headers" = "$public" ] || fail "headers installed: $headers, not $public"
export PATH="$scratch/on path:$PATH"
cd "$scratch/work"
cameo new mobilefacenet --statistics random --seed 3 -o face.onnx 2>log
cameo compile face.onnx -o face
"$TOOLS/example_numbers" draw 3x112x112 a.npy b.npy
for k in a b; do ./face run --input $k.npy --output $k; done
want=$("$TOOLS/example_numbers" tell a/output_0.npy b/output_0.npy)
echo "the program: $want"
case $want in *"cosine nan"* | "") echo "FAIL: no number to compare with"; exit 1 ;; esac
cameo run face.onnx run --input a.npy --output again
cmp a/output_0.npy again/output_0.npy

step "without the library, the runtime is built from its installed sources"
mv ../prefix/lib/libcameo.a .
cameo compile face.onnx --name face -o face2
mv libcameo.a ../prefix/lib
./face2 run --input a.npy --output again
cmp a/output_0.npy again/output_0.npy
mv ../prefix/include/cameo ../prefix/include/else
for page in cameo cameo-program; do
  [ -s "../prefix/share/man/man1/$page.1" ] || fail "no page $page"
done
[ -s ../prefix/share/doc/cameo/docs/using.md ] || fail "no documents"
[ -s ../prefix/share/doc/cameo/docs/internals/winograd.md ] || fail "no essays"
refused "no headers" 4 "include/cameo" cameo compile face.onnx -o program3
mv ../prefix/include/else ../prefix/include/cameo

step "the example, through find_package(Cameo)"
cmake -S "$SOURCE/examples/embed" -B example -DCMAKE_PREFIX_PATH="$scratch/prefix" \
  -DMODEL="$PWD/face.onnx" >log || cat log
cmake --build example >log || cat log
same "cameo_add_model" "$(example/embed)"

step "the example, through pkg-config"
export PKG_CONFIG_PATH=$scratch/prefix/lib/pkgconfig
cameo compile face.onnx --emit lib -o libface.a
read -ra cflags <<<"$(pkg-config --cflags cameo)"
read -ra libs <<<"$(pkg-config --libs cameo)"
cc=${CC:-cc}
$cc -I. "${cflags[@]}" "$SOURCE/examples/embed/embed.c" libface.a "${libs[@]}" -o embed
same "--emit lib, libface.a gives face.h" "$(./embed)"
if ldd embed | grep -E 'png|jpeg'; then fail "the library form carries image code"; fi

step "two networks in one program, in C++, from two threads"
cameo new mobilenet-v1 --width 0.25 --input 3x32x32 --classes 7 -o small.onnx 2>log
cameo compile small.onnx --emit lib --batch 3 -o libsmall.a
cat >both.cpp <<'C'
#include "face.h"
#include "small.h"
#include <cmath>
#include <cstdio>
#include <thread>
#include <vector>
static float first[2][SMALL_OUTPUT_0_ELEMENTS];
static void classify(int k) {
    small *net = small_create(nullptr, nullptr);
    std::vector<float> x(3 * SMALL_INPUT_0_ELEMENTS), y(3 * SMALL_OUTPUT_0_ELEMENTS);
    for (size_t i = 0; i < x.size(); i++)
        x[i] = std::sin(0.1f * (float)(i % SMALL_INPUT_0_ELEMENTS));
    for (int run = 0; run < 20; run++)
        if (!net || small_run(net, 3, x.data(), y.data())) return;
    for (size_t i = 0; i < SMALL_OUTPUT_0_ELEMENTS; i++)
        first[k][i] = y[2 * SMALL_OUTPUT_0_ELEMENTS + i];
    if (small_run(net, SMALL_BATCH + 1, x.data(), y.data()) == CAMEO_OK)
        std::puts("a count beyond the batch was taken");
    small_destroy(net);
}
int main() {
    std::thread a(classify, 0), b(classify, 1);
    a.join(), b.join();
    cameo_error error;
    face *net = face_create(nullptr, &error);
    std::vector<float> x(FACE_INPUT_0_ELEMENTS, 0.25f), e(FACE_EMBEDDING_0_ELEMENTS);
    bool same = net && face_embed(net, 1, x.data(), e.data()) == CAMEO_OK && first[0][0] != 0;
    for (size_t i = 0; i < SMALL_OUTPUT_0_ELEMENTS; i++) same = same && first[0][i] == first[1][i];
    std::puts(same ? "the same" : "different");
    face_destroy(net);
}
C
$cc -Wall -Wextra -Wpedantic -Wshadow -Werror -I. "${cflags[@]}" -x c++ both.cpp -x none \
  libface.a libsmall.a "${libs[@]}" -lstdc++ -o both || status=1
got=$(./both)
[ "$got" = "the same" ] && echo "ok   two models, two threads" ||
  fail "two models, two threads: $got"

step "--emit c, by hand"
cameo compile face.onnx --emit c --name face -o generated
$cc -O3 -march=native -ffp-contract=fast -fno-math-errno "${cflags[@]}" -I generated \
  -c generated/model.c
echo '#include "generated/model.h"' >face.h
$cc -I. "${cflags[@]}" "$SOURCE/examples/embed/embed.c" model.o "${libs[@]}" -o embed_c
got=$(./embed_c)
[ "${got%??}" = "${want%??}" ] && got=$want # its flags are ours, so the last digits may differ
same "--emit c" "$got"
cat >main.c <<'C'
#include "cameo.h"
extern const cameo_model face_model;
int main(int argc, char **argv) { return cameo_main(&face_model, argc, argv); }
C
$cc "${cflags[@]}" main.c model.o "${libs[@]}" -o program_c
./program_c info | grep -q 'chosen by: cameo.embedding' || fail "a program from --emit c"

step "--emit so, with dlopen"
cameo compile face.onnx --emit so -o libface.so
same "--emit so" "$("$TOOLS/dlopen_user" ./libface.so face)"
mkdir plugins
cameo compile face.onnx --emit so --weights sidecar -o plugins/libface.so
same "--emit so, sidecar beside it" "$("$TOOLS/dlopen_user" plugins/libface.so face)"

step "--weights sidecar"
mkdir side
cameo compile face.onnx --weights sidecar -o side/face
[ "$(stat -c %s side/face)" -lt "$(stat -c %s side/face.weights)" ] ||
  fail "the weights are in the program"
side/face run --input a.npy --output again
cmp a/output_0.npy again/output_0.npy
ln -s side/face linked
./linked run --input a.npy --output again
cp side/face.weights good
printf x | dd of=side/face.weights bs=1 seek=1000 conv=notrunc 2>log
refused "a changed sidecar" 1 "face.weights.*do not belong to this program (SHA-256 differs)" \
  side/face run --input a.npy --output no
head -c 5000 good >side/face.weights
refused "a short sidecar" 1 "face.weights.*do not belong to this program (5000 bytes" \
  side/face bench
rm side/face.weights
refused "a missing sidecar" 4 "face.weights.*not beside the program" side/face bench
[ ! -e no ] || fail "output in spite of a changed sidecar"
exit $status
