"""Writes own.csv, own.jsonl and own.parquet: one table in three formats.

Run with pandas and pyarrow (3.0.1 and 26.0.1 were used).
"""
import itertools
import json

import numpy
import pandas

rows = []
for i, (depth, width, op, flag) in enumerate(itertools.product([8, 14, 20], [16, 36], ["conv", "pool"], [True, False])):
    for seed in (777, 888):
        k = (i * 37 + seed) % 97
        rows.append(dict(depth=depth, width=width, op=op, flag=flag, seed=seed,
                         val=0.5 + k / 211, test=0.4 + k / 200, t=100 + 7 * k, params=1000 * (depth + width)))
rows = [rows[(i * 29) % len(rows)] for i in range(len(rows))]  # in no order
frame = pandas.DataFrame(rows)
frame["depth"] = frame["depth"].astype("Int64")  # nullable
frame["width"] = frame["width"].astype("int32")
frame["op"] = frame["op"].astype("category")
frame["test"] = frame["test"].astype(numpy.float32)
frame["note"] = pandas.Series(["a note"] + [None] * (len(frame) - 1), dtype="string")
frame.to_csv("own.csv", index=False)
with open("own.jsonl", "w") as out:  # to_json rounds
    for row in rows:
        out.write(json.dumps(dict(row, test=float(str(numpy.float32(row["test"]))))) + "\n")
frame.to_parquet("own.parquet", engine="pyarrow", compression="snappy")
