"""The notebooks of shared weights: the two that are checked in executed, with every tau
worked out again, and a smaller copy of the first executed now.

    .venv/bin/python -m unittest discover -s tests -p test_sharing.py
"""
import itertools
import math
import os
import pathlib
import subprocess
import sys
import unittest

import nbformat
import support
import test_notebook
import test_numbers

NOTEBOOKS = support.ROOT / "notebooks"
RANKING = "application/vnd.evalnas.ranking.v1+json"
SEEDS = {"spos": 5, "fairnas": 5, "random": 3, "enas": 3, "nao": 3, "darts": 3, "fbnet": 3}
SMALLER = {  # what is replaced so that a seed takes seconds; the images stay real
    'preset="minutes", images=7000': 'preset="minutes", epochs=2, batch=16, valid_batch=32, channels=4, cells=3, images=64, valid=64, rank_images=64, save_every=1',
    'preset="minutes", images=6000': 'preset="minutes", epochs=2, batch=16, valid_batch=32, channels=4, cells=3, images=64, valid=64, rank_images=64, save_every=1',
    'preset="minutes")': 'preset="minutes", epochs=2, batch=16, valid_batch=32, channels=4, cells=3, images=64, valid=64, rank_images=64, save_every=1)',
    "controller_steps=10": "controller_steps=2",
    "seeds=few)": "seeds=few, pool=20, predictor_epochs=3)",  # of NAO, whose cell says so below
}


def tau_b(x, y):
    """Kendall's tau-b by its definition, over all pairs."""
    concordant = ties_x = ties_y = pairs = 0
    for i, j in itertools.combinations(range(len(x)), 2):
        a, b = (x[i] > x[j]) - (x[i] < x[j]), (y[i] > y[j]) - (y[i] < y[j])
        concordant += a * b
        ties_x += a == 0
        ties_y += b == 0
        pairs += 1
    return concordant / math.sqrt((pairs - ties_x) * (pairs - ties_y)) if pairs > max(ties_x, ties_y) else None


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def bundles(notebook, mime):
    return [o.data[mime] for o in outputs(notebook) if mime in o.get("data", {})]


class Executed:
    """What holds of a notebook of shared weights however large it is."""

    notebook = None
    seeds = SEEDS

    def test_nothing_failed(self):
        nbformat.validate(self.notebook)
        for cell in self.notebook.cells:
            if cell.cell_type == "code":
                self.assertIsNotNone(cell.execution_count, cell.source)
                for output in cell.outputs:
                    self.assertNotEqual(output.output_type, "error", cell.source)
                    self.assertNotEqual(output.get("name"), "stderr", cell.source)


class Phase(Executed):
    def rankings(self):
        found = bundles(self.notebook, RANKING)
        self.assertGreaterEqual(len(found), 1)
        return found[0]

    def test_a_row_for_every_policy_and_seed(self):
        ranked = {p["policy"]: p for p in self.rankings()["policies"]}
        self.assertEqual({name: len(p["seeds"]) for name, p in ranked.items()}, self.seeds)
        for p in ranked.values():
            for seed in p["seeds"]:
                self.assertEqual(seed["state"], "done", (p["policy"], seed["seed"]))
                self.assertTrue(seed["points"], (p["policy"], seed["seed"]))
        results = bundles(self.notebook, test_notebook.RESULT)
        groups = {g["policy"]: g for g in results[-1]["groups"]}
        for name, n in self.seeds.items():
            self.assertEqual(len(groups[name]["seeds"]), n)
            self.assertEqual({s["state"] for s in groups[name]["seeds"]}, {"done"})
        self.assertFalse(results[-1]["oracle"])

    def test_every_tau_again(self):
        space, ranked = test_numbers.Space(), self.rankings()
        truth = [space.value(h) for h in ranked["hashes"]]
        self.assertEqual(len(set(ranked["hashes"])), ranked["pool_size"])
        for policy in ranked["policies"]:
            for seed in policy["seeds"]:
                for point in seed["points"]:
                    self.assertEqual(len(point["accuracy"]), ranked["pool_size"])
                    tau = tau_b(point["accuracy"], truth)
                    said = point["report"]["kendall_tau"]
                    if tau is None:
                        self.assertIsNone(said)
                    else:
                        self.assertAlmostEqual(said, tau, places=12)

    def test_what_is_reduced_says_so(self):
        for output in outputs(self.notebook):
            data = output.get("data", {})
            for mime in (RANKING, test_notebook.RESULT):
                if mime in data:
                    self.assertIn("REDUCED", data["text/plain"])
            if "shared weights" in data.get("text/plain", "") and "image/svg+xml" in data:
                self.assertIn("REDUCED", data["text/plain"])
        for p in self.rankings()["policies"]:
            self.assertTrue(p["reduced"])


def executed(name):
    """Whether a notebook has outputs."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    return any(cell.get("outputs") for cell in notebook.cells)


@unittest.skipUnless(executed("search_phase_in_small"), "an executed notebook is not at hand")
class TheNotebook(Phase, unittest.TestCase):
    """The one that was run once, on real images."""

    @classmethod
    def setUpClass(cls):
        cls.notebook = nbformat.read(NOTEBOOKS / "search_phase_in_small.ipynb", as_version=4)

    def test_the_control_is_reported(self):
        spos = next(p for p in self.rankings()["policies"] if p["policy"] == "spos")
        text = "".join(o.get("text", "") for o in outputs(self.notebook))
        self.assertIn("SPOS: above 0" if spos["tau_interval"]["low"] > 0 else "undetected", text)


@unittest.skipUnless(executed("darts_space"), "an executed notebook is not at hand")
class TheCells(Executed, unittest.TestCase):
    """DARTS and ENAS in their own spaces, run once."""

    @classmethod
    def setUpClass(cls):
        cls.notebook = nbformat.read(NOTEBOOKS / "darts_space.ipynb", as_version=4)

    def test_both_policies_are_trained_from_scratch_beside_random(self):
        four, five = bundles(self.notebook, test_notebook.RESULT)
        for result, policy in ((four, "darts"), (five, "enas")):
            self.assertEqual({g["policy"]: len(g["seeds"]) for g in result["groups"]}, {policy: 2, "sample_random": 2})
            self.assertEqual({s["state"] for g in result["groups"] for s in g["seeds"]}, {"done"})


class ASmallerCopy(Phase, unittest.TestCase):
    """The first, executed now on a few real images."""

    @classmethod
    def setUpClass(cls):
        listed = subprocess.run([support.BINARY, "data", "list"], capture_output=True, text=True, check=True).stdout
        if "cifar10" not in listed:
            raise unittest.SkipTest("CIFAR-10 is not at hand: evalnas data fetch cifar10")
        folder = cls.enterClassContext(support.scratch_folder())
        copy = nbformat.read(NOTEBOOKS / "search_phase_in_small.ipynb", as_version=4)
        for cell in copy.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
                cell.source = smaller(cell.source)
        path = pathlib.Path(folder) / "copy.ipynb"
        nbformat.write(copy, path)
        run = subprocess.run(
            [sys.executable, "-m", "nbconvert", "--log-level", "WARN", "--to", "notebook", "--execute", "--inplace", str(path)],
            capture_output=True, text=True, timeout=600, env={**os.environ, "EVALNAS_STUDY": str(folder / "study")},
        )
        if run.returncode:
            raise AssertionError(run.stdout + run.stderr)
        cls.notebook = nbformat.read(path, as_version=4)


def smaller(source):
    """A cell with less to do. Only NAO has a predictor to train."""
    lines = []
    for line in source.splitlines():
        for old, new in SMALLER.items():
            if old.startswith("seeds=") and '"nao"' not in line:
                continue
            line = line.replace(old, new)
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    unittest.main()
