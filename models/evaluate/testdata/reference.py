#!/usr/bin/env python3
"""Writes reference.json: fixed data with ties and what scikit-learn says of them.

Needs numpy and scikit-learn (made with the versions noted in the file).
Usage: reference.py > reference.json
"""
import json
import math

import numpy as np
import sklearn
from scipy.stats import t
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

CLIP = 1e-6


def quality(y, p):
    q = np.clip(p, CLIP, 1 - CLIP)
    top = np.argsort(-p, kind="stable")[: math.ceil(len(p) / 10)]
    bins = np.array_split(np.argsort(p, kind="stable"), 10)
    return dict(
        roc_auc=roc_auc_score(y, p), pr_auc=average_precision_score(y, p), log_loss=log_loss(y, q),
        brier=float(np.mean((p - y) ** 2)), precision_top_10=float(y[top].mean()),
        calibration_error=float(sum(len(b) * abs(y[b].mean() - p[b].mean()) for b in bins if len(b)) / len(p)),
    )


def case(rng, n, digits, rate):
    raw = np.round(rng.normal(rate, 1.5, n), digits)
    y = (rng.random(n) < 1 / (1 + np.exp(-(0.6 * raw - 0.4)))).astype(float)
    y[:2] = 0, 1
    p = 1 / (1 + np.exp(-raw))
    a, b = _sigmoid_calibration(raw, y)
    iso = IsotonicRegression().fit(raw, y)
    x = sorted(set(raw.tolist()))
    return dict(y=y.tolist(), raw=raw.tolist(), p=p.tolist(), **quality(y, p),
                platt=dict(slope=-a, intercept=-b), isotonic=dict(raw=x, rate=iso.predict(x).tolist()))


rng = np.random.default_rng(7)
cases = [case(rng, n, d, r) for n, d, r in [(57, 1, 0.0), (300, 1, -1.5), (300, 12, 0.5), (203, 0, 0.0)]]
p = np.array(cases[0]["p"])
p[3], p[4] = 0, 1  # certain, so that clipping shows
y = np.array(cases[0]["y"])
cases.append(dict(y=y.tolist(), raw=p.tolist(), p=p.tolist(), **quality(y, p)))
print(json.dumps(dict(versions=dict(numpy=np.__version__, scikit_learn=sklearn.__version__), cases=cases,
                      student={str(k): t.ppf(0.975, k) for k in (1, 2, 5, 10, 411, 10**5, 10**6, 10**7)})))
