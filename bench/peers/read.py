"""Reads a whole table into memory.

usage: read.py TOOL DATA      TOOL: polars, pyarrow, pandas
"""
import sys
import time

from common import THREADS, emit

tool, data = sys.argv[1:]
csv = data.endswith(".csv")
if tool == "polars":
    import polars
    read = polars.read_csv if csv else polars.read_parquet
elif tool == "pyarrow":
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet
    pyarrow.set_cpu_count(THREADS)
    read = pyarrow.csv.read_csv if csv else pyarrow.parquet.read_table
elif tool == "pandas":
    import pandas
    read = (lambda path: pandas.read_csv(path, engine="pyarrow")) if csv else pandas.read_parquet
else:
    raise SystemExit(f"no tool {tool}")
start = time.perf_counter()
table = read(data)
emit(seconds=time.perf_counter() - start, rows=table.shape[0], columns=table.shape[1])
