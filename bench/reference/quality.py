#!/usr/bin/env python3
"""Cross-validated quality anchors: what the usual libraries reach on our data.

Reads <root>/<name>/{table.csv,schema.json,folds.csv} (see README.md), fits
each model on four fifths, scores the fifth that is left, and reports the mean
over the five folds. One JSON line per (data set, variant, model) goes to
<root>/quality_peers.jsonl as soon as it is known, so a run may be stopped
and continued; --report turns that file into <root>/quality_peers.md.

Usage:
  quality.py [--root DIR] [--sets a,b:variant] [--models m,n] [--threads 2]
  quality.py --report

Metrics, per test fold:
  auc    area under the ROC curve
  ap     average precision (area under the precision/recall steps)
  ll     log loss, natural log, probabilities clipped to [1e-6, 1-1e-6]
  brier  mean squared error of the probability
  p10    precision among the ceil(n/10) highest scores; ties keep file order
  ece    expected calibration error, 10 equal-count bins of the sorted scores
"""
import argparse
import json
import math
import os
import pathlib
import sys
import time
import warnings

# The math libraries read these once, when they are loaded. Passive waiting keeps idle threads from spinning,
# which on a shared machine made LightGBM some thirty times slower.
THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv[:-1] else "2"
os.environ.update(OMP_NUM_THREADS=THREADS, OPENBLAS_NUM_THREADS=THREADS, OMP_WAIT_POLICY="passive")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

SEED = 7
CLIP = 1e-6


# ---------------------------------------------------------------- data

class Data:
    """One data set as float numeric columns, string categories and 0/1 labels."""

    def __init__(self, root, spec):
        self.name, _, self.variant = spec.partition(":")
        d = root / self.name
        schema = json.loads((d / "schema.json").read_text())
        table = pd.read_csv(d / "table.csv", dtype=str, keep_default_na=False)
        fold = pd.read_csv(d / "folds.csv")["fold"].to_numpy()
        n = min(len(table), schema.get("max_rows", len(table)))
        table, self.fold = table.iloc[:n], fold[:n]
        drop = schema["variants"][self.variant] if self.variant else schema["drop"]
        self.numeric = [c for c in schema["numeric"] if c not in drop]
        self.categorical = [c for c in schema["categorical"] if c not in drop]
        self.num = pd.DataFrame({c: pd.to_numeric(table[c].replace("", None)) for c in self.numeric}).astype(float)
        self.cat = table[self.categorical]
        self.y = (table[schema["label"]] == schema["positive"]).to_numpy().astype(int)

    def splits(self):
        for k in sorted(set(self.fold)):
            yield np.flatnonzero(self.fold != k), np.flatnonzero(self.fold == k)

    def typed(self, rows, levels):
        """Numeric columns as floats, categories coded by the training levels; unseen and missing -> NaN."""
        out = self.num.iloc[rows].reset_index(drop=True).copy()
        for c in self.categorical:
            out[c] = pd.Categorical(self.cat[c].iloc[rows].to_numpy(), categories=levels[c])
        return out

    def levels(self, rows):
        return {c: sorted(set(self.cat[c].iloc[rows]) - {""}) for c in self.categorical}


def inner_holdout(y, every=10):
    """Every tenth row of each class, in order: the early-stopping set of the tuned model."""
    held = np.zeros(len(y), bool)
    for v in (0, 1):
        held[np.flatnonzero(y == v)[::every]] = True
    return held


# ---------------------------------------------------------------- models
# Each takes (data, train rows, test rows, threads) and returns (probabilities, times).

def timed(fit, predict):
    """fit_s / predict_s are wall seconds; fit_cpu_s sums all threads, so it holds up better on a busy machine."""
    t0, c0 = time.perf_counter(), time.process_time()
    model = fit()
    t1, c1 = time.perf_counter(), time.process_time()
    p = predict(model)
    return p, dict(fit_s=t1 - t0, fit_cpu_s=c1 - c0, predict_s=time.perf_counter() - t1)


def dense(data, train, test, one_hot, scale):
    """Median impute + missing indicators, then one-hot (all levels, unseen -> zeros) or ordinal codes."""
    num_tr, num_te = data.num.iloc[train], data.num.iloc[test]
    med = num_tr.median().fillna(0)
    holes = [c for c in data.numeric if num_tr[c].isna().any()]
    a = [num_tr.fillna(med), num_tr[holes].isna().astype(float).add_suffix("=missing")]
    b = [num_te.fillna(med), num_te[holes].isna().astype(float).add_suffix("=missing")]
    if scale:
        mean, std = a[0].mean(), a[0].std(ddof=0).replace(0, 1)
        a[0], b[0] = (a[0] - mean) / std, (b[0] - mean) / std
    a, b = [np.hstack([x.to_numpy() for x in s]) for s in (a, b)]
    blocks_a, blocks_b = [a], [b]
    for c in data.categorical:
        tr, te = data.cat[c].iloc[train].to_numpy(), data.cat[c].iloc[test].to_numpy()
        lv = sorted(set(tr))  # the empty string (missing) is a level of its own
        code = {v: i for i, v in enumerate(lv)}
        ia = np.array([code[v] for v in tr])
        ib = np.array([code.get(v, -1) for v in te])
        if not one_hot:
            blocks_a.append(ia[:, None].astype(float))
            blocks_b.append(ib[:, None].astype(float))
            continue
        if len(lv) == 1:
            continue
        eye = np.vstack([np.eye(len(lv)), np.zeros(len(lv))])  # row -1: unseen
        blocks_a.append(eye[ia])
        blocks_b.append(eye[ib])
    return np.hstack(blocks_a), np.hstack(blocks_b)


def logistic(data, train, test, threads):
    from sklearn.linear_model import LogisticRegression

    xa = xb = None

    def fit():
        nonlocal xa, xb
        xa, xb = dense(data, train, test, one_hot=True, scale=True)
        # The optimum is unique (L2, intercept not penalised), so any solver run to convergence is an exact anchor.
        return LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=200, tol=1e-8).fit(xa, data.y[train])

    return timed(fit, lambda m: m.predict_proba(xb)[:, 1])


def forest(data, train, test, threads):
    from sklearn.ensemble import RandomForestClassifier

    xa, xb = dense(data, train, test, one_hot=False, scale=False)
    return timed(
        lambda: RandomForestClassifier(500, n_jobs=threads, random_state=SEED).fit(xa, data.y[train]),
        lambda m: m.predict_proba(xb)[:, 1],
    )


def hist_gb(data, train, test, threads):
    from sklearn.ensemble import HistGradientBoostingClassifier

    lv = data.levels(train)
    xa, xb = data.typed(train, lv), data.typed(test, lv)
    return timed(
        lambda: HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=SEED).fit(
            xa, data.y[train]
        ),
        lambda m: m.predict_proba(xb)[:, 1],
    )


def xgboost(data, train, test, threads):
    from xgboost import XGBClassifier

    lv = data.levels(train)
    xa, xb = data.typed(train, lv), data.typed(test, lv)
    return timed(
        lambda: XGBClassifier(tree_method="hist", enable_categorical=True, n_jobs=threads, random_state=SEED).fit(
            xa, data.y[train]
        ),
        lambda m: m.predict_proba(xb)[:, 1],
    )


def lightgbm_default(data, train, test, threads):
    import lightgbm as lgb

    lv = data.levels(train)
    xa, xb = data.typed(train, lv), data.typed(test, lv)
    return timed(
        lambda: lgb.LGBMClassifier(n_jobs=threads, random_state=SEED, verbose=-1).fit(xa, data.y[train]),
        lambda m: m.predict_proba(xb)[:, 1],
    )


TUNING = [dict(num_leaves=leaves, min_child_samples=least) for leaves, least in ((4, 20), (8, 20), (15, 40), (31, 60))]


def lightgbm_tuned(data, train, test, threads):
    """Four tree sizes at rate 0.03; the best by log loss on an inner tenth is refitted on all training rows."""
    import lightgbm as lgb

    lv = data.levels(train)
    xa, xb, y = data.typed(train, lv), data.typed(test, lv), data.y[train]
    held = inner_holdout(y)
    fixed = dict(
        objective="binary", metric="binary_logloss", learning_rate=0.03, feature_fraction=0.6, bagging_fraction=0.8,
        bagging_freq=1, lambda_l2=5.0, cat_smooth=20, seed=SEED, num_threads=threads, verbose=-1, deterministic=True,
        force_row_wise=True,
    )

    def fit():
        best = None
        for grid in TUNING:
            p = {**fixed, **grid}
            a = lgb.Dataset(xa[~held], y[~held], params=p)
            b = lgb.Dataset(xa[held], y[held], reference=a, params=p)
            m = lgb.train(p, a, 2000, valid_sets=[b], callbacks=[lgb.early_stopping(100, verbose=False)])
            score = m.best_score["valid_0"]["binary_logloss"]
            if best is None or score < best[0]:
                best = (score, p, m.best_iteration)
        return lgb.train(best[1], lgb.Dataset(xa, y, params=best[1]), max(1, round(best[2] / 0.9)))

    return timed(fit, lambda m: m.predict(xb))


def catboost(data, train, test, threads):
    from catboost import CatBoostClassifier, Pool

    def pool(rows):
        x = pd.concat([data.num.iloc[rows], data.cat.iloc[rows].astype(object).replace("", "(missing)")], axis=1)
        return Pool(x, data.y[rows], cat_features=data.categorical)

    a, b = pool(train), pool(test)
    return timed(
        lambda: CatBoostClassifier(
            thread_count=threads, random_seed=SEED, verbose=False, allow_writing_files=False
        ).fit(a),
        lambda m: m.predict_proba(b)[:, 1],
    )


MODELS = {
    "logistic": logistic,
    "lightgbm": lightgbm_default,
    "lightgbm_tuned": lightgbm_tuned,
    "xgboost": xgboost,
    "catboost": catboost,
    "hist_gb": hist_gb,
    "forest500": forest,
}


# ---------------------------------------------------------------- metrics

def metrics(y, p):
    from sklearn.metrics import average_precision_score, roc_auc_score

    q = np.clip(p, CLIP, 1 - CLIP)
    top = np.argsort(-p, kind="stable")[: math.ceil(len(p) / 10)]
    bins = np.array_split(np.argsort(p, kind="stable"), 10)
    return dict(
        auc=roc_auc_score(y, p),
        ap=average_precision_score(y, p),
        ll=float(-np.mean(y * np.log(q) + (1 - y) * np.log(1 - q))),
        brier=float(np.mean((p - y) ** 2)),
        p10=float(y[top].mean()),
        ece=float(sum(len(b) * abs(y[b].mean() - p[b].mean()) for b in bins) / len(p)),
    )


def evaluate(data, model, threads):
    rows = []
    for train, test in data.splits():
        p, times = MODELS[model](data, train, test, threads)
        rows.append({**metrics(data.y[test], np.asarray(p, float)), **times})
    t = pd.DataFrame(rows)
    out = dict(
        set=data.name, variant=data.variant, model=model, rows=len(data.y), features=len(data.numeric) + len(data.categorical),
        positive=round(float(data.y.mean()), 5),
    )
    out.update({k: round(float(t[k].mean()), 5) for k in t.columns})
    out["auc_sd"] = round(float(t["auc"].std(ddof=1)), 5)
    out["auc_folds"] = [round(float(v), 5) for v in t["auc"]]
    return out


# ---------------------------------------------------------------- report

def report(path):
    best = {}
    for line in path.read_text().splitlines():
        r = json.loads(line)
        best[r["set"], r["variant"], r["model"]] = r  # a later run replaces an earlier one
    import importlib.metadata as im

    out = ["# Quality anchors", "", "Five folds, fold = (position within the label value, in file order) mod 5. Mean over the folds.",
           "`AUC sd` is the standard deviation over the folds; `fit s` is wall seconds per fit, `fit CPU s` the sum over its threads.", "",
           "Versions: " + ", ".join(f"{m} {im.version(m)}" for m in ("scikit-learn", "lightgbm", "xgboost-cpu", "catboost", "pandas")), ""]
    for key in dict.fromkeys((s, v) for s, v, _ in best):
        rs = [best[k] for k in best if k[:2] == key]
        r0 = rs[0]
        base = r0["positive"]
        ll0 = -(base * math.log(base) + (1 - base) * math.log(1 - base))
        out += [f"## {key[0]}" + (f" (variant {key[1]})" if key[1] else ""), "",
                f"{r0['rows']} rows, {r0['features']} features, positive rate {base:.4f}, log loss of the base rate {ll0:.4f}", "",
                "| model | ROC AUC | AUC sd | PR AUC | log loss | Brier | precision@10% | ECE | fit s | fit CPU s | predict s |",
                "|---|---|---|---|---|---|---|---|---|---|---|"]
        for m in MODELS:
            r = best.get((*key, m))
            if r:
                out.append(f"| {m} | {r['auc']:.4f} | {r['auc_sd']:.4f} | {r['ap']:.4f} | {r['ll']:.4f} | {r['brier']:.4f} "
                           f"| {r['p10']:.4f} | {r['ece']:.4f} | {r['fit_s']:.2f} | {r['fit_cpu_s']:.2f} | {r['predict_s']:.3f} |")
        out.append("")
    path.with_suffix(".md").write_text("\n".join(out))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--root", default=pathlib.Path(__file__).parent, type=pathlib.Path)
    ap.add_argument("--sets", default="telco_churn,lead_scoring,adult,bank_additional,health_cross_sell,hillstrom")
    ap.add_argument("--models", default=",".join(MODELS))
    ap.add_argument("--threads", default=int(THREADS), type=int)
    ap.add_argument("--report", action="store_true")
    args = ap.parse_args()
    warnings.filterwarnings("ignore")
    path = args.root / "quality_peers.jsonl"
    if not args.report:
        for spec in args.sets.split(","):
            data = Data(args.root, spec)
            for model in args.models.split(","):
                r = evaluate(data, model, args.threads)
                with path.open("a") as f:
                    f.write(json.dumps(r) + "\n")
                print(f"{spec} {model}: auc {r['auc']:.4f} ap {r['ap']:.4f} ll {r['ll']:.4f} p10 {r['p10']:.4f} fit {r['fit_s']:.2f}s",
                      file=sys.stderr, flush=True)
    report(path)


if __name__ == "__main__":
    main()
