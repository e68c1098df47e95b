"""The SHA-256 that goldens of `cameo new` hold: of the model as version 0.1.0 made it, whichever
version it is of (as tests/golden/digest.bash). Byte 10 says how long the version's name is."""
import hashlib


def model_digest(path):
    with open(path, "rb") as f:
        data = f.read()
    return hashlib.sha256(data[:10] + b"\x050.1.0" + data[11 + data[10] :]).hexdigest()
