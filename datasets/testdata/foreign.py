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

# Many pages and row groups, with dictionaries that grow too large and are left for plain values.
n = 1500
mixed = pa.table({
    "few": pa.array([None if i % 7 == 0 else i % 5 - 2 for i in range(n)], pa.int16()),
    "many": pa.array([None if i // 100 % 3 == 0 else i * i for i in range(n)], pa.int64()),
    "bytes": pa.array([i % 251 for i in range(n)], pa.uint8()),
    "unsigned": pa.array([i * 1_000_003 % 2**32 for i in range(n)], pa.uint32()),
    "long": pa.array([i * 1_000_003 for i in range(n)], pa.uint64()),
    "single": pa.array([None if i % 11 == 3 else i / 8 for i in range(n)], pa.float32()),
    "double": pa.array([float("nan") if i % 13 == 0 else None if i % 13 == 1 else i / 7 for i in range(n)], pa.float64()),
    "required": pa.array([i / 3 for i in range(n)], pa.float64()),
    "flag": pa.array([None if i % 17 == 0 else i // 40 % 2 == 0 for i in range(n)], pa.bool_()),
    "sure": pa.array([i % 3 == 0 for i in range(n)], pa.bool_()),
    "word": pa.array([None if i % 19 == 0 else f"w{i * i % 23}" for i in range(n)], pa.string()),
    "name": pa.array(["" if i % 29 == 3 else f"account {i}" for i in range(n)], pa.string()),
    "day": pa.array([None if i % 5 == 0 else dt.date(2020, 1, 1) + dt.timedelta(i % 400) for i in range(n)], pa.date32()),
    "at": pa.array([None if i % 5 == 0 else dt.datetime(2020, 1, 1) + dt.timedelta(minutes=i) for i in range(n)], pa.timestamp("ms")),
    "empty": pa.array([None] * n, pa.float64()),
    "id": pa.array([i if i < 1250 else 10**16 + i for i in range(n)], pa.int64()),
}, schema=None)
mixed = mixed.cast(pa.schema([f.with_nullable(f.name not in ("required", "sure")) for f in mixed.schema]))
pq.write_table(mixed, "mixed.parquet", compression="snappy", row_group_size=550, data_page_size=1024, dictionary_pagesize_limit=2048, write_batch_size=128)
pq.write_table(mixed, "mixed_v2.parquet", compression="zstd", row_group_size=1000, data_page_size=2048, data_page_version="2.0", write_batch_size=64)
delta, split = "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"
pq.write_table(mixed, "mixed_delta.parquet", compression="zstd", use_dictionary=False, row_group_size=1000, data_page_size=2048,
               column_encoding={"few": delta, "many": delta, "unsigned": delta, "long": delta, "day": delta, "at": delta, "id": delta,
                                "word": "DELTA_LENGTH_BYTE_ARRAY", "name": "DELTA_BYTE_ARRAY", "single": split, "double": split, "bytes": split})
