#!/usr/bin/python3
"""Golden numbers of training, by PyTorch in double precision.

usage: make_training.py CAMEO [NAME...]
  CAMEO   the cameo program

Each case of CASES is a small net of `cameo new` (dropout 0). Its graph is run node by node with
torch functions and differentiated by autograd; ten steps of an optimiser follow, each on a batch of
its own. tests/golden/training/NAME.txt states the commands, the model's SHA-256, the ten losses, the pixels of the first batch that were
moved (see apart), and for every gradient of the first step and every running statistic after it the
norm and PROJECTIONS sums with random signs: the mean square of the differences of such sums
estimates the square of the norm of the difference, so a file stays small.
Needs python3-torch and python3-onnx; run by hand, the files are committed. tests/tools/training_reference.c compares."""
import os, subprocess, sys, tempfile
import numpy as np
import onnx, onnx.numpy_helper
import torch
import torch.nn.functional as F
from model_digest import model_digest

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECTIONS, STEPS, SEED, BATCH, CLASSES, SMOOTHING, DECAY = 16, 10, 1, 8, 10, 0.1, 5e-4
PIXELS, MARGIN, UNIT = 8, 6e-5, 2.0**-23  # a value near a kink; deviations; the grid of pictures
SGD, ADAM, ADAMW = "sgd", "adam", "adamw"

# name: (arguments of `cameo new`, of `cameo compile --train`, optimiser, rate). None: a rate at which the loss falls by about 0.02 in ten
# steps. That shows what an optimiser does, and is little enough that an activation on the other side of a kink in some later step
# (float32 against float64) stays within the tolerance. ResNet-50 with residual branches of scale 1 is no fit subject: rounding grows
# from block to block, and PyTorch's own float32 gradients are 200 times the tolerance away from its float64 ones (conv1).
CASES = {
    "alexnet": (["alexnet", "--classes", str(CLASSES), "--input", "3x64x64", "--dropout", "0"], [], SGD, None),
    "vgg11-bn": (["vgg11-bn", "--classes", str(CLASSES), "--width", "0.25", "--input", "3x32x32", "--dropout", "0"], [], SGD, None),
    "resnet18": (["resnet18", "--classes", str(CLASSES), "--input", "3x64x64"], [], SGD, None),
    "resnet50": (["resnet50", "--classes", str(CLASSES), "--width", "0.25", "--residual-scale", "0.2", "--input", "3x64x64"], [], SGD, None),
    "densenet121": (["densenet121", "--classes", str(CLASSES), "--width", "0.25", "--input", "3x64x64"], [], SGD, None),
    "mobilenet-v1": (["mobilenet-v1", "--classes", str(CLASSES), "--input", "3x64x64", "--width", "0.5"], [], SGD, None),
    "mobilenet-v2": (["mobilenet-v2", "--classes", str(CLASSES), "--width", "0.25", "--input", "3x64x64", "--dropout", "0"], [], SGD, None),
    "mobilefacenet": (["mobilefacenet", "--input", "3x32x32"], ["--classes", str(CLASSES)], SGD, None),
    "mobilenet-v1-adam": (["mobilenet-v1", "--classes", str(CLASSES), "--input", "3x64x64", "--width", "0.25"], [], ADAM, 5e-6),
    "mobilenet-v1-adamw": (["mobilenet-v1", "--classes", str(CLASSES), "--input", "3x64x64", "--width", "0.25"], [], ADAMW, 5e-6),
}


def mix64(z):
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def counted(first, n):
    return np.arange(first, first + n, dtype=np.uint64)


def projections(t):
    """norm, then sum_i +-t[i], the sign of projection k and element i being bit k of mix64(i + 1)."""
    x, sums = t.detach().numpy().reshape(-1), np.zeros(PROJECTIONS)
    for first in range(0, x.size, 1 << 22):
        part = x[first : first + (1 << 22)]
        bits = mix64(counted(first + 1, part.size))
        sums += [np.dot(np.where(bits >> np.uint64(k) & np.uint64(1), -1.0, 1.0), part) for k in range(PROJECTIONS)]
    return [float(np.linalg.norm(x)), *map(float, sums)]


def batch(seed, step, shape):
    """Pictures in -1..1, exact in float32, and labels."""
    n, start = int(np.prod(shape)), seed << 40
    x = (mix64(counted(start + 1 + step * n, n)) >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1
    labels = mix64(counted(start + 1000003 + step * shape[0], shape[0])) % np.uint64(CLASSES)
    return torch.from_numpy(x.reshape(shape)), torch.from_numpy(labels.astype(np.int64))


class Net:
    """An ONNX graph in torch: parameters by name, one method an operator."""

    def __init__(self, path):
        self.graph = onnx.load(path).graph
        self.shape = [d.dim_value for d in self.graph.input[0].type.tensor_type.shape.dim]
        statistics = {n for node in self.graph.node if node.op_type == "BatchNormalization" for n in node.input[3:5]}
        self.value, self.learnt, self.statistics = {}, [], sorted(statistics)
        for tensor in self.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            value = torch.from_numpy(array.copy())
            if array.dtype == np.float32:
                value = value.double()
                if tensor.name not in statistics:
                    value.requires_grad_(True)
                    self.learnt.append(tensor.name)
            self.value[tensor.name] = value

    def kink(self, x, at=0.0):
        """Remembers how far values are from a point where a gradient jumps, in deviations."""
        self.kinks.append((x - at).reshape(-1) / x.detach().std())

    def __call__(self, x):
        self.kinks = []
        self.value[self.graph.input[0].name] = x
        for node in self.graph.node:
            a = {f.name: onnx.helper.get_attribute_value(f) for f in node.attribute}
            inputs = [self.value[n] if n else None for n in node.input]
            self.value[node.output[0]] = getattr(self, node.op_type)(a, *inputs)
        return self.value[self.graph.output[0].name]

    def Constant(self, a):
        value = torch.from_numpy(onnx.numpy_helper.to_array(a["value"]).copy())
        return value.double() if value.dtype == torch.float32 else value

    def MatMul(self, a, x, y):
        return x @ y

    def Conv(self, a, x, w, b=None):
        t, l, bottom, r = a.get("pads", [0, 0, 0, 0])
        x = F.pad(x, (l, r, t, bottom))
        return F.conv2d(x, w, b, a.get("strides", 1), 0, a.get("dilations", 1), a.get("group", 1))

    def BatchNormalization(self, a, x, scale, shift, mean, var):
        return F.batch_norm(x, mean, var, scale, shift, True, 1 - a.get("momentum", 0.9), a.get("epsilon", 1e-5))

    def Relu(self, a, x):
        self.kink(x)
        return F.relu(x)

    def Clip(self, a, x, low, high):
        self.kink(x, float(low)), self.kink(x, float(high))
        return torch.clamp(x, float(low), float(high))

    def PRelu(self, a, x, slope):
        self.kink(x)
        return torch.where(x < 0, x * slope, x)

    def MaxPool(self, a, x):
        t, l, b, r = a.get("pads", [0, 0, 0, 0])
        x = F.pad(x, (l, r, t, b), value=-float("inf"))
        kernel, stride = a["kernel_shape"], a.get("strides", 1)
        # Another value of the window may be the greatest; behind a Relu zeros are alike.
        window = F.unfold(x.reshape(-1, 1, *x.shape[2:]), kernel, stride=stride)
        first, second = window.topk(2, dim=1).values.unbind(1)
        self.kinks.append((first - second)[first > 0] / x.detach()[x > -float("inf")].std())
        return F.max_pool2d(x, kernel, stride)

    def AveragePool(self, a, x):
        assert not any(a.get("pads", [0]))
        return F.avg_pool2d(x, a["kernel_shape"], a.get("strides", 1))

    def GlobalAveragePool(self, a, x):
        return x.mean((2, 3), keepdim=True)

    def Flatten(self, a, x):
        return x.flatten(1)

    def Gemm(self, a, x, w, b=None):
        y = (x.t() if a.get("transA") else x) @ (w.t() if a.get("transB") else w) * a.get("alpha", 1.0)
        return y if b is None else y + b * a.get("beta", 1.0)

    def Add(self, a, x, y):
        return x + y

    def Concat(self, a, *x):
        return torch.cat(x, a["axis"])

    def Dropout(self, a, x, ratio=None, training=None):
        assert float(ratio) == 0
        return x


def optimizer(kind, weights, rate):
    if kind == SGD:
        return torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=DECAY)
    return (torch.optim.Adam if kind == ADAM else torch.optim.AdamW)(weights, lr=rate, weight_decay=DECAY)


def apart(net, x):
    """Moves some pixels of x, until no value of the net is nearer than MARGIN to a kink: there
    float32 and float64 choose the same side, whatever order they add in. What moves the nearest
    values away, and moves least, is a linear problem; others come near by it, so it is solved
    again. Returns x, the pixels with their moves in steps of UNIT, and how near the nearest is."""
    kept = {n: net.value[n].clone() for n in net.statistics}
    start = x
    for _ in range(200):
        at = x.detach().clone().requires_grad_(True)
        net(at)
        net.value.update({n: v.clone() for n, v in kept.items()})
        z = torch.cat(net.kinks)
        margin = float(z.detach().abs().min())
        if margin >= MARGIN:
            steps = ((x - start).reshape(-1) / UNIT).round().long()
            return x, [(int(i), int(steps[i])) for i in steps.nonzero()], margin
        near = (z.detach().abs() < 1.2 * MARGIN).nonzero().reshape(-1)
        print(f"    {len(near)} near, the nearest at {margin:.2g}", flush=True)
        rows = torch.stack([torch.autograd.grad(z[i], at, retain_graph=True)[0].reshape(-1)
                            for i in near])
        # Few pixels, so that moves are greater than a step: those that matter most to each.
        pixels = rows.abs().topk(PIXELS, dim=1).indices.unique()
        away = z.detach()[near].sign() * 1.5 * MARGIN - z.detach()[near]
        move = torch.linalg.lstsq(rows[:, pixels], away[:, None], driver="gelsd").solution
        x = x.clone()
        x.reshape(-1)[pixels] += (move[:, 0] / UNIT).round() * UNIT
    raise SystemExit("the values do not come apart: try another seed")


def golden(cameo, name, folder):
    new, compiled, kind, rate = CASES[name]
    model = os.path.join(folder, name + ".onnx")
    command = ["new", *new, "--seed", "3"]
    subprocess.run([cameo, *command, "-o", model], check=True, stderr=subprocess.DEVNULL)
    lines = [f"new {' '.join(command)}", f"sha256 {model_digest(model)}"]
    lines += [f"compile {' '.join(['--train', '--batch', str(BATCH), *compiled])}"]
    if compiled:  # the classifier is made anew by the compiler: the program says what it is
        program = os.path.join(folder, name)
        subprocess.run([cameo, "compile", model, "--train", *compiled, "-o", program], check=True)
        model = program + ".head.onnx"
        subprocess.run([program, "export", "-o", model], check=True, stdout=subprocess.DEVNULL)
    net = Net(model)
    weights = [net.value[n] for n in net.learnt]
    update = optimizer(kind, weights, rate or 1)
    first, moved, margin = apart(net, batch(SEED, 0, [BATCH, *net.shape[1:]])[0])
    losses, rows = [], []
    for step in range(STEPS):
        x, labels = batch(SEED, step, [BATCH, *net.shape[1:]])
        x = first if step == 0 else x
        loss = F.cross_entropy(net(x), labels, label_smoothing=SMOOTHING)
        update.zero_grad()
        loss.backward()
        losses.append(f"loss {loss.item():.17g}")
        if step == 0:
            square = sum(float((w.grad**2).sum()) for w in weights)
            rate = rate or float(f"{5e-4 / square:.1e}")
            update.param_groups[0]["lr"] = rate
            named = [("gradient", n, net.value[n].grad) for n in net.learnt] + [("statistic", n, net.value[n]) for n in net.statistics]
            rows = [" ".join([word, n, *(f"{v:.12g}" for v in projections(t))]) for word, n, t in named]
        update.step()
    lines.append(f"optimizer {kind} rate {rate!r} decay {DECAY!r} smoothing {SMOOTHING!r} classes {CLASSES}")
    lines += [f"data {SEED} margin {margin:.3g}"]
    for i in range(0, len(moved), 8):
        lines.append(" ".join(["moved", *(f"{p} {d}" for p, d in moved[i : i + 8])]))
    lines += [losses[0], *rows, *losses[1:]]
    return "\n".join(lines) + "\n"


def main():
    torch.set_default_dtype(torch.float64)
    cameo = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[2:] or CASES:
            text = golden(cameo, name, folder)
            with open(os.path.join(HERE, "..", "golden", "training", name + ".txt"), "w") as f:
                f.write(text)
            print(name, [line for line in text.splitlines() if line.startswith("loss")][::9], flush=True)


np.seterr(over="ignore")
main()
