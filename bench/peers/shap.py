"""Exact Shapley values of the rows of rows.f64, all together and one at a time, with a model of models.py.

usage: shap.py TOOL MODELS      TOOL: lightgbm, xgboost, catboost
"""
import sys

from common import *

tool, models = sys.argv[1:]
x = np.fromfile(f"{models}/rows.f64").reshape(-1, len(COLUMNS)).astype(np.float32)
if tool == "lightgbm":
    import lightgbm
    model = lightgbm.Booster(model_file=f"{models}/lightgbm.txt")
    explain = lambda x, threads=THREADS: model.predict(x, pred_contrib=True, num_threads=threads)
elif tool == "xgboost":
    import xgboost
    model = xgboost.Booster(model_file=f"{models}/xgboost.json")
    model.set_param({"nthread": THREADS})
    explain = lambda x, threads=THREADS: model.predict(xgboost.DMatrix(x, nthread=threads), pred_contribs=True)
elif tool == "catboost":
    import catboost
    model = catboost.CatBoostClassifier().load_model(f"{models}/catboost.cbm")
    explain = lambda x, threads=THREADS: model.get_feature_importance(catboost.Pool(x), type="ShapValues", thread_count=threads)
else:
    raise SystemExit(f"no tool {tool}")
explain(x[:100])
seconds, _ = timed(lambda: explain(x))
if tool == "xgboost":
    model.set_param({"nthread": 1})
one = latencies(lambda row: explain(row, 1), [x[i:i + 1] for i in range(200)], 200)
emit(seconds=seconds, **one)
