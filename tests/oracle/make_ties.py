#!/usr/bin/python3
"""Small nets as PyTorch exports them, with equal tensors tied, and what PyTorch makes of them in double precision.

usage: make_ties.py [NAME...]

Writes tests/golden/ties/NAME.onnx and NAME.txt, which tests/golden/check_training.sh ties/NAME compares: ten losses, gradients of the
first step and running statistics behind it where the file has the framework's names. Needs python3-torch and python3-onnx; run by
hand, the files are committed. The names that end in -torch26 want PyTorch 2.6 (Debian 13), the others 1.13 (Debian 12)."""
import os, sys, warnings
import numpy as np
import onnx, onnx.numpy_helper
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.onnx import TrainingMode

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "ties")
BATCH, CLASSES, STEPS, PROJECTIONS = 8, 4, 10, 16
warnings.filterwarnings("ignore")


def mix64(z):
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def counted(first, n):
    return np.arange(first, first + n, dtype=np.uint64)


def projections(t):  # as make_training.py
    x = t.detach().numpy().reshape(-1)
    bits = mix64(counted(1, x.size))
    sums = [np.dot(np.where(bits >> np.uint64(k) & np.uint64(1), -1.0, 1.0), x) for k in range(PROJECTIONS)]
    return [float(np.linalg.norm(x)), *map(float, sums)]


def batch(seed, step, shape):  # as make_training.py
    n, start = int(np.prod(shape)), seed << 40
    x = (mix64(counted(start + 1 + step * n, n)) >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1
    labels = mix64(counted(start + 1000003 + step * shape[0], shape[0])) % np.uint64(CLASSES)
    return torch.from_numpy(x.reshape(shape)), torch.from_numpy(labels.astype(np.int64))


class Plain(nn.Module):
    """Two normalisations, fresh: all scales and variances are one tensor in the file, all shifts and means another."""
    channels = 3

    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.c2, self.b2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.f = nn.Linear(8, CLASSES)

    def features(self, x):
        x = F.relu(self.b1(self.c1(x)))
        return F.relu(self.b2(self.c2(x))).mean([2, 3])

    def forward(self, x):
        return self.f(self.features(x))


class Slopes(Plain):
    """Zero biases, slopes of PReLU, GroupNorm, dropout that drops nothing."""

    def __init__(self):
        nn.Module.__init__(self)
        self.c1, self.g, self.p1 = nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.PReLU(8)
        self.c2, self.p2 = nn.Conv2d(8, 8, 3, padding=1), nn.PReLU(8)
        self.d, self.f = nn.Dropout(0.0), nn.Linear(8, CLASSES)
        for layer in self.c1, self.c2, self.f:
            nn.init.zeros_(layer.bias)

    def features(self, x):
        x = self.p1(self.g(self.c1(x)))
        return self.d(self.p2(self.c2(x)).mean([2, 3]))


class Siamese(Plain):
    """One tower for both halves of the channels: convolutions, biases, normalisations and slopes are shared, the head is not."""
    channels = 6

    def __init__(self):
        nn.Module.__init__(self)
        self.c1, self.b1, self.p = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.PReLU(8)
        self.c2, self.b2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.f = nn.Linear(16, CLASSES)
        nn.init.zeros_(self.c1.bias), nn.init.zeros_(self.c2.bias)

    def tower(self, x):
        x = self.p(self.b1(self.c1(x)))
        return F.relu(self.b2(self.c2(x))).mean([2, 3])

    def features(self, x):
        return torch.cat([self.tower(x[:, :3]), self.tower(x[:, 3:])], 1)


class Levels(Plain):
    """Convolutions shared by two resolutions, each with a normalisation of its own."""

    def __init__(self):
        nn.Module.__init__(self)
        self.c1, self.c2 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.b1, self.b2, self.b3 = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.f = nn.Linear(16, CLASSES)

    def features(self, x):
        x = F.relu(self.b1(self.c1(x)))
        return torch.cat([F.relu(self.b2(self.c2(x))).mean([2, 3]), F.relu(self.b3(self.c2(F.avg_pool2d(x, 2)))).mean([2, 3])], 1)


SGD, ADAMW, ARC = "sgd", "adamw", "arcface:s=8,m=0.3"
# name: (net, optimiser, rate, loss, arguments of the export, "direct" where Identities go)
CASES = {
    "plain": (Plain, SGD, 0.05, "ce", {}, ""),
    "plain-direct": (Plain, ADAMW, 0.01, "ce", {}, "direct"),
    "plain-training": (Plain, SGD, 0.05, "ce", {"training": TrainingMode.TRAINING, "opset_version": 17}, ""),
    "plain-training12": (Plain, SGD, 0.05, "ce", {"training": TrainingMode.TRAINING, "opset_version": 12}, ""),
    "slopes": (Slopes, ADAMW, 0.01, "ce", {}, ""),
    "slopes-training": (Slopes, SGD, 0.05, "ce", {"training": TrainingMode.TRAINING, "do_constant_folding": False}, ""),
    "siamese": (Siamese, SGD, 0.05, "ce", {}, ""),
    "siamese-direct": (Siamese, SGD, 0.05, "ce", {}, "direct"),
    "levels": (Levels, SGD, 0.05, "ce", {}, ""),
    "plain-arcface": (Plain, SGD, 0.05, ARC, {}, ""),
    "plain-torch26": (Plain, SGD, 0.05, "ce", {}, ""),
    "plain-adamw-torch26": (Plain, ADAMW, 0.01, "ce", {}, ""),
    "arcface-torch26": (Plain, SGD, 0.05, ARC, {}, ""),
    "arcface-adamw-torch26": (Plain, ADAMW, 0.01, ARC, {"training": TrainingMode.TRAINING}, ""),
    "slopes-torch26": (Slopes, SGD, 0.05, "ce", {"training": TrainingMode.TRAINING, "do_constant_folding": False}, ""),
}


def name_directly(path):
    """As tools do that store equal tensors once: no Identity, all readers name the first."""
    m = onnx.load(path)
    other = {}
    for n in [n for n in m.graph.node if n.op_type == "Identity"]:
        other[n.output[0]] = other.get(n.input[0], n.input[0])
        m.graph.node.remove(n)
    for n in m.graph.node:
        for i, name in enumerate(n.input):
            n.input[i] = other.get(name, name)
    onnx.save(m, path)


def score(net, x, labels, loss):
    if loss == "ce":
        return F.cross_entropy(net(x), labels)
    cosine = F.normalize(net.features(x)) @ F.normalize(net.f.weight).t()
    own = cosine.gather(1, labels[:, None])
    margin = torch.cos(torch.acos(own) + 0.3)
    return F.cross_entropy(8 * cosine.scatter(1, labels[:, None], margin), labels)


def known_names(path):
    g = onnx.load(path).graph
    viewed = {name for n in g.node if n.op_type == "Unsqueeze" for name in n.input}  # learnt under the view's name
    return ({t.name for t in g.initializer} | {n.output[0] for n in g.node if n.op_type == "Identity"}) - viewed


def case(name):
    kind, optimiser, rate, loss, export, way = CASES[name]
    torch.manual_seed(5)
    net, path = kind(), os.path.join(OUT, name + ".onnx")
    shape = [BATCH, kind.channels, 8, 8]
    fresh = {k: v.clone() for k, v in net.state_dict().items()}
    trains = "training" in export
    if not trains:  # in evaluation, but without folding normalisations into convolutions
        net.eval()
        export = dict(export, training=TrainingMode.PRESERVE)
    x = torch.randn(1, *shape[1:])
    torch.onnx.export(net, x, path, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, **export)
    if trains:  # exporting has run the net: let the file hold what the net had before
        m = onnx.load(path)
        for t in m.graph.initializer:
            if t.name in fresh and "running" in t.name:
                t.CopyFrom(onnx.numpy_helper.from_array(fresh[t.name].numpy(), t.name))
        onnx.save(m, path)
    if way:
        name_directly(path)
    net.load_state_dict(fresh)
    net.double().train()
    learnt = [p for k, p in net.named_parameters() if loss == "ce" or k != "f.bias"]
    update = torch.optim.SGD(learnt, lr=rate, momentum=0.9) if optimiser == SGD else torch.optim.AdamW(learnt, lr=rate, weight_decay=0)
    lines = [f"model ties/{name}.onnx", f"compile --train --batch {BATCH} --loss {loss}"]
    lines += [f"optimizer {optimiser} rate {rate!r} decay 0.0 smoothing 0.0 classes {CLASSES}", "data 1 margin 0"]
    there = known_names(path) if not way else set()
    for step in range(STEPS):
        x, labels = batch(1, step, shape)
        value = score(net, x, labels, loss)
        update.zero_grad()
        value.backward()
        lines.append(f"loss {value.item():.17g}")
        rows = [("gradient", k, p.grad) for k, p in net.named_parameters()] + [("statistic", k, b) for k, b in net.named_buffers()]
        for word, k, t in rows:
            k = "head.weight" if loss != "ce" and k == "f.weight" else k
            if step == 0 and t is not None and t.dim() and (k in there or k == "head.weight"):
                lines.append(" ".join([word, k, *(f"{v:.12g}" for v in projections(t))]))
        update.step()
    with open(os.path.join(OUT, name + ".txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    print(name, os.path.getsize(path), [line for line in lines if line.startswith("loss")][::9], flush=True)


np.seterr(over="ignore")
newest = torch.__version__ >= "2"
for n in sys.argv[1:] or [n for n in CASES if n.endswith("torch26") == newest]:
    case(n)
