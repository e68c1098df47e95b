#!/usr/bin/env python3
"""Writes tests/golden/metrics.h: verification metrics of score lists that both sides generate, by scikit-learn and SciPy.

Usage: make_metrics.py >tests/golden/metrics.h   (Debian: python3-sklearn python3-scipy)

AUC is roc_auc_score; the interval DeLong's from its definition (each pair of a positive and a negative); the equal error rate
brentq on the interpolated roc_curve, as face recognition code does it; folds are KFold's without shuffling, thresholds every
distinct score, or InsightFace's grid of squared distances.
"""
import numpy as np
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import KFold

RATES = [1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1]
# seed, pairs, levels (scores are multiples of 1 / levels), share of positives, their shift; all in exact binary fractions
CASES = [
    (1, 2, 1 << 20, 0.5, 1.0),
    (2, 23, 4, 0.5, 0.25),
    (3, 60, 2, 0.5, 0.5),
    (4, 101, 1, 0.5, 0.0),
    (5, 500, 1 << 20, 0.5, 1.0),
    (6, 500, 1 << 20, 0.5, -1.0),
    (7, 600, 1 << 30, 0.5, 0.25),
    (8, 1000, 16, 0.125, 0.25),
    (9, 6000, 1 << 20, 0.5, 0.5),
    (10, 20000, 1 << 10, 0.25, 0.375),
    (11, 20003, 1 << 30, 0.75, 0.0),
    (12, 1000000, 1 << 16, 0.25, 0.375),
]


def generate(seed, pairs, levels, share, shift):
    """The same numbers as test_metrics.c: a linear congruential generator, two draws a pair."""
    scores, labels, x = np.empty(pairs), np.empty(pairs, np.uint8), seed
    for i in range(pairs):
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
        a = (x >> 33) / 2**31
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
        b = (x >> 33) / 2**31
        labels[i] = i % 2 if pairs == 2 else a < share
        scores[i] = np.floor((b + shift * labels[i]) * levels) / levels / 2 - 0.25
    return scores, labels


def delong(scores, labels):
    x, y = scores[labels == 1], scores[labels == 0]
    ys, xs = np.sort(y), np.sort(x)
    v10 = (np.searchsorted(ys, x, "left") + np.searchsorted(ys, x, "right")) / 2 / len(y)
    v01 = 1 - (np.searchsorted(xs, y, "left") + np.searchsorted(xs, y, "right")) / 2 / len(x)
    variance = sum(np.var(v, ddof=1) / len(v) for v in (v10, v01) if len(v) > 1)
    half = 1.959963984540054 * np.sqrt(variance)
    auc = v10.mean()
    return max(0, auc - half), min(1, auc + half)


def best_threshold(scores, labels):
    """The highest of the best thresholds among the distinct scores and infinity."""
    order = np.argsort(-scores, kind="stable")
    s, gain = scores[order], np.cumsum(np.where(labels[order] == 1, 1, -1))
    ends = np.append(s[1:] != s[:-1], True)
    s, gain = s[ends], gain[ends]
    k = int(np.argmax(gain))
    return s[k] if gain[k] > 0 else np.inf


def summary(accuracies):
    a = np.array(accuracies)
    return a.mean(), a.std(ddof=1) / np.sqrt(len(a))


def folds_exact(scores, labels):
    result = []
    for train, test in KFold(min(10, len(scores))).split(scores):
        threshold = best_threshold(scores[train], labels[train])
        result.append(np.mean((scores[test] >= threshold) == labels[test]))
    return summary(result)


def folds_insightface(scores, labels):
    """As in insightface's verification.py: thresholds np.arange(0, 4, 0.01), accepted when the distance is less."""
    distance, thresholds, result = 2 - 2 * scores, np.arange(0, 4, 0.01), []
    right = lambda t, part: np.mean(np.less(distance[part], t) == labels[part])
    for train, test in KFold(min(10, len(scores))).split(scores):
        best = np.argmax([right(t, train) for t in thresholds])
        result.append(right(thresholds[best], test))
    return summary(result)


def measure(seed, pairs, levels, share, shift):
    scores, labels = generate(seed, pairs, levels, share, shift)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    negatives = int((labels == 0).sum())
    eer = brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1, xtol=1e-15, rtol=1e-14) if 0 < tpr[fpr == 0].max() < 1 or pairs > 2 else 0
    t = best_threshold(scores, labels)
    positive, negative = scores[labels == 1], scores[labels == 0]
    spread = np.sqrt((positive.var() + negative.var()) / 2)
    resolved = [r * negatives >= 1 - 1e-9 for r in RATES]
    strict = [tpr[fpr <= r].max() if ok else np.nan for r, ok in zip(RATES, resolved)]
    smooth = [np.interp(r, fpr, tpr) if ok else np.nan for r, ok in zip(RATES, resolved)]
    low, high = delong(scores, labels)
    insight = folds_insightface(scores, labels) if pairs <= 20003 else (np.nan, np.nan)
    numbers = [roc_auc_score(labels, scores), low, high, eer, np.mean((scores >= t) == labels), *folds_exact(scores, labels),
               *insight, (positive.mean() - negative.mean()) / spread if spread else np.nan]
    return numbers, smooth, strict


def text(x):
    return "NAN" if np.isnan(x) else repr(float(x))


print("/* Written by tests/oracle/make_metrics.py: metrics of generated score lists by scikit-learn and SciPy. NAN: not computed, or")
print("   n/a. { seed, pairs, levels, share of positives, shift, {auc, low, high, eer, best accuracy, folds exact mean, error,")
print("   insightface mean, error, d'}, {TPR interpolated}, {strict} } */")
for case in CASES:
    numbers, smooth, strict = measure(*case)
    lists = ", ".join("{" + ", ".join(map(text, part)) + "}" for part in (numbers, smooth, strict))
    print("{%d, %d, %d, %r, %r, %s}," % (*case, lists))
