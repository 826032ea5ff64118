"""Writes reference.json: a small LightGBM model as our nodes, rows, and what
LightGBM says of them. Made with Python 3.11, lightgbm 4.7.0, numpy, scipy:

    python reference.py > reference.json

Features 0 to 4 are numbers (1 with missing values seen in training, 4 without),
5 and 6 are categories of 12 and 5 levels.
"""
import json
import sys

import lightgbm
import numpy as np

LEVELS = [0, 0, 0, 0, 0, 12, 5]

rng = np.random.default_rng(7)
n = 3000
x = rng.normal(size=(n, 7))
x[:, 3] = np.round(x[:, 3])
x[:, 4] = rng.exponential(size=n)
x[:, 5] = rng.integers(0, 12, n)
x[:, 6] = rng.integers(0, 5, n)
gone = rng.random(n) < 0.2
effect = rng.normal(size=12)
logit = (x[:, 0] + 0.8 * x[:, 1] * x[:, 3] + effect[x[:, 5].astype(int)]
         + (x[:, 6] == 2) * x[:, 0] - 0.5 * x[:, 4] + 0.7 * gone)
x[gone, 1] = np.nan
x[rng.random(n) < 0.1, 5] = np.nan
y = rng.random(n) < 1 / (1 + np.exp(-logit))

booster = lightgbm.train(
    dict(objective="binary", num_leaves=15, learning_rate=0.2, min_data_in_leaf=10, min_data_per_group=10,
         cat_smooth=1, max_cat_to_onehot=2, seed=1, deterministic=True, num_threads=1, verbose=-1),
    lightgbm.Dataset(x, y, categorical_feature=[5, 6], free_raw_data=False), num_boost_round=20)


def translate(root):
    """Nodes in breadth-first order, zero fields left out."""
    queue, out = [root], []
    for source in queue:  # grows while it is read
        if "leaf_value" in source:
            out.append({"Feature": -1, "Value": source["leaf_value"], "Cover": source["leaf_count"]})
            continue
        node = {"Feature": source["split_feature"], "Cover": source["internal_count"],
                "Yes": len(queue), "No": len(queue) + 1}
        if source["decision_type"] == "==":
            node["Set"] = sorted(int(code) for code in source["threshold"].split("||"))
        else:
            assert source["decision_type"] == "<=" and source["missing_type"] in ("None", "NaN"), source
            node["Threshold"] = source["threshold"]
            # Without missing values in training, LightGBM takes NaN for 0.
            node["MissingYes"] = source["default_left"] if source["missing_type"] == "NaN" else 0 <= source["threshold"]
        out.append(node)
        queue += [source["left_child"], source["right_child"]]
    return out


trees = [translate(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]

rows = x[:40].copy()
rows[0:4, 0] = np.nan  # missing, but never in training
rows[2:8, 1] = np.nan
rows[4:8, 5] = [-1, 12, 99, np.nan]  # unseen and missing
rows[6:9, 6] = [-1, 5, np.nan]
rows[9] = np.nan
json.dump({
    "Levels": LEVELS,
    "Trees": trees,
    "Rows": [[None if np.isnan(v) else v for v in row] for row in rows.tolist()],
    "Raw": booster.predict(rows, raw_score=True).tolist(),
    "Contributions": booster.predict(rows, pred_contrib=True).tolist(),  # the base last
}, sys.stdout, separators=(",", ":"))
