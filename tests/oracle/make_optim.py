#!/usr/bin/python3
"""Golden numbers of PyTorch's optimisers and schedules: writes tests/golden/optim.h. Needs python3-torch; run by hand, the file is
committed.

usage: make_optim.py > tests/golden/optim.h

Parameters: w[i] = sin(0.7 i + 1), i < 100, with weight decay, and b[i] = cos(0.4 i), i < 10, without. Gradients of step t:
dw[i] = cos(0.3 i + 0.9 t), db[i] = 2 sin(0.2 i + 0.5 t). Twelve steps; after them w[::9] and b are printed."""
import math, torch

W, B, STEPS = 100, 10, 12


def run(make, clip=0):
    w = torch.tensor([math.sin(0.7 * i + 1) for i in range(W)], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([math.cos(0.4 * i) for i in range(B)], dtype=torch.float64, requires_grad=True)
    optimizer = make(w, b)
    for t in range(STEPS):
        w.grad = torch.tensor([math.cos(0.3 * i + 0.9 * t) for i in range(W)], dtype=torch.float64)
        b.grad = torch.tensor([2 * math.sin(0.2 * i + 0.5 * t) for i in range(B)], dtype=torch.float64)
        if clip:
            torch.nn.utils.clip_grad_norm_([w, b], clip)
        optimizer.step()
    return [*w.detach()[::9].tolist(), *b.detach().tolist()]


def groups(w, b, decay):
    return [{"params": [w], "weight_decay": decay}, {"params": [b], "weight_decay": 0.0}]


o = torch.optim
cases = {
    "sgd": run(lambda w, b: o.SGD(groups(w, b, 0.01), lr=0.05)),
    "sgd_momentum": run(lambda w, b: o.SGD(groups(w, b, 0.01), lr=0.05, momentum=0.9)),
    "sgd_nesterov": run(lambda w, b: o.SGD(groups(w, b, 0.01), lr=0.05, momentum=0.9, nesterov=True)),
    "sgd_decay_all": run(lambda w, b: o.SGD([w, b], lr=0.05, momentum=0.9, weight_decay=0.01)),
    "sgd_clip": run(lambda w, b: o.SGD(groups(w, b, 0.01), lr=0.05, momentum=0.9), clip=2.5),
    "adam": run(lambda w, b: o.Adam(groups(w, b, 0.01), lr=0.02)),
    "adamw": run(lambda w, b: o.AdamW(groups(w, b, 0.1), lr=0.02, betas=(0.8, 0.95), eps=1e-6)),
}
print("/* Made by tests/oracle/make_optim.py with PyTorch %s. */" % torch.__version__.split("+")[0].split("a")[0])
for name, values in cases.items():
    print("static const double golden_%s[] = {%s};" % (name, ", ".join("%.12g" % v for v in values)))

EPOCHS, EPOCH_STEPS = 6, 5


def rates(make, per_epoch=False):
    optimizer = o.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = make(optimizer)
    out = []
    for t in range(EPOCHS * EPOCH_STEPS):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if not per_epoch or (t + 1) % EPOCH_STEPS == 0:
            schedule.step()
    return out


def plateau():
    optimizer = o.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = o.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.3, patience=1, min_lr=0.004)
    out = []
    for metric in (0.5, 0.6, 0.6, 0.59, 0.61, 0.61, 0.61001, 0.6, 0.6, 0.3, 0.2, 0.9):
        schedule.step(metric)
        out.append(optimizer.param_groups[0]["lr"])
    return out


s = o.lr_scheduler
total = EPOCHS * EPOCH_STEPS
schedules = {
    "step": rates(lambda x: s.StepLR(x, 2, gamma=0.3), per_epoch=True),
    "multistep": rates(lambda x: s.MultiStepLR(x, [2, 5], gamma=0.2), per_epoch=True),
    "cosine": rates(lambda x: s.CosineAnnealingLR(x, total, eta_min=0.001)),
    "restarts": rates(lambda x: s.CosineAnnealingWarmRestarts(x, EPOCH_STEPS, T_mult=2, eta_min=0.001)),
    "onecycle": rates(lambda x: s.OneCycleLR(x, 0.1, total_steps=total, cycle_momentum=False)) ,
    "plateau": plateau(),
    "warm": [min(1, (t + 1) / 7) * 0.1 * 0.5 * (1 + math.cos(math.pi * t / total)) for t in range(total)],
}
for name, values in schedules.items():
    print("static const double golden_rate_%s[] = {%s};" % (name, ", ".join("%.12g" % v for v in values)))
