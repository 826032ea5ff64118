"""Makes the small models and the rows, with what their libraries say of them, that
the tests read. Three runs, with Python 3.11, numpy, pandas and

    python reference.py lightgbm   # lightgbm 4.7.0
    python reference.py lightgbm3  # lightgbm 3.3.5
    python reference.py xgboost    # xgboost 3.2.0

Each writes NAME.txt or NAME.json, the models, and NAME.rows.json: the rows, a
missing value being null, and what the library makes of them.
"""
import json
import sys

import numpy as np

rng = np.random.default_rng(20)
N = 1500


def table():
    """Numbers 0 to 3 (1 with missing values, 2 with many zeros, 3 whole), categories 4 and 5."""
    x = rng.normal(size=(N, 6))
    x[:, 2] = np.where(rng.random(N) < 0.5, 0, x[:, 2])
    x[:, 3] = np.round(x[:, 3])
    x[:, 4] = rng.integers(0, 40, N)
    x[:, 5] = rng.integers(1, 5, N)
    effect = rng.normal(size=40)
    logit = x[:, 0] + 0.8 * x[:, 1] * x[:, 3] + effect[x[:, 4].astype(int)] + (x[:, 2] == 0) - 0.7
    x[rng.random(N) < 0.2, 1] = np.nan
    x[rng.random(N) < 0.1, 4] = np.nan
    return x, (rng.random(N) < 1 / (1 + np.exp(-logit))).astype(int)


def probes(x, thresholds, odd_categories):
    """Rows of the table, and rows of odd values: missing, zero and nearly so, thresholds and beside them."""
    rows = x[:30].copy()
    odd = np.repeat(x[40:70], 4, axis=0)
    z = float(np.float32(1e-35))
    values = [np.nan, 0.0, -0.0, z, -z, np.nextafter(z, 1), np.nextafter(-z, -1), 1e-40, -1e-36, 1e30, -1e30, 5e-324]
    thresholds = np.array(sorted(set(thresholds)))
    beside = [*thresholds, *np.nextafter(thresholds, np.inf), *np.nextafter(thresholds, -np.inf)]
    for row in odd:
        for j in range(4):
            if rng.random() < 0.6:
                pool = values if rng.random() < 0.5 else beside or values
                row[j] = pool[rng.integers(len(pool))]
        for j in (4, 5):
            if rng.random() < 0.5:
                row[j] = odd_categories[rng.integers(len(odd_categories))]
    return np.vstack([rows, odd])


def write(name, rows, **what):
    what["rows"] = [[None if np.isnan(v) else v for v in row] for row in rows.tolist()]
    with open(name + ".rows.json", "w") as f:
        json.dump({k: v if k == "rows" else np.asarray(v).tolist() for k, v in what.items()}, f, separators=(",", ":"))
        f.write("\n")


def lightgbm_models(suffix):
    import lightgbm
    import pandas

    def train(name, x, y, rounds=6, data=None, **params):
        settings = dict(objective="binary", num_leaves=8, learning_rate=0.3, min_data_in_leaf=5, min_data_per_group=5,
                        cat_smooth=1, max_cat_to_onehot=2, seed=1, deterministic=True, num_threads=1, verbose=-1)
        settings.update(params)
        dataset = lightgbm.Dataset(data, y) if data is not None else lightgbm.Dataset(x, y, categorical_feature=[4, 5])
        name += suffix
        lightgbm.train(settings, dataset, rounds).save_model(name + ".txt")
        booster = lightgbm.Booster(model_file=name + ".txt")
        thresholds = []

        def walk(node):
            if "threshold" in node:
                if node["decision_type"] == "<=":
                    thresholds.append(node["threshold"])
                walk(node["left_child"])
                walk(node["right_child"])
        for tree in booster.dump_model()["tree_info"]:
            walk(tree["tree_structure"])
        rows = probes(x, thresholds, [np.nan, -1, -3, 0, 4, 5, 39, 40, 63, 64, 1000, 2e9])
        write(name, rows, raw=booster.predict(rows, raw_score=True), probability=booster.predict(rows),
              contributions=booster.predict(rows, pred_contrib=True))

    x, y = table()
    train("gbdt", x, y)
    train("zero", x, y, rounds=4, zero_as_missing=True)
    if suffix:
        return
    train("none", x, y, rounds=4, use_missing=False)
    train("dart", x, y, rounds=4, boosting="dart", drop_rate=0.5, skip_drop=0.0)
    train("forest", x, y, rounds=4, boosting="rf", bagging_freq=1, bagging_fraction=0.6)
    train("sigmoid", x, y, rounds=3, sigmoid=2.5)
    train("constant", x, y, rounds=3, min_data_in_leaf=1400)
    frame = pandas.DataFrame({f"c{j}": x[:, j] for j in range(4)})
    frame["c4"] = pandas.Series([None if np.isnan(v) else f"é {int(v)}" for v in x[:, 4]]).astype("category")
    frame["c5"] = pandas.Series(x[:, 5].astype(int) * 10).astype("category")
    x[:, 4], x[:, 5] = frame["c4"].cat.codes, frame["c5"].cat.codes
    train("pandas", x, y, rounds=3, data=frame)


def decisions():
    """One split per tree, of every missing type, default and threshold around zero, or of codes; and where LightGBM sends what."""
    import lightgbm
    z = float(np.float32(1e-35))
    edges = [-5.0, -2 * z, np.nextafter(-z, -1), -z, -z / 2, 0.0, z / 2, z, np.nextafter(z, 1), 2 * z, 5.0]
    splits = [(0, t, 4 * missing + 2 * left, None) for t in edges for missing in range(3) for left in range(2)]
    splits += [(1, 0, kind, words) for kind in (1, 9) for words in ([1], [5, 2], [0, 0, 1 << 31])]
    trees = []
    for i, (feature, t, kind, words) in enumerate(splits):
        sets = f"cat_boundaries=0 {len(words)}\ncat_threshold={' '.join(map(str, words))}\n" if words else ""
        trees.append(f"Tree={i}\nnum_leaves=2\nnum_cat={int(bool(words))}\nsplit_feature={feature}\nsplit_gain=1\nthreshold={t:.17g}\n"
                     f"decision_type={kind}\nleft_child=-1\nright_child=-2\nleaf_value=0 1\nleaf_weight=1 1\nleaf_count=3 5\n"
                     f"internal_value=0\ninternal_weight=2\ninternal_count=8\n{sets}is_linear=0\nshrinkage=1\n\n\n")
    with open("decisions.txt", "w") as f:
        f.write("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\nobjective=binary sigmoid:1\n"
                "feature_names=number category\nfeature_infos=[-5:5] 0:1:33:95\n"
                f"tree_sizes={' '.join(str(len(t)) for t in trees)}\n\n{''.join(trees)}end of trees\n")
    booster = lightgbm.Booster(model_file="decisions.txt")
    numbers = edges + [np.nan, -0.0, 5e-324, -5e-324, 4.0, -4.0, 6.0, -6.0, 1e300, -1e300]
    codes = [np.nan, -1, -3, 0, 1, 2, 33, 34, 95, 96, 1000, 2e9, 3e9, 1e30, -1e30]
    rows = np.array([[v, 0] for v in numbers] + [[1, v] for v in codes])
    write("decisions", rows, leaf=booster.predict(rows, pred_leaf=True))


def xgboost_models():
    import pandas
    import xgboost

    def train(name, x, y, data=None, rounds=6, **params):
        settings = dict(objective="binary:logistic", max_depth=3, eta=0.3, max_cat_to_onehot=2, seed=1, nthread=1)
        settings.update(params)

        def matrix(v, y=None):
            return xgboost.DMatrix(v, y, feature_types=["q"] * 4 + ["c"] * 2, enable_categorical=True)
        dataset = xgboost.DMatrix(data, y, enable_categorical=True) if data is not None else matrix(x, y)
        xgboost.train(settings, dataset, rounds).save_model(name + ".json")
        booster = xgboost.Booster(model_file=name + ".json")
        with open(name + ".json") as f:
            learner = json.load(f)["learner"]
        model = learner["gradient_booster"]
        weights = model.get("weight_drop", [1] * rounds)
        trees = model.get("gbtree", model)["model"]["trees"]
        splits = [np.float32(t) for tree in trees for t, left, kind in
                  zip(tree["split_conditions"], tree["left_children"], tree["split_type"]) if left >= 0 and kind == 0]
        halves = [(float(t) + float(np.nextafter(t, s))) / 2 for t in splits for s in np.float32([np.inf, -np.inf])]
        rows = probes(x, [float(t) for t in splits] + halves, [np.nan, -1, -3, 0, 4, 5, 39] + ([40, 63, 64, 1000] if data is None else []))
        d = matrix(rows)
        if data is not None:  # the categories are the codes already
            booster.feature_names = booster.feature_types = None
        leaf = booster.predict(d, pred_leaf=True, validate_features=False).astype(int).reshape(len(rows), -1)
        base = float(json.loads(learner["learner_model_param"]["base_score"])[0])
        one = np.float32(1)
        base = float(np.float32(-np.log(float(one / np.float32(base) - one))))
        # The sum of the float32 leaves as float64.
        exact = [base + sum(float(np.float32(w)) * float(np.float32(tree["split_conditions"][k]))
                            for w, tree, k in zip(weights, trees, row)) for row in leaf]
        write(name, rows, raw=booster.predict(d, output_margin=True, validate_features=False), exact=exact,
              contributions=booster.predict(d, pred_contribs=True, validate_features=False))

    x, y = table()
    train("xgboost", x, y)
    train("xgboost_dart", x, y, booster="dart", rate_drop=0.5, skip_drop=0.0)
    train("xgboost_constant", x, y, rounds=2, min_child_weight=1e6, base_score=0.3)
    x[:, 3] *= 1e-42  # thresholds that are subnormal
    x[:, 0] *= 1e37
    train("xgboost_extreme", x, y, rounds=4, max_cat_to_onehot=1000)
    frame = pandas.DataFrame({f"c{j}": x[:, j] for j in range(4)})
    frame["c4"] = pandas.Series([None if np.isnan(v) else f"e {int(v)}" for v in x[:, 4]]).astype("category")
    frame["c5"] = pandas.Series(x[:, 5].astype(int) * 10).astype("category")
    x[:, 4], x[:, 5] = frame["c4"].cat.codes, frame["c5"].cat.codes
    train("xgboost_pandas", x, y, rounds=3, data=frame)


def main():
    if sys.argv[1] in ("lightgbm", "lightgbm3"):
        lightgbm_models("" if sys.argv[1] == "lightgbm" else "3")
        if sys.argv[1] == "lightgbm":
            decisions()
    else:
        xgboost_models()


main()
