#!/usr/bin/env python3
"""Peer of the benchmark kendall: scipy.stats.kendalltau. Requests and answers are JSON lines.

{"file": FILE} reads two columns of float64, one behind the other, and answers {"seconds": s,
"tau": tau, "p": p}: the time is that of kendalltau alone, which computes its p too."""
import json
import sys
import time

import numpy as np
from scipy import stats

for line in sys.stdin:
    x, y = np.fromfile(json.loads(line)["file"]).reshape(2, -1)
    began = time.perf_counter()
    result = stats.kendalltau(x, y)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "tau": float(result.statistic), "p": float(result.pvalue)}), flush=True)
