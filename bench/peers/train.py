"""One fit of 200 trees of 31 leaves (CatBoost: symmetric, depth 6).

usage: train.py TOOL DATA            from a matrix in memory, seconds with binning; judged on the last 20 % of the rows
       train.py TOOL DATA --save F   the whole way from the file to a saved model, no judging

TOOL: lightgbm, lightgbm_quantised, lightgbm_codes, xgboost, xgboost_codes, hist_gb, catboost, catboost_codes,
or lightgbm_sampled:COLUMNS:ROWS with these shares of the columns and rows for each tree.
_codes: categories are given as numbers.
"""
import argparse

from common import *

arguments = argparse.ArgumentParser()
arguments.add_argument("tool")
arguments.add_argument("data")
arguments.add_argument("--save")
arguments = arguments.parse_args()
tool, *shares = arguments.tool.split(":")
codes = tool.endswith("_codes")
x, y = read(arguments.data)
n = cut(len(y))
if tool == "catboost":
    x = frame(x)
rows = x.iloc if tool == "catboost" else x
train, test, label = rows[:n], rows[n:], y[:n]

if tool.startswith("lightgbm"):
    import lightgbm
    settings = dict(LIGHTGBM)
    if tool == "lightgbm_quantised":
        settings["use_quantized_grad"] = True
    if tool == "lightgbm_sampled":
        settings.update(feature_fraction=float(shares[0]), bagging_fraction=float(shares[1]), bagging_freq=1)

    def fit(x, y, trees):
        data = lightgbm.Dataset(x, y, categorical_feature=[] if codes else CATEGORY_PLACES, feature_name=COLUMNS, params=settings)
        return lightgbm.train(settings, data, trees)
    predict = lambda m: m.predict(test)
    save = lambda m: m.save_model(arguments.save)
elif tool.startswith("xgboost"):
    import xgboost
    types = ["c" if name in CATEGORIES and not codes else "q" for name in COLUMNS]
    kinds = dict(feature_types=types, feature_names=COLUMNS, enable_categorical=True)

    def fit(x, y, trees):
        return xgboost.train(XGBOOST, xgboost.QuantileDMatrix(x, y, max_bin=255, nthread=THREADS, **kinds), trees)
    predict = lambda m: m.predict(xgboost.DMatrix(test, **kinds))
    save = lambda m: m.save_model(arguments.save)
elif tool == "hist_gb":
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    def fit(x, y, trees):
        with threadpool_limits(THREADS):
            return HistGradientBoostingClassifier(max_iter=trees, max_leaf_nodes=31, learning_rate=0.1, max_bins=255, min_samples_leaf=20,
                                                  early_stopping=False, categorical_features=CATEGORY_PLACES).fit(x, y)
    predict = lambda m: m.predict_proba(test)[:, 1]
elif tool.startswith("catboost"):
    import catboost

    def fit(x, y, trees):
        data = catboost.Pool(x, y, cat_features=None if codes else CATEGORIES)
        return catboost.CatBoostClassifier(**{**CATBOOST, "iterations": trees}).fit(data)
    predict = lambda m: m.predict_proba(test)[:, 1]
    save = lambda m: m.save_model(arguments.save)
else:
    raise SystemExit(f"no tool {tool}")

if arguments.save:
    save(fit(train, label, 200))
else:
    fit(rows[:min(n, 2000)], y[:min(n, 2000)], 2)  # libraries load and start their threads
    seconds, model = timed(lambda: fit(train, label, 200))
    emit(seconds=seconds, **quality(y[n:], predict(model)))
