"""Every number of the notebook's two comparisons, worked out a second time.

Nothing of the program takes part: the values come from the embedded table by
hashes made here, and each figure is computed from its definition in plain Python.
Where the program is exact so is the check; the tolerances of the null, on a
lattice of a tenth of a percentile point, and of the bootstrap, of other resamples,
are named below.

    .venv/bin/python -m unittest discover -s tests -p test_numbers.py

It takes the notebook that test_notebook executed in the same process, and executes
it where there is none.
"""
import bisect
import hashlib
import html
import math
import random
import re
import statistics
import unittest
from collections import Counter

import support
import test_notebook

NASAPI = support.ROOT / "nasapi"
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
GRANULES = 9984  # test images that NASBench-101 counts: an accuracy is a multiple of 1/9984
MIN_P = 1e-12  # what the program says for a chance that is smaller
LEVEL = 0.05

LATTICE = 1000  # steps of one draw's percentile in our null
NULL_TOLERANCE = 0.001  # of a chance, relative: what that lattice moves it
LEAD_TOLERANCE = 0.01  # percentile points
RESAMPLES = 4000
BOOTSTRAP_TOLERANCE = 0.06  # of an interval's width: Monte Carlo error on both sides


class Space:
    """The 423,624 cells: test accuracy in granules, in ascending order of hash."""

    def __init__(self):
        raw = (NASAPI / "table" / "test108_r0.u16le").read_bytes()
        self.values = [raw[i] | raw[i + 1] << 8 for i in range(0, len(raw), 2)]
        self.n = len(self.values)
        self.sorted = sorted(self.values)
        # The first five bytes of each hash, behind the count and four bytes a graph.
        index = (NASAPI / "space" / "nasbench101.idx").read_bytes()
        at = 4 + 4 * self.n
        self.prefixes = [index[i : i + 5] for i in range(at, at + 5 * self.n, 5)]

    def value(self, digest):
        row = bisect.bisect_left(self.prefixes, bytes.fromhex(digest)[:5])
        if self.prefixes[row].hex() != digest[:10]:
            raise KeyError(digest)
        return self.values[row]

    def rank(self, v):
        return 1 + self.n - bisect.bisect_right(self.sorted, v)

    def ties(self, v):
        return bisect.bisect_right(self.sorted, v) - bisect.bisect_left(self.sorted, v)

    def mid_rank(self, v):
        return self.rank(v) + (self.ties(v) - 1) / 2

    def percentile(self, v):
        return 100 * (1 - (self.mid_rank(v) - 1) / self.n)


class Null:
    """The mean percentile of some uniform draws, by a convolution in whole numbers.

    A draw's deficit from the best cell, in half ranks, is split between the two
    neighbours on a lattice in proportion, so the mean stays. All weights are whole,
    hence the convolution is a power of one long integer whose digits they are."""

    def __init__(self, space, draws):
        counts = Counter(space.values)
        deficits = {v: int(2 * (space.mid_rank(v) - 1)) for v in counts}
        best, worst = min(deficits.values()), max(deficits.values())
        width = -(-(worst - best) // LATTICE)  # half ranks a step
        weights = [0] * (LATTICE + 2)
        for v, count in counts.items():
            k, rest = divmod(deficits[v] - best, width)
            weights[k] += count * (width - rest)
            weights[k + 1] += count * rest
        size = (space.n * width) ** draws
        digit = (size.bit_length() + 8) // 8  # bytes
        one = int.from_bytes(b"".join(w.to_bytes(digit, "little") for w in weights), "little")
        power = (one**draws).to_bytes(digit * (len(weights) * draws + 1), "little")
        mass = [int.from_bytes(power[i : i + digit], "little") / size for i in range(0, len(power), digit)]
        self.at_least, total = [], 0.0
        for m in mass:
            total += m
            self.at_least.append(total)
        if abs(total - 1) > 1e-9:
            raise AssertionError(f"the null's mass is {total}")
        points = 100 / (2 * space.n)  # percentile points a half rank is worth
        self.top = 100 - best * points
        self.step = width * points / draws
        self.mean = 100 - points * sum(deficits[v] * count for v, count in counts.items()) / space.n

    def upper(self, x):
        """P(mean percentile >= x); a lattice point stands for the step around it."""
        t = (self.top - x) / self.step - 0.5
        k = math.floor(t)
        below = self.at_least[k] if k >= 0 else 0.0
        above = self.at_least[k + 1] if k >= -1 else 0.0
        return below + (t - k) * (above - below)

    def smallest_lead(self):
        """The smallest lead over the mean that is significant."""
        low, high = 0.0, 50.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.upper(self.mean + middle) > LEVEL else (low, middle)
        return high


def module_hash(matrix, ops):
    """The data set's identity of a pruned cell."""
    digest = lambda text: hashlib.md5(text.encode()).hexdigest()  # noqa: E731
    labels = [-1] + [OPERATIONS.index(o) for o in ops[1:-1]] + [-2]
    everyone = range(len(matrix))
    hashes = [digest(str((sum(matrix[v]), sum(row[v] for row in matrix), labels[v]))) for v in everyone]
    for _ in everyone:
        hashes = [
            digest("".join(sorted(hashes[u] for u in everyone if matrix[u][v])) + "|" + "".join(sorted(hashes[w] for w in everyone if matrix[v][w])) + "|" + hashes[v])
            for v in everyone
        ]
    return digest(str(sorted(hashes)))


def channels(matrix, entering, leaving):
    """Channels of each vertex: the output's are shared out, the rest take what they feed."""
    last = len(matrix) - 1
    feeders = [v for v in range(1, last) if matrix[v][last]]
    width = [entering] + [0] * (last - 1) + [leaving]
    for place, v in enumerate(feeders):
        width[v] = leaving // len(feeders) + (place < leaving % len(feeders))
    for v in range(last - 1, 0, -1):
        if v not in feeders:
            width[v] = max(width[w] for w in range(v + 1, last) if matrix[v][w])
    return width


def costs(matrix, ops):
    """Trainable parameters, and multiply-adds on a 32 x 32 image: a stem, three stacks of
    three cells, a linear layer. Batch normalisation and pooling count no multiply-adds."""
    last = len(matrix) - 1
    trainable = flops = 0
    pixels, entering, leaving = 32 * 32, 128, 128

    def convolution(side, source, target):
        nonlocal trainable, flops
        trainable += side * side * source * target + 2 * target
        flops += side * side * source * target * pixels

    convolution(3, 3, 128)
    for stack in range(3):
        if stack:
            pixels, leaving = pixels // 4, 2 * leaving
        for _ in range(3):
            width = channels(matrix, entering, leaving)
            for v in range(1, last):
                if matrix[0][v]:
                    convolution(1, entering, width[v])
                if ops[v] != "maxpool3x3":
                    convolution(3 if ops[v] == "conv3x3-bn-relu" else 1, width[v], width[v])
            if matrix[0][last]:
                convolution(1, entering, leaving)
            entering = leaving
    return trainable + 10 * entering + 10, flops + 10 * entering


def quartile(values, q):
    """Linear between order statistics, as R and NumPy have it."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def pairs_won(a, b):
    return sum((x > y) + (x == y) / 2 for x in a for y in b)


def rank_sum_p(a, b):
    """Two-sided p of the Mann-Whitney test over all ways to share out the pooled values."""
    pool = sorted(a + b)
    twice = {v: pool.index(v) + 1 + len(pool) - pool[::-1].index(v) for v in pool}  # mid-ranks, doubled
    ways = [Counter() for _ in range(len(a) + 1)]
    ways[0][0] = 1
    for v in pool:
        for taken in range(len(a), 0, -1):
            for total, count in ways[taken - 1].items():
                ways[taken][total + twice[v]] += count
    observed = sum(twice[v] for v in a)
    everything = math.comb(len(pool), len(a))
    upper = sum(count for total, count in ways[-1].items() if total >= observed)
    lower = sum(count for total, count in ways[-1].items() if total <= observed)
    return min(1, 2 * min(upper, lower) / everything)


def holm(ps):
    adjusted, floor = [0.0] * len(ps), 0.0
    for place, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        floor = min(1, max(floor, (len(ps) - place) * ps[i]))
        adjusted[i] = floor
    return adjusted


def bca(a, b, stream):
    """The 95 % interval of the difference of means, bias-corrected and accelerated."""
    normal = statistics.NormalDist()
    mean = statistics.fmean
    difference = mean(a) - mean(b)
    draws = sorted(mean(stream.choices(a, k=len(a))) - mean(stream.choices(b, k=len(b))) for _ in range(RESAMPLES))
    bias = normal.inv_cdf((bisect.bisect_left(draws, difference) + bisect.bisect_right(draws, difference)) / 2 / RESAMPLES)
    cubes = squares = 0.0
    for sample, sign in ((a, 1), (b, -1)):
        centre = mean(sample)
        for v in sample:
            influence = sign * (v - centre) / len(sample)
            cubes += influence**3
            squares += influence**2
    pull = cubes / (6 * squares**1.5)
    moved = (bias + z / (1 - pull * z) for z in (bias + normal.inv_cdf(q) for q in (0.025, 0.975)))
    return [quartile(draws, normal.cdf(z)) for z in moved]


def numbers(text):
    """The numbers in a shown text, each with half a unit of its last digit."""
    found = []
    for literal in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", text):
        digits, _, exponent = literal.replace(",", "").partition("e")
        places = len(digits.partition(".")[2])
        found.append((float(literal.replace(",", "")), 0.5000001 * 10.0 ** (int(exponent or 0) - places)))
    return found


class NumbersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not hasattr(test_notebook.NotebookTest, "outputs"):
            cls.addClassCleanup(test_notebook.NotebookTest.doClassCleanups)
            test_notebook.NotebookTest.setUpClass()
        cls.outputs = test_notebook.NotebookTest.outputs
        cls.bundles = [o.data for o in cls.outputs if test_notebook.RESULT in o.get("data", {})]
        cls.results = [b[test_notebook.RESULT] for b in cls.bundles]
        cls.space = Space()
        cls.nulls = {}

    def null(self, draws):
        if draws not in self.nulls:
            self.nulls[draws] = Null(self.space, draws)
        return self.nulls[draws]

    def groups(self):
        """Each group with its result and its values in granules, found again by hash."""
        found = [(result, group, [self.space.value(s["hash"]) for s in group["seeds"]]) for result in self.results for group in result["groups"]]
        self.assertGreaterEqual(len(found), 10)
        return found

    def naming(self, result, group):
        return self.subTest(oracle=result["oracle"], group=group["name"])

    def close(self, got, want, what="", relative=1e-11):
        self.assertLessEqual(abs(got - want), relative * max(1, abs(want)), f"{what}: {got}, not {want}")

    def draws(self, result):
        group = next(g for g in result["groups"] if g["name"] == result["drawn"])
        self.assertEqual((group["kind"], group["measure"]), ("draw", "unique"))
        return [s["value"] for s in group["seeds"]]

    def test_the_table_is_the_one_that_is_known(self):
        self.assertEqual((self.space.n, len(set(self.space.values))), (423624, 2904))
        self.close(statistics.fmean(self.space.values) / GRANULES, 0.89680, relative=5e-6)
        self.assertEqual(self.prefixes_in_order(), self.space.n)

    def prefixes_in_order(self):
        return 1 + sum(a <= b for a, b in zip(self.space.prefixes, self.space.prefixes[1:]))

    def test_hashes_costs_and_values_of_the_selected(self):
        for result, group, values in self.groups():
            with self.naming(result, group):
                for seed, v in zip(group["seeds"], values):
                    matrix, ops = seed["architecture"]["matrix"], seed["architecture"]["ops"]
                    self.assertEqual(seed["hash"], module_hash(matrix, ops))
                    self.assertEqual((seed["params"], seed["flops"]), costs(matrix, ops))
                    self.assertEqual(seed["value"], v / GRANULES)

    def test_ranks_ties_and_percentiles(self):
        for result, group, values in self.groups():
            with self.naming(result, group):
                self.assertEqual((result["n"], result["best"]), (self.space.n, self.space.sorted[-1] / GRANULES))
                for seed, v in zip(group["seeds"], values):
                    self.assertEqual((seed["rank"], seed["ties"]), (self.space.rank(v), self.space.ties(v)))
                    self.close(seed["percentile"], self.space.percentile(v))
                best = max(values)
                self.assertEqual((group["best_rank"], group["best_ties"], group["best_mid_rank"]), (self.space.rank(best), self.space.ties(best), self.space.mid_rank(best)))

    def test_summaries(self):
        for result, group, values in self.groups():
            with self.naming(result, group):
                for name, sample in (("values", [v / GRANULES for v in values]), ("percentiles", [self.space.percentile(v) for v in values])):
                    want = {
                        "mean": statistics.fmean(sample), "sd": statistics.stdev(sample), "median": statistics.median(sample),
                        "q1": quartile(sample, 0.25), "q3": quartile(sample, 0.75), "min": min(sample), "max": max(sample),
                    }
                    for key, number in want.items():
                        self.close(group[name][key], number, f"{name} {key}")
                    self.assertEqual(group[name]["n"], len(sample))

    def test_the_exact_null(self):
        for result, group, values in self.groups():
            with self.naming(result, group):
                null = self.null(len(values))
                mean = statistics.fmean(self.space.percentile(v) for v in values)
                for key, want in (("p_null", null.upper(mean)), ("p_null_lower", 1 - null.upper(mean))):
                    if want < 10 * MIN_P:
                        self.assertTrue(MIN_P <= group[key] < 11 * MIN_P, f"{key} {group[key]}, not {want}")
                    else:
                        self.close(group[key] / want, 1, key, relative=NULL_TOLERANCE)
                self.close(group["smallest_detectable"], null.smallest_lead(), "smallest lead", relative=LEAD_TOLERANCE)

    def test_holm_and_the_verdicts(self):
        for result in self.results:
            judged = [g for g in result["groups"] if g["kind"] != "draw"]
            for key in ("p_null", "p_null_lower"):
                for group, want in zip(judged, holm([g[key] for g in judged])):
                    self.close(group[f"{key}_holm"] / want, 1, group["name"])
            for group in judged:
                better, worse = (group[key] <= LEVEL for key in ("p_null_holm", "p_null_lower_holm"))
                want = "better than random sampling" if better else "worse than random sampling" if worse else "not told from random sampling"
                self.assertTrue(group["verdict"].startswith(want), group["verdict"])
            for group in result["groups"]:
                self.assertEqual("verdict" in group, group in judged, group["name"])

    def test_the_papers_p_and_the_one_at_equal_budget(self):
        for result, group, values in self.groups():
            with self.naming(result, group):
                share = 1 - self.space.rank(max(values)) / self.space.n
                self.close(group["p_beats_random"] / share ** len(values), 1)
                self.assertEqual([round(p, 12) for p in group["p_null_band"]], [0.05, 0.95])
                # Guided by the metric itself, or else at equal budget there is nothing to say.
                if result["oracle"] and group["kind"] == "search":
                    self.close(group["p_equal_budget"] / share ** (len(values) * group["budget"]), 1)
                else:
                    self.assertNotIn("p_equal_budget", group)

    def test_differences_and_their_intervals(self):
        stream = random.Random(1)
        for result, group, values in self.groups():
            with self.naming(result, group):
                if group["kind"] == "draw":
                    self.assertNotIn("versus_draw", group)
                    continue
                sample = [v / GRANULES for v in values]
                others = {"versus_draw": self.draws(result)}
                search = [g for g in result["groups"] if g["policy"] == "random" and g["kind"] == "search"]
                self.assertEqual([g["budget"] for g in search], [group["budget"]])
                if group not in search:
                    others["versus_random_search"] = [s["value"] for s in search[0]["seeds"]]
                self.assertEqual("versus_encoding_draw" in group, group["policy"] == "enas")
                for key, baseline in others.items():
                    said = group[key]
                    self.close(said["mean"], statistics.fmean(sample) - statistics.fmean(baseline), key)
                    self.assertEqual((said["level"], said["method"], said["runs"], said["baseline_runs"]), (0.95, "BCa bootstrap", len(sample), len(baseline)))
                    width = said["high"] - said["low"]
                    for end, want in zip((said["low"], said["high"]), bca(sample, baseline, stream)):
                        self.assertLessEqual(abs(end - want), BOOTSTRAP_TOLERANCE * width, f"{key}: {end}, not {want}")
                centre = statistics.fmean(self.draws(result))
                self.close(group["relative_improvement_percent"], 100 * (statistics.fmean(sample) - centre) / centre)

    def test_rank_test_and_effect_size(self):
        for result, group, values in self.groups():
            with self.naming(result, group):
                if group["kind"] == "draw":
                    continue
                sample, draws = [v / GRANULES for v in values], self.draws(result)
                won = pairs_won(sample, draws)
                self.assertEqual((group["mann_whitney"]["u"], group["mann_whitney"]["method"]), (won, "exact"))
                self.close(group["mann_whitney"]["p"] / rank_sum_p(sample, draws), 1)
                self.close(group["cliffs_delta"], 2 * won / (len(sample) * len(draws)) - 1)

    def test_what_is_shown_is_what_was_computed(self):
        """Each number of the tables, to the digits that it is shown with."""
        for bundle, result in zip(self.bundles, self.results):
            rows = support.rows(html.unescape(bundle["text/html"]))
            heads = [row for row in rows if row and row[0] == "group"]
            self.assertEqual([len(h) > 5 for h in heads], [True] * 3)
            for group in result["groups"]:
                name = group["name"] + (" [oracle]" if group.get("oracle") else "")
                mine = [row for row in rows if row and row[0] == name]
                distinct = {seed["hash"] for seed in group["seeds"]}
                self.assertEqual(group["distinct_architectures"], len(distinct), name)
                self.assertEqual(len(mine), 2 + len(group["seeds"]), name)
                self.shown(dict(zip(heads[0], mine[0])), {
                    "runs": [group["runs"]] + [len(distinct)] * (len(distinct) < group["states"]["done"]),
                    "percentile: mean / median": [group["percentiles"]["mean"], group["percentiles"]["median"]],
                    "p (exact)": [group["p_null"]],
                    "mean ± sd (%)": [100 * group["values"]["mean"], 100 * group["values"]["sd"]],
                    "median (%)": [100 * group["values"]["median"]],
                    "best (%)": [100 * group["values"]["max"]],
                    "best rank": [group["best_rank"]] + [group["best_ties"]] * (group["best_ties"] > 1),
                })
                self.assertIn(group.get("verdict", ""), mine[0])
                self.shown(dict(zip(heads[1], mine[1])), {
                    "against one draw a seed": self.interval(group, "versus_draw"),
                    "one draw in its encoding": self.interval(group, "versus_encoding_draw"),
                    "random search, equal cost": self.interval(group, "versus_random_search"),
                    "relative": [group[k] for k in ("relative_improvement_percent",) if k in group],
                    "Mann-Whitney p": [group["mann_whitney"]["p"]] if "mann_whitney" in group else [],
                    "Cliff's delta": [group[k] for k in ("cliffs_delta",) if k in group],
                    "p(> random)": [group["p_beats_random"]],
                    "equal-budget p": [group[k] for k in ("p_equal_budget",) if k in group],
                    "detectable lead": [group["smallest_detectable"]],
                })
                for seed, row in zip(group["seeds"], mine[2:]):
                    self.shown(dict(zip(heads[2], row)), {
                        "seed": [seed["seed"]], "value %": [100 * seed["value"]], "rank": [seed["rank"]], "ties": [seed["ties"]],
                        "percentile": [seed["percentile"]], "parameters": [seed["params"]],
                    })
                    self.assertEqual(row[-1], seed["hash"][:8])
                for row in mine:  # and the text says the same
                    self.assertRegex(bundle["text/plain"], r"\s+".join(re.escape(cell) for cell in row if cell))

    def interval(self, group, key):
        return [100 * group[key][end] for end in ("mean", "low", "high")] if key in group else []

    def shown(self, row, want):
        for title, values in want.items():
            if title not in row:  # a column without an entry is left out
                self.assertEqual(values, [], title)
                continue
            found = numbers(row[title])
            self.assertEqual(len(found), len(values), f"{title}: {row[title]}")
            for (shown, half_digit), value in zip(found, values):
                self.assertLessEqual(abs(shown - value), half_digit + 1e-9 * abs(value), f"{title}: {row[title]} for {value}")
                self.assertFalse(title.startswith("percentile") and shown >= 100 > value, f"{value} is shown as {row[title]}")

    def test_figures_name_their_groups_with_the_numbers_of_the_result(self):
        after = []
        for output in self.outputs:  # the two figures of a comparison follow its tables
            data = output.get("data", {})
            if test_notebook.RESULT in data:
                after.append((data[test_notebook.RESULT], []))
            elif after and "image/svg+xml" in data:
                after[-1][1].append([html.unescape(t) for t in re.findall(r"(?s)<text[^>]*>(.*?)</text>", data["image/svg+xml"])])
        for result, figures in after:
            self.assertEqual(len(figures), 2)
            for texts in figures:
                self.assertEqual(any(t.startswith("ORACLE") for t in texts), result["oracle"])
                self.assertTrue(any(t.endswith(f"{100 * result['best']:.2f}") for t in texts), texts)
            over_space, anytime = figures
            for group in result["groups"]:
                place = over_space.index(group["name"])
                label = over_space[place + 1 : place + 4]  # kind and seeds, median, percentile
                self.assertIn(f"{group['runs']} seeds", label[0])
                self.shown({"median": label[1], "percentile": label[2]}, {"median": [100 * group["values"]["median"]], "percentile": [group["percentiles"]["mean"]]})
                if group["kind"] == "search":
                    self.assertIn(f"{100 * group['values']['median']:.2f}", anytime[anytime.index(group["name"]) + 1])


if __name__ == "__main__":
    unittest.main()
