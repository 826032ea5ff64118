"""Makes free.json and path.json: regressions of one small table by other libraries.

    python reference.py      (statsmodels 0.15.0, python_glmnet 2.6.1, numpy 2.4.6; writes beside itself)

free.json: statsmodels' GLM without a penalty, with and without weights: coefficients per unit, standard errors, log-likelihood.
path.json: glmnet's elastic-net paths, with and without weights, numbers standardised and indicators 0 and 1 (standardize=False).
The design is written out by hand: a missing number takes the median and has an indicator; without a penalty the most frequent
level of a category is dropped, with one every level has an indicator, missing included. Weights are those of so many rows.
"""
import json
import os
import warnings

import numpy as np
import statsmodels.api as sm
from glmnet import LogitNet

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20241130)
n = 500
here = os.path.dirname(os.path.abspath(__file__))


def holes(x, share):
    x[rng.random(len(x)) < share] = np.nan
    return x


levels = [0, 0, 0, 4, 6, 0]
columns = [
    rng.integers(0, 72, n).astype(float),
    holes(np.exp(rng.normal(3, 1.2, n)), 0.15),
    np.full(n, 4.25),
    holes(rng.choice(4, n, p=[0.2, 0.4, 0.3, 0.1]).astype(float), 0.1),
    rng.integers(0, 6, n).astype(float),
    1e6 + rng.normal(0, 3, n),
]
raw = -1 + 0.03 * columns[0] - 0.6 * np.isnan(columns[1]) + 0.7 * (columns[3] == 2) - 0.8 * (columns[4] == 1) + 0.2 * (columns[5] - 1e6) + rng.logistic(0, 1, n)
y = (raw > 0).astype(float)
weights = np.round(rng.uniform(0.25, 3, n), 2)


def median(x, w):
    known = ~np.isnan(x)
    order = np.argsort(x[known], kind="stable")
    x, c = x[known][order], np.cumsum(w[known][order])
    return (x[np.argmax(c >= c[-1] / 2)] + x[np.argmax(c > c[-1] / 2)]) / 2


def design(w, free):
    parts, names = [], []
    for j, x in enumerate(columns):
        holed = np.isnan(x)
        if levels[j] == 0:
            filled = np.where(holed, median(x, w), x)
            if filled.min() < filled.max():
                mean = np.average(filled, weights=w)
                std = np.sqrt(np.average((filled - mean) ** 2, weights=w))
                parts.append(filled if free else (filled - mean) / std)
                names.append((j, "weight"))
        else:
            mass = [w[x == k].sum() for k in range(levels[j])]
            for k in range(levels[j]):
                if not free or k != int(np.argmax(mass)):
                    parts.append((x == k).astype(float))
                    names.append((j, str(k)))
        if holed.any():
            parts.append(holed.astype(float))
            names.append((j, "missing"))
    return np.column_stack(parts), names


def free(w):
    x, names = design(w, True)
    x[:, names.index((5, "weight"))] -= 1e6  # for statsmodels' sake; put back below
    f = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-15, maxiter=100)
    shift = np.eye(len(f.params))[0]
    shift[1 + names.index((5, "weight"))] = -1e6
    cov = np.asarray(f.cov_params())
    return dict(weighted=bool((w != 1).any()), LogLikelihood=float(f.llf), intercept=float(shift @ f.params), InterceptError=float(np.sqrt(shift @ cov @ shift)),
                coefficients=[dict(feature=j, part=k, value=float(v), error=float(e)) for (j, k), v, e in zip(names, f.params[1:], f.bse[1:])])


def least(b, c, names):
    """the lasso's optima with an even number of levels are many: moves b, in place, to that of the least squares; the new intercept"""
    for j in range(len(levels)):
        at = [k for k, (feature, _) in enumerate(names) if feature == j]
        if levels[j] > 0 and len(at) % 2 == 0:
            low, high = np.sort(b[at])[len(at) // 2 - 1:len(at) // 2 + 1]
            move = -np.clip(b[at].mean(), low, high)
            b[at] += move
            b[at] *= np.abs(b[at]) > 1e-12
            c -= move
    return c


def path(w, alpha):
    x, names = design(w, False)
    share = w / w.sum()
    m = LogitNet(alpha=alpha, n_lambda=40, min_lambda_ratio=1e-3, n_splits=0, standardize=False, tol=1e-16, max_iter=10**7)
    m.fit(x, y, sample_weight=w)
    points = []
    for k in range(0, len(m.lambda_path_), 3):
        lam, b, c = m.lambda_path_[k], m.coef_path_[0, :, k].copy(), float(np.ravel(m.intercept_path_)[k])
        if alpha == 1:
            c = least(b, c, names)
        slope = -x.T @ (share * (y - 1 / (1 + np.exp(-(x @ b + c))))) + lam * (1 - alpha) * b
        off = np.where(b != 0, np.abs(slope + lam * alpha * np.sign(b)), np.maximum(np.abs(slope) - lam * alpha, 0)).max()
        assert off < 1e-8, (alpha, lam, off)
        points.append(dict(Lambda_=float(lam), intercept=c, values=[float(v) for v in b]))
    return dict(weighted=bool((w != 1).any()), alpha=alpha, lambdas=[float(v) for v in m.lambda_path_], parts=[dict(feature=j, part=k) for j, k in names], points=points)


ones = np.ones(n)
table = dict(levels=levels, columns=[[None if np.isnan(v) else float(v) for v in x] for x in columns], label=y.tolist(), weights=weights.tolist())
json.dump(dict(table, fits=[free(ones), free(weights)]), open(os.path.join(here, "free.json"), "w"))
json.dump(dict(table, paths=[path(w, a) for w in (ones, weights) for a in (1.0, 0.5, 0.05)]), open(os.path.join(here, "path.json"), "w"))
