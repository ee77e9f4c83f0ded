"""Every number of report(...), worked out a second time.

What was found is read from the job folders, by hashes that test_numbers makes; the draws
have no jobs, and a cell prints them. Values come from the embedded table.
Each cell of each table is compared with what its definition gives in plain Python, and a
cell or table that nothing here expects fails the test.

    .venv/bin/python -m unittest discover -s tests -p test_report.py
"""
import itertools
import json
import math
import pathlib
import random
import statistics
import tempfile
import unittest

import support
import test_numbers
from test_numbers import GRANULES, LEAD_TOLERANCE, NULL_TOLERANCE

REPORT = "application/vnd.evalnas.report.v1+json"
BUDGET = 60
REACHABLE = {"enas": 3123}  # of 423,624: what its encoding can write
CELL = f"""space = nasbench101()
by = nasbench101_table().metric("test")
seeds = range(1268, 1278)
drawn = sample_random(space, seeds=seeds)
encoded = sample_random(space, seeds=seeds, measure="sequence")
searches = [search(p, space, params(), seeds=seeds, budget={BUDGET}) for p in ["enas", "random"]] + [search("evolution", space, by, seeds=seeds, budget={BUDGET})]
wait(searches)"""
BOOTSTRAP = 0.08  # of an interval's width: Monte Carlo error of two bootstraps


class Exactly:
    """A number that must be met to rounding."""

    relative = 1e-9

    def __init__(self, value):
        self.value = value

    def meets(self, got):
        return abs(got - self.value) <= self.relative * max(1, abs(self.value))

    def __repr__(self):
        return f"{type(self).__name__}({self.value})"


class Near(Exactly):
    """A number with a tolerance, as those of a resampling or a lattice have."""

    def __init__(self, value, tolerance):
        super().__init__(value)
        self.tolerance = tolerance

    def meets(self, got):
        return abs(got - self.value) <= self.tolerance


def chance_of_null(value):
    return Near(value, max(NULL_TOLERANCE * value, 11 * test_numbers.MIN_P))


def student_p(t, df):
    """Two-sided, by Simpson's rule on the density."""
    log = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    density = lambda x: math.exp(log - (df + 1) / 2 * math.log1p(x * x / df))  # noqa: E731
    steps = 20_000
    width = abs(t) / steps
    inside = sum((1 if i in (0, steps) else 4 if i % 2 else 2) * density(i * width) for i in range(steps + 1)) * width / 3
    return 1 - 2 * inside


def welch(a, b):
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    t = (statistics.fmean(a) - statistics.fmean(b)) / math.sqrt(va + vb)
    return t, (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))


def permutation_p(a, b):
    """Over every way to share out the pooled granules."""
    pool, m = a + b, len(a)
    total = sum(pool)
    far = lambda s: abs(len(pool) * s - m * total)  # noqa: E731  of the first sample's sum from its expectation
    observed = far(sum(a))
    ways = [far(sum(chosen)) >= observed for chosen in itertools.combinations(pool, m)]
    return sum(ways) / len(ways)


class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(cls.enterClassContext(support.scratch_folder()))
        _, client = cls.enterClassContext(support.kernel(folder, EVALNAS_SLOT_DIR=cls.enterClassContext(tempfile.TemporaryDirectory())))
        support.good(client, CELL, 300)
        printed = [support.good(client, f"print([{{'matrix': a.matrix, 'ops': a.ops}} for a in {name}])").text for name in ("drawn", "encoded")]
        support.good(client, "r = report(compare(searches, drawn, by=by))", 120)
        answer = support.good(client, "r")
        bundle = next(o["content"]["data"] for o in answer.outputs if o["msg_type"] == "execute_result")
        cls.bundle, cls.report = bundle, bundle[REPORT]
        cls.space = test_numbers.Space()
        cls.read_runs(folder, *map(json.loads, printed))
        cls.null = test_numbers.Null(cls.space, len(support.SEEDS))
        cls.stream = random.Random(2)

    @classmethod
    def read_runs(cls, folder, drawn, encoded):
        """What each group found: granules by group, in the order of seeds."""
        cls.outcomes = {name: [] for name in ("enas", "random", "evolution")}
        for _, outcome in support.jobs(folder):
            cls.outcomes[outcome["config"]["policy"]].append(outcome)
        cls.names, cls.found, cls.hashes, cls.costs = {}, {}, {}, {}
        chosen = {"sample_random": drawn}
        for policy, outcomes in cls.outcomes.items():
            outcomes.sort(key=lambda o: o["seed"])
            chosen[policy] = [o["result"]["selected"] for o in outcomes]
        for policy, cells in chosen.items():
            cls.names[policy] = policy + (" [oracle]" if policy == "evolution" else "")
            cls.hashes[policy] = [test_numbers.module_hash(c["matrix"], c["ops"]) for c in cells]
            cls.costs[policy] = [test_numbers.costs(c["matrix"], c["ops"]) for c in cells]
        cls.encoded = [cls.space.value(test_numbers.module_hash(c["matrix"], c["ops"])) / GRANULES for c in encoded]
        cls.found = {policy: [cls.space.value(h) for h in hashes] for policy, hashes in cls.hashes.items()}

    def setUp(self):
        self.tables = {t["id"]: t for s in self.report["sections"] for t in s.get("tables", [])}

    def check(self, table, expected, key=lambda row: row[0]["text"]):
        """Compares all cells of a table: expected has by row what its columns hold, numbers
        as lists and words as text. None is a cell whose words do not matter."""
        titles = [c["title"] for c in self.tables[table]["columns"]]
        rows = {key(row): row for row in self.tables[table]["rows"]}
        self.assertEqual(len(rows), len(self.tables[table]["rows"]), "rows of one name")
        self.assertEqual(set(rows), set(expected), table)
        for name, row in rows.items():
            for title, cell in list(zip(titles, row))[1:]:
                with self.subTest(table=table, row=name, column=title):
                    self.assertIn(title, expected[name], "a column that nothing expects")
                    want = expected[name][title]
                    if not isinstance(want, list):
                        self.assertNotIn("values", cell)
                        if want is not None:
                            self.assertEqual(cell.get("text", ""), want)
                        continue
                    got = cell.get("values", [])
                    self.assertEqual(len(got), len(want), cell)
                    for value, number in zip(got, want):
                        number = number if isinstance(number, Exactly) else Exactly(number)
                        self.assertTrue(number.meets(value), f"{value}, not {number}")

    def accuracies(self, policy):
        return [v / GRANULES for v in self.found[policy]]

    def percentiles(self, policy):
        return [self.space.percentile(v) for v in self.found[policy]]

    def by_group(self, each, groups=None):
        return {self.names[p]: each(p) for p in groups or self.found}

    def interval(self, a, b=(0.0,)):
        """The mean's bootstrap interval, of a alone or of a difference."""
        low, high = test_numbers.bca(list(a), list(b), self.stream)
        return [Near(low, BOOTSTRAP * (high - low)), Near(high, BOOTSTRAP * (high - low))]

    def test_every_table_is_checked(self):
        known = "groups percentiles values baselines tests paper ranks anytime selection variance cost conditions reach states seeds manifest"
        self.assertEqual(set(self.tables), set(known.split()))
        self.assertEqual(self.report["marks"], ["ORACLE: guided by the test column. A benchmark of optimisers, not evidence about accuracy."])

    def test_groups_and_states(self):
        guided = {"enas": "params()", "random": "params()", "evolution": "test accuracy", "sample_random": "nothing"}

        def group(p):
            drawn = p == "sample_random"
            budget = "none: one draw a seed" if drawn else [BUDGET]
            return {"kind": "random draws" if drawn else "search", "guided by": guided[p], "evaluations a seed": budget, "runs": [10], "done": [10], "sampling measure": "unique" if drawn else ""}

        self.check("groups", self.by_group(group))
        self.check("states", self.by_group(lambda p: {"runs": [10], "done": [10]}))

    def test_percentiles(self):
        chance = statistics.fmean(self.space.percentile(v) for v in self.space.values)
        judged = ["enas", "random", "evolution"]
        upper = {p: self.null.upper(statistics.fmean(self.percentiles(p))) for p in self.found}
        adjusted = dict(zip(judged, test_numbers.holm([max(upper[p], test_numbers.MIN_P) for p in judged])))

        def row(p):
            sample = self.percentiles(p)
            mean = statistics.fmean(sample)
            ends = [Near(i.value - chance, i.tolerance) for i in self.interval(sample)]
            return {
                "n": [10], "mean": [mean], "lead over random": [Near(mean - chance, 1e-6), *ends], "median": [statistics.median(sample)], "worst": [min(sample)], "best": [max(sample)],
                "p (exact)": [chance_of_null(upper[p])], "p, Holm": [chance_of_null(adjusted[p])] if p in judged else None,
                "smallest detectable lead": [Near(self.null.smallest_lead(), LEAD_TOLERANCE)], "verdict": None,
            }

        self.check("percentiles", self.by_group(row))

    def test_values_and_ranks(self):
        def value(p):
            sample = self.accuracies(p)
            return {
                "n": [10], "median": [statistics.median(sample)], "best": [max(sample)], "worst": [min(sample)],
                "mean ± sd": [statistics.fmean(sample), statistics.stdev(sample)], "95 % interval of the mean": self.interval(sample),
            }

        def rank(p):
            best = max(self.found[p])
            first, tied = self.space.rank(best), self.space.ties(best)
            return {"n": [10], "best": [best / GRANULES], "rank": [first], "tied": [tied], "mid-rank": [first + (tied - 1) / 2], "last rank": [first + tied - 1], "percentile": [self.space.percentile(best)]}

        self.check("values", self.by_group(value))
        self.check("ranks", self.by_group(rank))

    def test_baselines(self):
        draws = self.accuracies("sample_random")

        def row(p):
            sample = self.accuracies(p)
            mean = statistics.fmean(sample)
            versus = lambda other: [mean - statistics.fmean(other), *self.interval(sample, other)]  # noqa: E731
            return {
                "n": [10], "against one draw a seed": versus(draws), "draws": [10], "against draws in its encoding": versus(self.encoded) if p == "enas" else None,
                "against random search at equal cost": versus(self.accuracies("random")) if p == "enas" else None,
                "relative improvement": [100 * (mean / statistics.fmean(draws) - 1)],
            }

        self.check("baselines", self.by_group(row, ["enas", "random", "evolution"]))

    def test_tests(self):
        judged = ["enas", "random", "evolution"]
        draws, granules = self.accuracies("sample_random"), self.found["sample_random"]
        ranked = {p: test_numbers.rank_sum_p(self.found[p], granules) for p in judged}
        t = {p: welch(self.accuracies(p), draws) for p in judged}
        welched = {p: student_p(*t[p]) for p in judged}
        permuted = {p: permutation_p(self.found[p], granules) for p in judged}
        holm = lambda ps: dict(zip(judged, test_numbers.holm([ps[p] for p in judged])))  # noqa: E731

        def row(p):
            won = test_numbers.pairs_won(self.found[p], granules)
            return {
                "n": [10], "Cliff's delta": [2 * won / 100 - 1], "Mann-Whitney U": [won], "p": [ranked[p]], "p, Holm": [holm(ranked)[p]],
                "Welch t": [t[p][0]], "df": [t[p][1]], "Welch p": [welched[p]], "Welch p, Holm": [holm(welched)[p]],
                "permutation p": [permuted[p]], "permutation p, Holm": [holm(permuted)[p]],
            }

        self.check("tests", self.by_group(row, judged))

        def paper(p):
            rank = self.space.rank(max(self.found[p]))
            share = 1 - rank / self.space.n
            return {
                "n": [10], "best rank r": [rank], "p(> random)": [share**10], "null band": [0.05, 0.95],
                "equal-budget p": [share ** (10 * BUDGET)] if p == "evolution" else None, "evaluations a run": [BUDGET] if p != "sample_random" else None,
            }

        self.check("paper", self.by_group(paper))

    def test_anytime(self):
        best = self.space.sorted[-1]
        expected = {}
        for policy, outcomes in self.outcomes.items():
            traces = [[(t["evaluations"], (best - self.space.value(test_numbers.module_hash(t["arch"]["matrix"], t["arch"]["ops"]))) / GRANULES) for t in o["result"]["trace"]] for o in outcomes]
            ends = [o["result"]["evaluations"] for o in outcomes]
            self.assertEqual(set(ends), {BUDGET})
            areas = []
            for trace in traces:
                steps = trace + [(BUDGET, None)]
                areas.append(sum(v * (steps[i + 1][0] - at) for i, (at, v) in enumerate(trace)) / (BUDGET - trace[0][0]))
            for at in (1, 6, 15, 30, 60):  # the first, a tenth, a quarter, a half, all
                now = [[v for when, v in trace if when <= at][-1] for trace in traces]
                expected[self.names[policy], at] = {
                    "evaluations": [at], "runs": [10], "regret: mean": [statistics.fmean(now)], "median": [statistics.median(now)],
                    "Q1": [test_numbers.quartile(now, 0.25)], "Q3": [test_numbers.quartile(now, 0.75)],
                    "mean over the run": [statistics.fmean(areas)] if at == BUDGET else None,
                }
        self.check("anytime", expected, key=lambda row: (row[0]["text"], int(row[1]["values"][0])))

    def test_selection_variance_and_reach(self):
        judged = ["enas", "random", "evolution"]
        self.check("selection", self.by_group(lambda p: {"selected by": None, "n": [10], "median": [statistics.median(self.accuracies(p))], "mean": [statistics.fmean(self.accuracies(p))], "is": None}, judged))
        nothing = dict.fromkeys(["trainings", "sd over searches", "sd over trainings", "share of searches", "F", "p"])
        self.check("variance", self.by_group(lambda p: {"searches": [10], "sd over results": [statistics.stdev(self.accuracies(p))], **nothing}))
        whole = self.space.n
        self.check("reach", self.by_group(lambda p: {"reachable architectures": [REACHABLE.get(p, whole)], "share of the space, %": [100 * REACHABLE.get(p, whole) / whole], "baseline draws": None}))

    def test_cost(self):
        def row(p):
            if p not in self.outcomes:
                return {**dict.fromkeys(["jobs done", "seconds", "device-hours", "seconds waited", "device"]), **self.sizes(p)}
            total = lambda key: sum(o[key] for o in self.outcomes[p])  # noqa: E731
            return {"jobs done": [10], "seconds": [total("seconds")], "device-hours": [total("spent") / 3600], "seconds waited": [total("waited")], "device": None, **self.sizes(p)}

        self.check("cost", self.by_group(row))

    def sizes(self, policy):
        titles = ("parameters: median (range)", "multiply-adds: median (range)")
        return {t: [min(c), statistics.median(c), max(c)] for t, c in zip(titles, zip(*self.costs[policy]))}

    def test_every_seed(self):
        expected = {}
        for p in self.found:
            for i, (seed, v) in enumerate(zip(support.SEEDS, self.found[p])):
                costs = self.costs[p][i]
                expected[self.names[p], seed] = {
                    "seed": [seed], "state": "done", "value": [v / GRANULES], "rank": [self.space.rank(v)], "tied": [self.space.ties(v)], "percentile": [self.space.percentile(v)],
                    "parameters": [costs[0]], "multiply-adds": [costs[1]], "architecture": self.hashes[p][i][:8],
                }
        self.check("seeds", expected, key=lambda row: (row[0]["text"], int(row[1]["values"][0])))

    def test_manifest(self):
        says = {row[0]["text"]: row[1]["text"] for row in self.tables["manifest"]["rows"]}
        for policy, outcomes in self.outcomes.items():
            self.assertEqual(says[f"{policy}: seeds"], "1268 to 1277")
            self.assertEqual(says[f"{policy}: numerics"], f"numerics {outcomes[0]['numerics']}")
            self.assertIn(outcomes[0]["version"], says[f"{policy}: program"])
            self.assertIn(outcomes[0]["host"], says[f"{policy}: host"])
        self.assertIn(next(iter(self.outcomes["evolution"][0]["data"].values())), says["evolution: data read"])
        self.assertNotIn("enas: data read", says)  # the number of parameters is read from nowhere

    def test_outputs_say_what_they_lack(self):
        self.assertEqual([o["number"] for o in self.report["outputs"]], list(range(1, 16)))
        for output in self.report["outputs"]:
            self.assertEqual(output["state"] == "filled", not output.get("why"), output)
            if output["section"]:
                self.assertIn(output["section"], [s["id"] for s in self.report["sections"]])

    def test_what_is_shown_is_what_was_computed(self):
        """The page has every cell's numbers, to the digits that it is shown with."""
        shown = support.rows(self.bundle["text/html"].replace("&#39;", "'").replace("&gt;", ">").replace("&#34;", '"'))
        percent = {"value", "spread", "range", "difference"}
        for table in self.tables.values():
            heads = [c["title"] for c in table["columns"]]
            at = next(i for i, row in enumerate(shown) if [t.removesuffix(" (%)").removesuffix(" (points)") for t in row] == heads)
            for cells, row in zip(table["rows"], shown[at + 1 :]):
                for title, cell, text in zip(heads, cells, row):
                    if "values" not in cell or cell["form"] in ("counts", "hours") or text.startswith("<") or text.startswith("&lt;"):
                        continue
                    found = test_numbers.numbers(text)
                    self.assertEqual(len(found), len(cell["values"]), f"{title}: {text}")
                    for (number, half), value in zip(found, cell["values"]):
                        value *= 100 if cell["form"] in percent else 1
                        self.assertLessEqual(abs(number - value), half + 1e-9 * abs(value), f"{title}: {text} for {value}")


if __name__ == "__main__":
    unittest.main()
