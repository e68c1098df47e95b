# A training step of PyTorch (forward, cross-entropy, backward, SGD with momentum and weight decay), timed on request.
#
# usage: torch_step.py NET SIZE BATCH CLASSES THREADS [OPTIONS]
#   OPTIONS   words joined by commas: nchw (default: channels last), foreach, fused (forms of SGD), compile (torch.compile)
# Prints {"ready_ms"} once some steps are done, by when memory has grown as far as it will; then, for every number N read, {"min_ms", "peak_rss_mb", "loss"} of N steps.
# Needs python3-torch, python3-torchvision and a fast BLAS: Debian's PyTorch runs with the reference implementation too, and its
# fully connected layers then take 30 times as long. So that one is refused.
import json
import resource
import sys
import time

import torch
import torchvision

net, size, batch, classes, threads = sys.argv[1], *map(int, sys.argv[2:6])
options = set(sys.argv[6].split(",")) if len(sys.argv) > 6 else set()
torch.set_num_threads(threads)
torch.manual_seed(0)
model = getattr(torchvision.models, net)(num_classes=classes).train()
x, y = torch.randn(batch, 3, size, size), torch.randint(0, classes, (batch,))
if "nchw" not in options:
    model = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
form = {k: True for k in ("foreach", "fused") if k in options}
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, **form)
criterion = torch.nn.CrossEntropyLoss()
forward = torch.compile(model) if "compile" in options else model


def step():
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = criterion(forward(x), y)
    loss.backward()
    optimizer.step()
    return time.perf_counter() - start, loss


start = time.perf_counter()
for _ in range(4):
    step()
if not any(name in open("/proc/self/maps").read() for name in ("openblas", "blis", "mkl_core")):
    sys.exit("torch_step.py: PyTorch runs with the reference BLAS; install libopenblas0-pthread")
print(json.dumps({"ready_ms": (time.perf_counter() - start) * 1e3, "torch": torch.__version__}), flush=True)
for line in sys.stdin:
    steps = [step() for _ in range(int(line))]
    print(json.dumps({"min_ms": min(t for t, _ in steps) * 1e3, "loss": float(steps[-1][1]),
                      "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)
