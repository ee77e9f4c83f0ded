"""notebooks/search_versus_random.ipynb executed by nbconvert, in a new study, and
what its HTML shows."""
import os
import re
import subprocess
import sys
import unittest

import nbformat
import support

NAME = "search_versus_random"
RESULT = "application/vnd.evalnas.result.v1+json"
POLICIES = {"random", "evolution", "local_search", "enas"}


class NotebookTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(support.scratch_folder())
        cls.folder = folder
        cls.convert("--to", "notebook", "--execute", support.ROOT / "notebooks" / f"{NAME}.ipynb")
        cls.convert("--to", "html", folder / f"{NAME}.ipynb")
        cls.notebook = nbformat.read(folder / f"{NAME}.ipynb", as_version=4)
        cls.html = (folder / f"{NAME}.html").read_text(encoding="utf-8")
        cls.cells = [cell for cell in cls.notebook.cells if cell.cell_type == "code"]
        cls.outputs = [output for cell in cls.cells for output in cell.outputs]

    @classmethod
    def convert(cls, *arguments):
        run = subprocess.run(
            [sys.executable, "-m", "nbconvert", "--log-level", "WARN", "--output-dir", str(cls.folder), *map(str, arguments)],
            capture_output=True, text=True, timeout=600, env={**os.environ, "EVALNAS_STUDY": str(cls.folder / "study")},
        )
        if run.returncode:
            raise AssertionError(f"nbconvert {arguments} failed:\n{run.stdout}{run.stderr}")

    def bundles(self, mime):
        return [o.data[mime] for o in self.outputs if mime in o.get("data", {})]

    def live_tables(self):
        """What the displays of searches say at the end: the state of each seed."""
        return [o.data for o in self.outputs if o.output_type == "display_data" and support.seed_states(o.data)]

    def test_nothing_failed(self):
        for cell in self.cells:
            self.assertIsNotNone(cell.execution_count, cell.source)
            for output in cell.outputs:
                self.assertNotEqual(output.output_type, "error", cell.source)
                self.assertNotEqual(output.get("name"), "stderr", cell.source)

    def test_the_notebook_is_valid_and_tells_a_story(self):
        nbformat.validate(self.notebook)
        self.assertEqual(self.notebook.metadata.kernelspec.name, support.KERNEL)
        prose = [cell for cell in self.notebook.cells if cell.cell_type == "markdown"]
        self.assertGreaterEqual(len(prose), len(self.cells) // 2)

    def test_live_tables_end_with_ten_seeds_done(self):
        tables = self.live_tables()
        self.assertGreaterEqual(len(tables), 2)
        for data in tables:
            self.assertEqual(support.seed_states(data), {seed: "done" for seed in support.SEEDS}, data["text/plain"])
            for seed in support.SEEDS:
                self.assertRegex(data["text/plain"], rf"(?m)\b{seed}\b.*\bdone\b")

    def test_every_figure_is_svg_with_a_png_to_fall_back_on(self):
        figures = self.bundles("image/svg+xml")
        self.assertGreaterEqual(len(figures), 4)
        for output in self.outputs:
            data = output.get("data", {})
            if "image/svg+xml" in data:
                self.assertIn("<svg", data["image/svg+xml"])
                self.assertIn("image/png", data)
                self.assertIn("text/plain", data)

    def test_results_hold_ten_seeds_a_policy(self):
        results = self.bundles(RESULT)
        self.assertGreaterEqual(len(results), 2)
        seen = set()
        for result in results:
            for group in result["groups"]:
                seen.add(group["policy"])
                self.assertEqual(sorted(s["seed"] for s in group["seeds"]), list(support.SEEDS), group["name"])
                self.assertEqual({s["state"] for s in group["seeds"]}, {"done"}, group["name"])
        self.assertLessEqual(POLICIES, seen)

    def test_oracle_results_are_watermarked_and_the_others_are_not(self):
        self.assertEqual({result["oracle"] for result in self.bundles(RESULT)}, {True, False}, "the notebook compares both kinds")
        for output in self.outputs:
            data = output.get("data", {})
            if RESULT in data:
                for mime in ("text/html", "text/plain"):
                    self.assertEqual("oracle" in data[mime].lower(), data[RESULT]["oracle"], data["text/plain"])

    def test_numbers_that_the_table_fixes(self):
        for result in self.bundles(RESULT):
            self.assertEqual(result["n"], 423624)
            self.assertAlmostEqual(result["best"], 0.94661, places=5)
            for group in result["groups"]:
                values = [seed["value"] for seed in group["seeds"]]
                self.assertAlmostEqual(group["values"]["mean"], sum(values) / len(values), places=12)
                self.assertEqual(group["best_rank"], min(seed["rank"] for seed in group["seeds"]))
                for seed in group["seeds"]:
                    self.assertTrue(1 <= seed["rank"] <= 423624)
                    self.assertTrue(0.09 < seed["value"] <= result["best"])
                self.assertAlmostEqual(group["p_beats_random"], (1 - group["best_rank"] / 423624) ** 10, places=9)

    def test_the_html_shows_it_all(self):
        self.assertGreaterEqual(len(re.findall(r"<svg|data:image/svg\+xml", self.html)), 4)
        self.assertGreaterEqual(len(re.findall(r"\bdone\b", self.html)), 20)
        for word in POLICIES | {"oracle"}:
            self.assertIn(word, self.html.lower())
        self.assertNotIn("<script src=\"file", self.html)


if __name__ == "__main__":
    unittest.main()
