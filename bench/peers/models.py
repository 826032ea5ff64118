"""Makes a model of 200 trees of 31 leaves for scoring, learnt from the first 80 % of the rows, categories as codes.

usage: models.py NAME DATA OUT

NAME: lightgbm (lightgbm.txt, and with version 3 in its header lightgbm_v3.txt; rows.f64: up to 10,000 rows after the
training rows, raw.f64 and contributions.f64: LightGBM's log-odds of them and Shapley values of the first thousand),
tl2cgen (tl2cgen.so, of lightgbm.txt), xgboost (xgboost.json), catboost (catboost.cbm) or ydf (ydf/, of 80,000 rows at most).
"""
import os
import shutil
import sys

from common import *

name, data, out = sys.argv[1:]
os.makedirs(out, exist_ok=True)


def place(file):
    return os.path.join(out, file)


if name == "tl2cgen":
    import tl2cgen
    import treelite
    tl2cgen.export_lib(treelite.frontend.load_lightgbm_model(place("lightgbm.txt")), toolchain="gcc", libpath=place("new.so"),
                       params={"parallel_comp": 8}, nthread=THREADS)
    os.rename(place("new.so"), place("tl2cgen.so"))
    sys.exit()

x, y = read(data)
n = cut(len(y))
if name == "lightgbm":
    import lightgbm
    model = lightgbm.train(LIGHTGBM, lightgbm.Dataset(x[:n], y[:n], feature_name=COLUMNS), 200)
    rows = x[n:n + 10000].astype(np.float64)
    rows.tofile(place("rows.f64"))
    model.predict(rows, raw_score=True).tofile(place("raw.f64"))
    model.predict(rows[:1000], pred_contrib=True).tofile(place("contributions.f64"))
    text = model.model_to_string()
    with open(place("lightgbm_v3.txt"), "w") as f:  # leaves knows that header alone
        f.write(text.replace("version=v4", "version=v3", 1))
    with open(place("new.txt"), "w") as f:
        f.write(text)
    os.rename(place("new.txt"), place("lightgbm.txt"))
elif name == "xgboost":
    import xgboost
    xgboost.train(XGBOOST, xgboost.QuantileDMatrix(x[:n], y[:n], max_bin=255), 200).save_model(place("new.json"))
    os.rename(place("new.json"), place("xgboost.json"))
elif name == "catboost":
    import catboost
    catboost.CatBoostClassifier(**CATBOOST).fit(x[:n], y[:n]).save_model(place("new.cbm"))
    os.rename(place("new.cbm"), place("catboost.cbm"))
elif name == "ydf":
    import ydf
    ydf.verbose(0)
    n = min(n, 80000)
    columns = {c: x[:n, j].copy() for j, c in enumerate(COLUMNS)}
    columns["y"] = y[:n].astype(np.int64)
    shutil.rmtree(place("new"), ignore_errors=True)
    ydf.GradientBoostedTreesLearner(label="y", **YDF).train(columns).save(place("new"))
    os.rename(place("new"), place("ydf"))
else:
    raise SystemExit(f"no model {name}")
