# FILE: the SHA-256 of a model of `cameo new`, whichever version made it: the file names its
# version, and the goldens were made with 0.1.0's.
digest() {
    { head -c 11 "$1"; printf 0.1.0; tail -c +17 "$1"; } | sha256sum | cut -d' ' -f1
}
