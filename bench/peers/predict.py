"""Scores all rows of the table, in memory, with a model of models.py.

usage: predict.py TOOL DATA MODELS      TOOL: lightgbm, xgboost, catboost, ydf
"""
import sys

from common import *

tool, data, models = sys.argv[1:]
x, _ = read(data)
first = x[:1000]
if tool == "lightgbm":
    import lightgbm
    model = lightgbm.Booster(model_file=f"{models}/lightgbm.txt")
    predict = lambda x: model.predict(x, num_threads=THREADS)
elif tool == "xgboost":
    import xgboost
    model = xgboost.Booster(model_file=f"{models}/xgboost.json")
    model.set_param({"nthread": THREADS})
    predict = model.inplace_predict
elif tool == "catboost":
    import catboost
    model = catboost.CatBoostClassifier().load_model(f"{models}/catboost.cbm")
    predict = lambda x: model.predict(x, prediction_type="RawFormulaVal", thread_count=THREADS)
elif tool == "ydf":
    import ydf
    ydf.verbose(0)
    model = ydf.load_model(f"{models}/ydf")
    predict = lambda x: model.predict(x, num_threads=THREADS)
    x = {c: x[:, j].copy() for j, c in enumerate(COLUMNS)}
    first = {c: column[:1000] for c, column in x.items()}
else:
    raise SystemExit(f"no tool {tool}")
predict(first)
seconds, scores = timed(lambda: predict(x))
emit(seconds=seconds, rows_per_second=len(scores) / seconds)
