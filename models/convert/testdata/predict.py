"""Prints what LightGBM says of rows: python predict.py FOLDER, which holds models
NAME.txt and rows NAME.json, a missing value being null. Run by
TestLightGBMAgrees; needs lightgbm 4."""
import json
import pathlib
import sys

import lightgbm
import numpy as np

answers = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.txt")):
    booster = lightgbm.Booster(model_file=path)
    rows = np.array(json.loads(path.with_suffix(".json").read_text()), dtype=float)
    answers[path.stem] = {"Raw": booster.predict(rows, raw_score=True, num_threads=1).tolist(),
                          "Contributions": booster.predict(rows, pred_contrib=True, num_threads=1).tolist()}
json.dump(answers, sys.stdout)
