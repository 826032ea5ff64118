#!/usr/bin/env python3
"""Whether a feature table of ours is that of history_duckdb.py or history_polars.py, row by row.

Usage: history_check.py OURS FILE

OURS is the directory of a model's tables as `propensity features build` leaves it (or another FILE). Rows are sorted
by (moment, account) and compared: whole numbers must be equal, and the largest difference of a float column is
given relative to max(1, |value|). The label is compared where ours has one: it looks at [t, t + 90 days), theirs at
(t, t + 90 days], so that an end at the very edge may differ. One JSON line: rows, differ (values that do), difference.
"""
import json
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import history as w


def ours(folder):
    """Our table with the columns of history.columns(); a label that is open is null."""
    rows = pa.concat_tables([pq.read_table(f) for f in sorted(folder.glob("rows-*.parquet"))])
    label = pa.concat_tables([pq.read_table(f) for f in sorted(folder.glob("labels-*.parquet"))])
    name = next(c for c in label.column_names if c not in ("account_id", "moment"))
    rows = rows.cast(pa.schema([f.with_type(pa.string()) if f.name == "account_id" else f for f in rows.schema]))
    label = label.cast(pa.schema([f.with_type(pa.string()) if f.name == "account_id" else f for f in label.schema]))
    rows = rows.join(label, ["account_id", "moment"])

    def column(c):
        head, _, last = c.rpartition("_")
        if c == "t":
            return rows["moment"].cast(pa.date32())
        if c == "label":
            return rows[name].cast(pa.int64())
        if c == "login_trend":
            return rows["login_28d_trend"]
        return rows[f"{head}_{last}d" if last in ("7", "28", "90") else c]
    return pa.table([column(c) for c in w.columns()], names=w.columns())


def load(path):
    """Column name -> (values with 0 for null, null mask), rows sorted by (t, account)."""
    table, out = ours(path) if path.is_dir() else pq.read_table(path), {}
    assert table.column_names == w.columns(), "columns differ from history.columns()"
    for name in table.column_names:
        col = table[name].combine_chunks()
        col = col.combine_chunks() if isinstance(col, pa.ChunkedArray) else col
        if pa.types.is_dictionary(col.type):
            col = col.dictionary_decode()
        null = col.is_null().to_numpy(zero_copy_only=False)
        if name == "account_id":
            col = pc.cast(pc.utf8_slice_codeunits(col.cast(pa.string()), 2), pa.int64())
        elif name == "plan":
            col = pc.add(pc.index_in(col.cast(pa.string()), pa.array(w.PLANS)), 1)
        elif name == "t":
            col = col.cast(pa.int32())
        out[name] = (pc.fill_null(col, 0).to_numpy(zero_copy_only=False), null)
    order = np.lexsort((out["account_id"][0], out["t"][0]))
    return {k: (v[order], n[order]) for k, (v, n) in out.items()}


def main():
    one, two = (load(pathlib.Path(p)) for p in sys.argv[1:])
    rows = len(one["t"][0])
    if len(two["t"][0]) != rows:
        sys.exit(f"{rows} and {len(two['t'][0])} rows")
    differ, apart = {}, 0.0
    for k in one:
        (a, an), (b, bn) = one[k], two[k]
        if k == "label":
            a, b = a[~an], b[~an]
        elif (an != bn).any():
            differ[k] = int((an != bn).sum())
        if pq.read_schema(sys.argv[2]).field(k).type == pa.float64():
            apart = max(apart, float(np.max(np.abs(a - b) / np.maximum(1, np.abs(a)))))
        elif (a != b).any():
            differ[k] = int((a != b).sum())
    print(json.dumps({"columns": differ}), file=sys.stderr)
    print(json.dumps({"rows": rows, "labels": int((~one["label"][1]).sum()), "differ": sum(differ.values()), "difference": apart}))


if __name__ == "__main__":
    main()
