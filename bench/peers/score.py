"""Scores a Parquet file into another with LightGBM.

usage: score.py HOW DATA MODELS OUT      HOW: whole (one table), streamed (batch by batch, in bounded memory)
"""
import sys

import lightgbm
import pyarrow as pa
import pyarrow.parquet as pq

from common import *

how, data, models, out = sys.argv[1:]
model = lightgbm.Booster(model_file=f"{models}/lightgbm.txt")
parts = [read_arrow(data)] if how == "whole" else (pa.table(b) for b in pq.ParquetFile(data).iter_batches(125000, columns=COLUMNS))
with pq.ParquetWriter(out, pa.schema([("score", pa.float64())])) as writer:
    for part in parts:
        writer.write_table(pa.table({"score": model.predict(matrix(part), num_threads=THREADS)}))
