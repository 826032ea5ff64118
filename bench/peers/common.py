"""What the peers' scripts share: the columns of the table, reading it, figures, one line of JSON."""
import json
import os
import time

import numpy as np

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
LEVELS = [3, 5, 8, 12, 25, 50, 100, 200]
NUMBERS = [f"n{i:02d}" for i in range(28)]
CATEGORIES = [f"c{j}" for j in range(8)]
BOOLEANS = [f"b{i}" for i in range(4)]
COLUMNS = NUMBERS + CATEGORIES + BOOLEANS
CATEGORY_PLACES = list(range(28, 36))

LIGHTGBM = dict(objective="binary", num_leaves=31, learning_rate=0.1, max_bin=255, min_data_in_leaf=20, num_threads=THREADS, verbose=-1)
XGBOOST = dict(objective="binary:logistic", tree_method="hist", grow_policy="lossguide", max_leaves=31, max_depth=0, eta=0.1, max_bin=255, nthread=THREADS)
CATBOOST = dict(iterations=200, depth=6, learning_rate=0.1, border_count=254, thread_count=THREADS, verbose=False, allow_writing_files=False)
YDF = dict(num_trees=200, shrinkage=0.1, max_depth=-1, growing_strategy="BEST_FIRST_GLOBAL", max_num_nodes=31, min_examples=20,
           validation_ratio=0.0, early_stopping="NONE", num_threads=THREADS)


def emit(**figures):
    print(json.dumps(figures), flush=True)


def timed(work):
    """seconds of a call, and what it gave"""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def latencies(call, rows, n):
    """microseconds of n single calls over the rows in turn, after a hundred that do not count"""
    for i in range(100):
        call(rows[i % len(rows)])
    took = []
    for i in range(n):
        start = time.perf_counter_ns()
        call(rows[i % len(rows)])
        took.append(time.perf_counter_ns() - start)
    took = np.sort(np.array(took)) / 1000
    return dict(min_us=took[0], p50_us=took[n // 2], p99_us=took[n * 99 // 100])


def read_arrow(path):
    if path.endswith(".csv"):
        import pyarrow.csv
        return pyarrow.csv.read_csv(path)
    import pyarrow.parquet
    return pyarrow.parquet.read_table(path)


def levels(column):
    return [f"{column}_v{k:03d}" for k in range(LEVELS[CATEGORIES.index(column)])]


def matrix(table):
    """the columns of an Arrow table as one float32 matrix, categories as codes"""
    import pyarrow as pa
    import pyarrow.compute as pc
    out = np.empty((table.num_rows, len(COLUMNS)), np.float32)
    for j, name in enumerate(COLUMNS):
        column = table[name]
        if name in CATEGORIES:
            column = pc.index_in(column.cast(pa.string()), pa.array(levels(name))).fill_null(-1)
        elif name in BOOLEANS:
            column = column.cast(pa.int8())
        else:
            column = column.cast(pa.float32())
        out[:, j] = column.to_numpy()
    return out


def read(path):
    """the matrix and the label of a file"""
    table = read_arrow(path)
    return matrix(table), table["y"].to_numpy().astype(np.float32)


def frame(x):
    """a pandas frame of a matrix, with categories as such"""
    import pandas as pd
    return pd.DataFrame({name: pd.Categorical.from_codes(x[:, j].astype(np.int16), categories=levels(name)) if name in CATEGORIES else x[:, j]
                         for j, name in enumerate(COLUMNS)})


def cut(n):
    """the first 80 % of the rows are for training"""
    return n * 4 // 5


def quality(y, p):
    from scipy.stats import rankdata
    p = np.asarray(p, float)
    r, n1 = rankdata(p), float(y.sum())
    n0 = len(y) - n1
    q = np.clip(p, 1e-15, 1 - 1e-15)
    return dict(roc_auc=float((r[y > 0].sum() - n1 * (n1 + 1) / 2) / (n0 * n1)),
                log_loss=float(-np.mean(y * np.log(q) + (1 - y) * np.log1p(-q))))
