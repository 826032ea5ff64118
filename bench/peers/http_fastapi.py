"""A server of FastAPI and LightGBM, tuned: orjson on the raw body, LightGBM's fast call for a single row by ctypes.
The model is the file MODEL. POST /score {"account_id": .., "features": {40 fields}} -> score; POST /explain -> score and five reasons."""
import ctypes
import os

import lightgbm as lgb
import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

NUMBERS = [f"n{i:02d}" for i in range(28)]
CATEGORIES = [f"c{i}" for i in range(8)]
BOOLEANS = [f"b{i}" for i in range(4)]
COLUMNS = NUMBERS + CATEGORIES + BOOLEANS
LEVELS = [3, 5, 8, 12, 25, 50, 100, 200]
CODES = {c: {f"{c}_v{v:03d}": v for v in range(k)} for c, k in zip(CATEGORIES, LEVELS)}

app = FastAPI()
booster = lgb.Booster(model_file=os.environ["MODEL"], params={"num_threads": 1})
library = lgb.basic._LIB


def fast(kind):
    """a call for one row: of its score (kind 0) or of what each feature adds to it (3)"""
    handle = ctypes.c_void_p()
    code = library.LGBM_BoosterPredictForMatSingleRowFastInit(
        booster._handle, kind, 0, -1, 1, 40, b"num_threads=1", ctypes.byref(handle))
    assert code == 0
    out, n, row = (ctypes.c_double * 41)(), ctypes.c_int64(), (ctypes.c_double * 40)()

    def call(features):
        for j, c in enumerate(COLUMNS):
            v, codes = features.get(c), CODES.get(c)
            row[j] = float("nan") if v is None else codes.get(v, -1) if codes is not None else v
        library.LGBM_BoosterPredictForMatSingleRowFast(handle, row, ctypes.byref(n), out)
        return out

    return call


score_of, contributions_of = fast(0), fast(3)


@app.post("/score")
async def score(request: Request):
    body = orjson.loads(await request.body())
    return Response(orjson.dumps({"account_id": body["account_id"], "score": score_of(body["features"])[0]}), media_type="application/json")


@app.post("/explain")
async def explain(request: Request):
    body = orjson.loads(await request.body())
    phi = np.frombuffer(contributions_of(body["features"]))
    top = np.argsort(-np.abs(phi[:40]))[:5]
    reasons = [{"feature": COLUMNS[i], "contribution": round(float(phi[i]), 6)} for i in top]
    return Response(orjson.dumps({"account_id": body["account_id"], "score": float(1 / (1 + np.exp(-phi.sum()))), "reasons": reasons}), media_type="application/json")
