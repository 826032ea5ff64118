"""Makes reference.json: weights of evidence, information values and optimal bins.

    python reference.py > reference.json      (optbinning 1.0.0, ortools 9.15, numpy 2.4)

Tables: rows of [feature, label], NaN (null in JSON) is missing. For each: the bins that
fixed cuts make, with their event rate, WOE and IV; and the best merge of the same cuts as
prebins under limits, by the solver "mip". optbinning's bins are [low, high) and its WOE is
ln(non-event / event): no cut here is a value, and the sign is turned in the test.
"""
import json

import numpy as np
from optbinning import OptimalBinning

rng = np.random.default_rng(20240607)


def rounded(x, digits):
    return np.round(x, digits)


def holes(x, share):
    x = x.copy()
    x[rng.random(len(x)) < share] = np.nan
    return x


def labels(logit):
    return (rng.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(int)


def tables():
    x = rounded(rng.normal(0, 1, 700), 2)
    yield "rising", holes(x, 0.12), labels(-1 + 0.8 * x)
    x = rng.integers(0, 60, 800).astype(float)
    yield "falling", x, labels(0.5 - x / 25)
    x = rounded(rng.uniform(-3, 3, 900), 2)
    yield "peak", x, labels(0.5 - 0.5 * x * x)
    yield "noise", holes(x, 0.05), labels(np.full(900, -1.5))
    x = rounded(np.exp(rng.normal(2, 1, 600)), 1)
    yield "valley", x, labels(-1 + 0.8 * (np.log(x) - 2) ** 2)


def binning(cuts, **more):
    return OptimalBinning(dtype="numerical", prebinning_method="cart", user_splits=np.array(cuts), min_prebin_size=1e-6,
                          max_n_prebins=len(cuts) + 1, **more)


out = []
for name, x, y in tables():
    known = np.unique(x[~np.isnan(x)])
    cuts = np.unique(np.searchsorted(known, np.quantile(x[~np.isnan(x)], np.arange(1, 16) / 16)))
    cuts = [float((known[k - 1] + known[k]) / 2) for k in cuts if k > 0]
    table = {"name": name, "x": [None if np.isnan(v) else float(v) for v in x], "y": y.tolist(), "cuts": cuts}

    fixed = cuts[2::4]
    b = binning(fixed, user_splits_fixed=[True] * len(fixed), monotonic_trend=None, min_bin_size=1e-6)
    b.fit(x, y)
    assert list(b.splits) == fixed
    t = b.binning_table.build()
    rows = [r for r in t.iloc[: len(fixed) + 1].itertuples()] + [t[t.Bin == "Missing"].iloc[0]]
    table["fixed"] = {
        "cuts": fixed,
        "rows": [int(r.Count) for r in rows], "positives": [int(r.Event) for r in rows],
        "woe": [float(r.WoE) for r in rows], "iv": [float(r.IV) for r in rows], "sum": float(t.loc["Totals"].IV),
    }

    table["best"] = []
    for trend in ["ascending", "descending", "peak", "valley", None]:
        for bins, share, each in [(8, 0.05, 5), (4, 0.05, 5), (16, 0.08, 12)]:
            b = binning(cuts, solver="mip", monotonic_trend=trend, max_n_bins=bins, min_bin_size=share,
                        min_bin_n_event=each, min_bin_n_nonevent=each)
            b.fit(x, y)
            t = b.binning_table.build()
            missing = t[t.Bin == "Missing"].iloc[0]
            table["best"].append({
                "trend": trend or "any", "bins": bins, "share": share, "each": each, "status": b.status,
                "cuts": [float(v) for v in b.splits], "iv": float(t.loc["Totals"].IV - missing.IV),
            })
    out.append(table)
print(json.dumps(out, separators=(",", ":")))
