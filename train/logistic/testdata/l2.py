"""Makes l2.json: the optimum of scikit-learn on a small mixed table.

    python l2.py > l2.json      (scikit-learn 1.9.1, numpy 2.4)

NaN (null in JSON) is missing, -1 an unseen category. The design is written out by
hand here: median impute with an indicator of missing, standardised numbers, one-hot
categories with missing as a level of its own, unseen as all zeros.
"""
import json

import numpy as np
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(20240601)
n, m = 300, 40


def holes(x, share):
    x[rng.random(len(x)) < share] = np.nan
    return x


def table(n, unseen):
    """tenure (whole), spend (skewed, missing), fixed (constant), plan (4 levels, missing), region (7 levels, the
    last one never seen in training), single (one level), gap (missing or one number)."""
    columns = [
        rng.integers(0, 72, n).astype(float),
        holes(np.exp(rng.normal(3, 1.5, n)), 0.15),
        np.full(n, 4.25),
        holes(rng.integers(0, 4, n).astype(float), 0.1),
        rng.integers(0, 6, n).astype(float),
        np.zeros(n),
        holes(np.full(n, 0.1), 0.3),
    ]
    if unseen:
        columns[0][::5] = np.nan
        columns[2][::7] = np.nan
        columns[3][::6] = -1
        columns[4][::9] = np.nan
        columns[4][4::9] = 6
        columns[5][::8] = -1
        columns[6][1::9] = 0.7
    return columns


levels = [0, 0, 0, 4, 7, 1, 0]
train, score = table(n, False), table(m, True)
raw = -1 + 0.03 * train[0] - 0.4 * np.isnan(train[1]) + 0.5 * (train[3] == 2) - 0.7 * (train[4] == 1) + rng.normal(0, 1, n)
y = (raw > 0).astype(int)


def design():
    """The columns of both parts, and per feature what each column is."""
    a, b, names = [], [], []

    def add(feature, part, x, z):
        a.append(x)
        b.append(z)
        names.append((feature, part))

    for j, (x, z) in enumerate(zip(train, score)):
        if levels[j] == 0:
            fill = np.nanmedian(x)
            filled, holed = np.where(np.isnan(x), fill, x), np.isnan(x)
            if filled.min() < filled.max():
                mean, std = filled.mean(), filled.std()
                add(j, "weight", (filled - mean) / std, (np.where(np.isnan(z), fill, z) - mean) / std)
            if holed.any():
                add(j, "missing", holed.astype(float), np.isnan(z).astype(float))
        elif len(set(x[~np.isnan(x)])) + np.isnan(x).any() > 1:
            for k in range(levels[j]):
                add(j, k, (x == k).astype(float), (z == k).astype(float))
            if np.isnan(x).any():
                add(j, "missing", np.isnan(x).astype(float), np.isnan(z).astype(float))
    return np.column_stack(a), np.column_stack(b), names


a, b, names = design()


def fit(l2):
    model = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-13, max_iter=500).fit(a, y)
    w, c = model.coef_[0], model.intercept_[0]
    slope = a.T @ (1 / (1 + np.exp(-(a @ w + c))) - y) + l2 * w
    assert np.abs(slope).max() < 1e-8, slope
    return dict(
        l2=l2,
        intercept=c,
        coefficients=[dict(feature=j, part=str(k), value=v) for (j, k), v in zip(names, w)],
        probabilities=list(model.predict_proba(b)[:, 1]),
    )


def plain(columns):
    return [[None if np.isnan(v) else float(v) for v in x] for x in columns]


print(json.dumps(dict(levels=levels, train=plain(train), label=y.tolist(), score=plain(score),
                      fits=[fit(1.0), fit(0.01), fit(50.0)])))
