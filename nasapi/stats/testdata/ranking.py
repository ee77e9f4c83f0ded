"""Writes ranking.json: what SciPy says of rankings, for ranking_report_test.go.

    python3 ranking.py > ranking.json

Pools are drawn here and written out, so that the test needs no random numbers of NumPy's.
"""
import json

import numpy as np
from scipy import stats

rng = np.random.default_rng(20)


def pool(name, scores, truth):
    scores, truth = [float(v) for v in scores], [float(v) for v in truth]
    n = len(scores)
    tied = len(set(scores)) < n or len(set(truth)) < n
    method = "asymptotic" if tied or n > 60 else "exact"
    tau = stats.kendalltau(scores, truth, method=method)
    # An accuracy on the edge of a bin belongs to the one above.
    bins = np.floor(np.array(truth) * 1000 + 1e-9)
    order = np.argsort(scores, kind="stable")
    published = np.floor(np.array(truth) * 1000)
    mid = stats.rankdata(-np.array(scores)), stats.rankdata(-np.array(truth))
    return {
        "name": name, "scores": scores, "truth": truth, "method": method,
        "tau": tau.statistic, "p": tau.pvalue,
        "spearman": stats.spearmanr(scores, truth).statistic,
        "sparse": stats.kendalltau(scores, bins).statistic,
        "published": stats.kendalltau(np.sort(published), published[order]).statistic,
        "rank_change": float(np.abs(mid[0] - mid[1]).mean()),
    }


def accuracies(n):
    return np.round((0.945 - 0.02 * rng.exponential(size=n)) * 9984) / 9984


pools = []
for n in (5, 12, 33, 60):
    truth = rng.permutation(np.linspace(0.9, 0.94, n))
    pools.append(pool(f"{n} without ties", truth + rng.normal(0, 0.02, n), truth))
for n in (8, 40, 61, 200):
    truth = accuracies(n)
    pools.append(pool(f"{n} of a table", np.round(truth + rng.normal(0, 0.02, n), 3), truth))
many = accuracies(200)
pools.append(pool("coarse scores", np.round(many * 20 + rng.normal(0, 0.5, 200)) / 20, many))
pools.append(pool("no relation", rng.integers(0, 50, 100) / 100, accuracies(100)))

# Sen's slope of one run: scipy.stats.theilslopes corrects its interval for ties and takes
# the normal approximation, so only slopes are compared.
steps = np.arange(10.0, 110.0, 10)
taus = [float(v) for v in np.round(0.2 + 0.002 * steps + rng.normal(0, 0.03, 10), 4)]
half = steps >= 50
slope = stats.theilslopes(np.array(taus)[half], steps[half]).slope

print(json.dumps({
    "pools": pools,
    "theil": {"steps": list(steps), "taus": taus, "slope": float(slope)},
    "student": {"df": 4, "quantile": float(stats.t.ppf(0.95, 4))},
}, indent=1))
