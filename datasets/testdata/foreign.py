"""Writes the Parquet and Arrow files of this directory: python foreign.py

Made with pyarrow 26.0.1."""

import datetime as dt
import decimal
import os

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

os.chdir(os.path.dirname(os.path.abspath(__file__)))
utc = dt.timezone.utc
D = decimal.Decimal

typed = pa.table({
    "i8": pa.array([1, None, -3], pa.int8()),
    "u16": pa.array([1, 65535, 3], pa.uint16()),
    "i64": pa.array([1, None, 999999999999999], pa.int64()),
    "ids": pa.array([1, 12345678901234567, None], pa.int64()),
    "u64": pa.array([2**64 - 1, 2, None], pa.uint64()),
    "f32": pa.array([0.5, float("nan"), None], pa.float32()),
    "f64": pa.array([0.1, None, 1e300], pa.float64()),
    "yes": pa.array([True, False, None], pa.bool_()),
    "text": pa.array(["a", None, "é"], pa.string()),
    "large": pa.array(["5", "28.0", None], pa.large_string()),
    "words": pa.array(["x", "y", None]).dictionary_encode(),
    "day": pa.array([dt.date(2024, 2, 29), None, dt.date(1960, 1, 1)], pa.date32()),
    "s": pa.array([dt.datetime(2024, 1, 2, 3, 4, 5), None, dt.datetime(1969, 12, 31, 23, 59, 59)], pa.timestamp("s")),
    "ms": pa.array([dt.datetime(2024, 1, 2, 3, 4, 5, 6000), None, None], pa.timestamp("ms")),
    "ns": pa.array([1_700_000_000_123_456_789, -1, None], pa.timestamp("ns")),
    "zone": pa.array([dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=utc), None, None], pa.timestamp("us", "Europe/Paris")),
    "dec": pa.array([D("12.50"), D("-0.05"), None], pa.decimal128(20, 2)),
    "bigdec": pa.array([D("12345678901234567"), D("1"), None], pa.decimal128(38, 0)),
    "nothing": pa.nulls(3),
})
pq.write_table(typed, "typed.parquet", compression="zstd", row_group_size=2)
pq.write_table(typed, "typed_old.parquet", compression="gzip", use_dictionary=False, data_page_version="2.0",
               use_deprecated_int96_timestamps=True)
with pa.ipc.new_file("typed.arrow", typed.schema) as w:
    w.write_table(typed, max_chunksize=2)
with pa.ipc.new_stream("typed.arrows", typed.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as w:
    w.write_table(typed)
with pa.ipc.new_file("typed_lz4.arrow", typed.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as w:
    w.write_table(typed)
with pa.ipc.new_stream("views.arrows", pa.schema([("v", pa.string_view())])) as w:
    w.write_table(pa.table({"v": pa.array(["short", None, "a text that is too long to be held inline"], pa.string_view())}))

odd = pa.table({
    "ok": [1, 2],
    "list": [[1], [2, 3]],
    "struct": [{"a": 1}, {"a": 2}],
    "bytes": pa.array([b"a", b"\xff"], pa.binary()),
    "hour": pa.array([dt.time(1), dt.time(2)], pa.time32("s")),
    "inf": [1.0, float("inf")],
})
pq.write_table(odd, "odd.parquet")
with pa.ipc.new_file("odd.arrow", odd.schema) as w:
    w.write_table(odd)
