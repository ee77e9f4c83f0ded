"""Writes kinds.parquet: columns of many types, in three row groups and several compressions.

Run with pandas and pyarrow (3.0.1 and 26.0.1 were used).
"""
import decimal

import pandas
import pyarrow
import pyarrow.parquet

n = 7
table = pyarrow.table({
    "float": pyarrow.array([i / 10 for i in range(n)], pyarrow.float32()),
    "double": pyarrow.array([None if i == 2 else i / 3 for i in range(n)], pyarrow.float64()),
    "nan": pyarrow.array([float("nan") if i == 4 else i for i in range(n)], pyarrow.float64()),
    "infinite": pyarrow.array([float("inf") if i == 4 else i for i in range(n)], pyarrow.float64()),
    "byte": pyarrow.array([250 + i % 3 for i in range(n)], pyarrow.uint8()),
    "unsigned": pyarrow.array([2**64 - 1 - i for i in range(n)], pyarrow.uint64()),
    "long": pyarrow.array([-(2**60) + i for i in range(n)], pyarrow.int64()),
    "truth": pyarrow.array([None if i == 3 else i % 2 == 0 for i in range(n)], pyarrow.bool_()),
    "text": pyarrow.array([None if i == 5 else "t%d" % (i % 2) for i in range(n)], pyarrow.string()),
    "category": pandas.Categorical(["b", "a", "b", "a", "c", "a", "b"]),
    "binary": pyarrow.array([b"\xff\xfe"] * n, pyarrow.binary()),
    "null": pyarrow.nulls(n),
    "time": pyarrow.array([i for i in range(n)], pyarrow.timestamp("us")),
    "date": pyarrow.array([i for i in range(n)], pyarrow.date32()),
    "decimal": pyarrow.array([decimal.Decimal("1.25")] * n, pyarrow.decimal128(5, 2)),
    "list": pyarrow.array([[1, 2]] * n, pyarrow.list_(pyarrow.int64())),
    "record": pyarrow.array([{"x": 1}] * n, pyarrow.struct([("x", pyarrow.int64())])),
})
codecs = ["snappy", "gzip", "zstd", "brotli", "none"]
pyarrow.parquet.write_table(
    table, "kinds.parquet", row_group_size=3,
    compression={name: codecs[i % len(codecs)] for i, name in enumerate(table.column_names)},
    data_page_version="2.0")
