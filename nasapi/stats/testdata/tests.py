"""Writes tests.json: what SciPy and NumPy say of tests and summaries, for
scipy_test.go.

    python3 tests.py > tests.json

Samples are drawn here and written out. SciPy 1.17.1, NumPy 2.4.6.
"""
import json

import numpy as np
from scipy import stats

rng = np.random.default_rng(8)


def permutation(name, a, b):
    a, b = [float(v) for v in a], [float(v) for v in b]

    def difference(x, y, axis=-1):  # of the means, times both sizes: exact for values in tenths
        x, y = np.round(10 * np.asarray(x)), np.round(10 * np.asarray(y))
        return y.shape[axis] * x.sum(axis=axis) - x.shape[axis] * y.sum(axis=axis)

    def distance(x, y, axis=-1):
        return np.abs(difference(x, y, axis=axis))

    p = {
        side: stats.permutation_test((a, b), difference, vectorized=True, n_resamples=np.inf, alternative=side).pvalue
        for side in ("greater", "less")
    }
    p["two"] = stats.permutation_test((a, b), distance, vectorized=True, n_resamples=np.inf, alternative="greater").pvalue
    return {"name": name, "a": a, "b": b, "difference": float(np.mean(a) - np.mean(b)), **{k: float(v) for k, v in p.items()}}


def components(name, groups):
    groups = [[float(v) for v in g] for g in groups]
    sizes = np.array([len(g) for g in groups])
    f = stats.f_oneway(*groups)
    everything = np.concatenate(groups)
    between = sum(len(g) * (np.mean(g) - everything.mean()) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups) / (len(everything) - len(groups))
    n0 = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    part = (between - within) / n0
    return {
        "name": name, "groups": groups, "f": float(f.statistic), "p": float(f.pvalue), "n0": float(n0),
        "between": float(max(part, 0)), "within": float(within), "truncated": bool(part < 0),
    }


def course():
    at = np.sort(rng.choice(np.arange(1, 100), 6, replace=False)).astype(float)
    at[0] = 1
    return {"at": at.tolist(), "value": np.round(-np.sort(-rng.random(6)), 4).tolist(), "end": 100.0}


def moments(courses, places):
    out = []
    for x in places:
        values = [c["value"][np.searchsorted(c["at"], x, side="right") - 1] for c in courses]
        out.append({
            "mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)), "median": float(np.median(values)),
            "q1": float(np.quantile(values, 0.25)), "q3": float(np.quantile(values, 0.75)),
        })
    return out


def tau(name, x, y):
    result = stats.kendalltau(x, y, method="asymptotic")
    return {"name": name, "x": [float(v) for v in x], "y": [float(v) for v in y], "tau": float(result.statistic), "p": float(result.pvalue)}


courses = [course() for _ in range(7)]
places = [1.0, 10.0, 33.5, 100.0]
x = rng.normal(size=600)
print(json.dumps({
    "permutations": [
        permutation("two policies", np.round(rng.normal(93, 1, 8), 1), np.round(rng.normal(92, 1, 9), 1)),
        permutation("small", [1.5, 2.5, 4.0], [3.0, 5.0, 6.0, 7.0]),
        permutation("ties", [1, 2, 2, 3, 5], [2, 3, 3, 4, 4]),
        permutation("no difference", [1, 2, 3], [1, 2, 3]),
    ],
    "components": [
        components("equal sizes", rng.normal(0, 1, (5, 1)) + rng.normal(0, 0.5, (5, 4))),
        components("unequal sizes", [m + rng.normal(0, 0.5, n) for m, n in zip(rng.normal(0, 1, 6), (1, 2, 3, 5, 2, 7))]),
        components("truncated", [[1.0, 3.0], [1.1, 2.9], [0.9, 3.1]]),
    ],
    "anytime": {"courses": courses, "places": places, "moments": moments(courses, places)},
    "taus": [
        tau("600 without ties", x, x + rng.normal(0, 2, 600)),
        tau("600, coarse", np.round(x), np.round(x - 2 * rng.normal(size=600), 1)),
        tau("600, some negative", np.round(x, 2), -np.round(np.abs(x), 2)),
    ],
}, indent=1))
