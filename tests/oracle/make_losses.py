#!/usr/bin/python3
"""Golden numbers of the losses, computed with PyTorch and differentiated by its autograd in float64: writes tests/golden/losses.h.
Needs python3-torch; run by hand, the file is committed.

usage: make_losses.py > tests/golden/losses.h

Six images of classes 0 1 0 2 1 0, five classes, embeddings of four numbers:
scores[i][k] = 3 sin(1.3 i + 2.1 k + 1.5), embeddings[i][d] = sin(0.9 i + 1.7 d) + 0.3 cos(2.3 i d), centers[k][d] = 0.5 cos(k - 0.4 d).
Each array holds the loss, then its gradient by the scores (embeddings); center also the moved centers."""
import math, torch
import torch.nn.functional as F

N, K, D = 6, 5, 4
labels = torch.tensor([0, 1, 0, 2, 1, 0])
labels_b = torch.tensor([3, 1, 4, 0, 2, 2])
mix = torch.tensor([1, 0.25, 0.75, 1, 0.5, 0.875], dtype=torch.float64)


def scores():
    z = [[3 * math.sin(1.3 * i + 2.1 * k + 1.5) for k in range(K)] for i in range(N)]
    return torch.tensor(z, dtype=torch.float64, requires_grad=True)


def embeddings():
    x = [[math.sin(0.9 * i + 1.7 * d) + 0.3 * math.cos(2.3 * i * d) for d in range(D)] for i in range(N)]
    return torch.tensor(x, dtype=torch.float64, requires_grad=True)


def differentiated(x, loss):
    loss.backward()
    return [loss.item(), *x.grad.flatten().tolist()]


def cross_entropy(smoothing):
    z = scores()
    a = F.cross_entropy(z, labels, reduction="none", label_smoothing=smoothing)
    b = F.cross_entropy(z, labels_b, reduction="none", label_smoothing=smoothing)
    return differentiated(z, (mix * a + (1 - mix) * b).mean())


def margin(s, change):
    """change: cosines of the images' own classes -> those with margin"""
    z = scores()
    own = F.one_hot(labels, K).bool()
    cosine = z / s
    return differentiated(z, F.cross_entropy(torch.where(own, change(cosine), cosine) * s, labels))


def arcface(m):  # as InsightFace: without easy_margin
    def change(c):
        sine = torch.sqrt(1 - c * c)
        return torch.where(c > math.cos(math.pi - m), c * math.cos(m) - sine * math.sin(m), c - math.sin(math.pi - m) * m)

    return change


def sphereface(m1, m2=0.0, m3=0.0):
    def change(c):
        phi = m1 * torch.acos(c) + m2
        k = torch.floor(phi.detach() / math.pi)
        return torch.where(k % 2 == 0, 1.0, -1.0) * torch.cos(phi) - 2 * k - m3

    return change


def distances(x, normalize):
    x = F.normalize(x) if normalize else x
    d2 = ((x[:, None] - x[None]) ** 2).sum(2)
    return torch.sqrt(d2.clamp(min=1e-12))


def triplet(m, mining, normalize=True):
    x = embeddings()
    d = distances(x, normalize)
    same = labels[:, None] == labels[None]
    terms = []
    for i in range(N):
        positive = [j for j in range(N) if j != i and same[i, j]]
        negative = [j for j in range(N) if not same[i, j]]
        if mining == "hard":
            if positive:
                terms.append(m + max(d[i, j] for j in positive) - min(d[i, j] for j in negative))
            continue
        for p in positive:
            farther = [d[i, j] for j in negative if d[i, j] > d[i, p]]
            terms.append(m + d[i, p] - (min(farther) if farther else max(d[i, j] for j in negative)))
    return differentiated(x, torch.relu(torch.stack(terms)).mean())


def contrastive(m, normalize=True):
    x = embeddings()
    d = distances(x, normalize)
    pairs = [(i, j) for i in range(N) for j in range(i)]
    positive = [d[i, j] ** 2 for i, j in pairs if labels[i] == labels[j]]
    negative = [(m - d[i, j]) ** 2 for i, j in pairs if labels[i] != labels[j] and d[i, j] < m]
    return differentiated(x, 0.5 * torch.stack(positive).mean() + 0.5 * torch.stack(negative).mean())


def center(rate):
    x = embeddings()
    c = torch.tensor([[0.5 * math.cos(k - 0.4 * d) for d in range(D)] for k in range(K)], dtype=torch.float64)
    out = differentiated(x, 0.5 * ((x - c[labels]) ** 2).sum(1).mean())
    for k in range(K):
        mine = x.detach()[labels == k]
        c[k] -= rate * (c[k] - mine).sum(0) / (1 + len(mine))
    return out + c.flatten().tolist()


cases = {
    "ce": cross_entropy(0.0),
    "ce_smoothed": cross_entropy(0.1),
    "arcface": margin(3.2, arcface(0.5)),
    "cosface": margin(3.2, lambda c: c - 0.35),
    "sphereface": margin(3.2, sphereface(4)),
    "margin": margin(3.2, sphereface(1.5, 0.25, 0.125)),
    "triplet_hard": triplet(0.3, "hard"),
    "triplet_hard_raw": triplet(1.5, "hard", normalize=False),
    "triplet_semi": triplet(0.3, "semi"),
    "contrastive": contrastive(1.25),
    "contrastive_raw": contrastive(2, normalize=False),
    "center": center(0.5),
}
print("/* Made by tests/oracle/make_losses.py with PyTorch %s. */" % torch.__version__.split("+")[0].split("a")[0])
for name, values in cases.items():
    print("static const double golden_%s[] = {%s};" % (name, ", ".join("%.12g" % v for v in values)))
