"""notebooks/how_good_is_random.ipynb and ranks_and_correlations.ipynb, executed now with
fewer seeds, and their numbers worked out again from the embedded column.

    .venv/bin/python -m unittest discover -s tests -p test_random.py
"""
import itertools
import math
import os
import re
import subprocess
import sys
import unittest

import nbformat
import support
import test_notebook

CORRELATION = "application/vnd.evalnas.correlation.v1+json"
CELLS = 423624


class ShortNotebook:
    """A notebook with some of its parameters replaced, executed once for all tests."""

    name = None
    replaced = {}

    @classmethod
    def setUpClass(cls):
        folder = cls.folder = cls.enterClassContext(support.scratch_folder())
        text = (support.ROOT / "notebooks" / f"{cls.name}.ipynb").read_text(encoding="utf-8")
        for was, now in cls.replaced.items():
            if was not in text:
                raise AssertionError(f"{cls.name} has no {was!r}: the test has to follow it")
            text = text.replace(was, now)
        copy = folder / "short.ipynb"
        copy.write_text(text, encoding="utf-8")
        run = subprocess.run(
            [sys.executable, "-m", "nbconvert", "--log-level", "WARN", "--to", "notebook", "--execute", "--output", "done.ipynb", str(copy)],
            capture_output=True, text=True, timeout=600, env={**os.environ, "EVALNAS_STUDY": str(folder / "study")},
        )
        if run.returncode:
            raise AssertionError(f"{cls.name} failed:\n{run.stdout}{run.stderr}")
        cls.notebook = nbformat.read(folder / "done.ipynb", as_version=4)
        cls.cells = [cell for cell in cls.notebook.cells if cell.cell_type == "code"]
        cls.outputs = [output for cell in cls.cells for output in cell.outputs]

    def bundles(self, mime):
        return [o.data[mime] for o in self.outputs if mime in o.get("data", {})]

    def printed(self):
        return "".join(o.text for o in self.outputs if o.output_type == "stream")

    def test_nothing_failed(self):
        nbformat.validate(self.notebook)
        for cell in self.cells:
            self.assertIsNotNone(cell.execution_count, cell.source)
            for output in cell.outputs:
                self.assertNotEqual(output.output_type, "error", cell.source)
                self.assertNotEqual(output.get("name"), "stderr", cell.source)

    def test_no_number_is_undefined(self):
        for output in self.outputs:
            for text in (output.get("text", ""), output.get("data", {}).get("text/plain", "")):
                self.assertNotRegex(text, r"(?i)\bnan\b|\binf\b")

    @unittest.skipUnless(os.environ.get("EVALNAS_TORTURE") == "1", "EVALNAS_TORTURE=1 runs it: it executes the notebook again")
    def test_nbval_finds_the_same_outputs(self):
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-cell-timeout=600", "done.ipynb"],
            cwd=self.folder, capture_output=True, text=True, timeout=900, env={**os.environ, "EVALNAS_STUDY": str(self.folder / "again")},
        )
        self.assertIn(f"{len(self.cells)} passed", run.stdout, run.stdout + run.stderr)


class HowGoodIsRandom(ShortNotebook, unittest.TestCase):
    name = "how_good_is_random"
    replaced = {"many       = 500": "many       = 40", "budget     = 150": "budget     = 60"}

    def test_the_sets_of_draws_say_what_they_should(self):
        # 40 values of a uniform variable: each tenth of 0..1 has 4 on average.
        counts = [int(n) for n in re.findall(r"(?m)^0\.\d to \d\.\d .*?(\d+)$", self.printed())]
        self.assertEqual((len(counts), sum(counts)), (10, 40), self.printed())
        self.assertLess(max(counts), 16)

    def test_blind_searches_are_no_oracles_and_the_others_are(self):
        results = self.bundles(test_notebook.RESULT)
        self.assertEqual([r["oracle"] for r in results], [False, False, True])
        for result in results:
            self.assertEqual(result["n"], CELLS)

    def test_every_seed_is_there(self):
        ten, hundreds, benchmark = self.bundles(test_notebook.RESULT)
        for group in ten["groups"]:
            self.assertEqual([s["seed"] for s in group["seeds"]], list(support.SEEDS))
        for group in hundreds["groups"] + benchmark["groups"]:
            self.assertEqual([s["seed"] for s in group["seeds"]], list(range(10 if group["policy"] == "bananas" else 40)), group["name"])
            self.assertEqual({s["state"] for s in group["seeds"]}, {"done"})

    def test_printed_errors_are_those_of_the_results(self):
        benchmark = self.bundles(test_notebook.RESULT)[-1]
        for group in benchmark["groups"]:
            values = [s["value"] for s in group["seeds"]]
            error = 100 * (1 - sum(values) / len(values))
            self.assertRegex(self.printed(), rf"(?m)^{group['name']} +mean test error {error:.3f} % +ORACLE, {len(values)} seeds, 60 look-ups$")


class RanksAndCorrelations(ShortNotebook, unittest.TestCase):
    name = "ranks_and_correlations"
    replaced = {"range(20)": "range(4)", "20 pools": "4 pools", "taus[9]": "taus[1]", "taus[10]": "taus[2]"}

    def test_tau_of_the_four_spaces(self):
        # Of 7 vertices by scipy.stats.kendalltau on the same 423,624 pairs.
        lines = re.findall(r"up to (\d) vertices, +([\d,]+) cells: tau of parameters (\S+), of FLOPs (\S+);", self.printed())
        self.assertEqual([(v, n) for v, n, *_ in lines], [("4", "91"), ("5", "2,532"), ("6", "64,542"), ("7", "423,624")])
        self.assertEqual(lines[3][2], "0.304")

    def test_the_table_holds_every_number(self):
        result = self.bundles(CORRELATION)[0]
        self.assertEqual((result["pool"], result["n"]), (CELLS, CELLS))
        by_name = {row["name"]: row for row in result["scores"]}
        self.assertEqual(set(by_name), {"parameters", "FLOPs"})
        self.assertAlmostEqual(by_name["parameters"]["kendall_tau"], 0.30373076012973477, places=12)
        self.assertAlmostEqual(by_name["parameters"]["spearman"], 0.43144198736023964, places=9)  # sums of 423,624 squares differ in their last places

    def test_unknown_is_called_unknown(self):
        self.assertIn("the noise ceiling is unknown here", self.printed())


class SmallSpaceByHand(unittest.TestCase):
    """tau-b of the 91 cells of 4 vertices by its definition, from the binary's own look-ups."""

    def test_tau(self):
        with support.scratch_folder() as folder, support.kernel(folder) as (_, client):
            text = support.good(client, 'space = nasbench101(max_vertices=4)\n'
                                'for a in space: print(a.params, query(a).test)\n'
                                'print("tau", correlate(params(), nasbench101_table().metric("test"), space).tau["params()"])').text
        pairs = [tuple(map(float, line.split())) for line in text.splitlines()[:-1]]
        self.assertEqual(len(pairs), 91)
        score = ties_x = ties_y = 0
        for (a, b), (c, d) in itertools.combinations(pairs, 2):
            x, y = (a > c) - (a < c), (b > d) - (b < d)
            score, ties_x, ties_y = score + x * y, ties_x + (x == 0), ties_y + (y == 0)
        n = 91 * 90 // 2
        self.assertAlmostEqual(score / math.sqrt((n - ties_x) * (n - ties_y)), float(text.splitlines()[-1].split()[1]), places=12)


if __name__ == "__main__":
    unittest.main()
