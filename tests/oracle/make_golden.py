#!/usr/bin/python3
"""Golden outputs of every architecture of `cameo new`, by ONNX Runtime.

usage: make_golden.py CAMEO ORT_FOLDER [ARCHITECTURE...]
  CAMEO       the cameo program
  ORT_FOLDER  where `npm install --ignore-scripts onnxruntime-node@1.30.0` was run

For each architecture a small model is made (few classes, small input), checked by onnx.checker, run by ONNX Runtime on the input
x[i] = sin(0.37 i), and tests/golden/ARCHITECTURE.json is written: the command line, the model's SHA-256, the first 8 outputs, the
projection sum_k y[k] cos(0.37 k), minimum and maximum.
Needs python3-onnx; run by hand, the files are committed. Statistics are random ones: with fresh ones BatchNormalization does nothing and a
mistake in folding it would not show."""
import json, math, os, subprocess, sys, tempfile
import onnx
from model_digest import model_digest

FACE = ("mobilefacenet", "iresnet", "sphereface")
HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = 2  # images: the second shows a mistake along the batch


def arguments(name):
    """Small inputs; AlexNet and VGG at sizes that need adaptive pooling, other nets at odd sizes that their strides allow."""
    if name.startswith(FACE):
        return ["--embedding-size", "32", "--input", "3x48x48"], "3x48x48"
    shape = "3x96x80" if name == "alexnet" else "3x64x64" if name.startswith("vgg") else "3x65x48"
    return ["--classes", "20", "--input", shape], shape


def golden(cameo, ort, name, folder):
    options, shape = arguments(name)
    model = os.path.join(folder, name + ".onnx")
    command = ["new", name, *options, "--statistics", "random", "--seed", "1"]
    subprocess.run([cameo, *command, "-o", model], check=True, stderr=subprocess.DEVNULL)
    digest = model_digest(model)
    onnx.checker.check_model(model, full_check=True)  # rewrites the file, with the shapes it infers
    script = os.path.join(HERE, "ort.mjs")
    line = subprocess.run(["node", script, model, shape, str(COUNT)], cwd=ort, check=True, capture_output=True, text=True).stdout
    (output,) = json.loads(line)
    os.unlink(model)
    y = output["data"]
    if not all(map(math.isfinite, y)) or max(y) == min(y):
        sys.exit(f"{name}: the output is not finite, or constant")
    return {
        "command": command,
        "sha256": digest,
        "input": {"shape": [COUNT, *map(int, shape.split("x"))], "formula": "x[i] = sin(0.37 * i), i over the whole tensor"},
        "output": {"name": output["name"], "shape": output["shape"]},
        "first": [float(f"{v:.9g}") for v in y[:8]],
        "projection": float(f"{sum(v * math.cos(0.37 * k) for k, v in enumerate(y)):.9g}"),
        "min": float(f"{min(y):.9g}"),
        "max": float(f"{max(y):.9g}"),
    }


def main():
    cameo, ort = map(os.path.abspath, sys.argv[1:3])
    listing = subprocess.run([cameo, "new", "--list", "--json"], check=True, capture_output=True, text=True).stdout
    names = sys.argv[3:] or [json.loads(line)["name"] for line in listing.splitlines()]
    target = os.path.join(HERE, "..", "golden")
    os.makedirs(target, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            result = golden(cameo, ort, name, folder)
            with open(os.path.join(target, name + ".json"), "w") as f:
                f.write(json.dumps(result, indent=1) + "\n")
            print(name, result["first"][:2], result["min"], result["max"])


if __name__ == "__main__":
    main()
