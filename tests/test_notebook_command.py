"""`evalnas notebook`: what it writes is valid, and the same as what nbconvert writes of
the same notebook with the kernel behind Jupyter's protocol."""
import copy
import json
import os
import subprocess
import sys
import unittest

import nbformat
import support
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNELSPEC = {"name": support.KERNEL, "display_name": "evalnas (Starlark)", "language": "starlark"}

# Nothing in these cells depends on time: outputs must agree to the letter.
CELLS = [
    "# Sharing",
    ('seeds = range(3)\nvertices = 4', "parameters"),
    "space = nasbench101(max_vertices=vertices)\ntruth = nasbench101_table()",
    'print("a")\nprint("b")',
    "sample_random(space, seeds=seeds)[0]",
    "_",
    "Out[4]",
    "",
    'print("before")\nlen(space)',
    ("[1, 2][5]", "raises-exception"),
    ("for", "raises-exception"),
    ('input("name?")', "raises-exception"),
    'compare(sample_random(space, seeds=seeds), by=truth.metric("test"))',
    'text = "<b>&</b> \\u2028 ünïcode 😀"\ntext',
    ("1 / 0", "skip-execution"),
    "[x * 0.1 for x in range(100)]",
    "help(search)",
    "None",
]


def notebook(cells=CELLS):
    made = new_notebook(metadata={"kernelspec": KERNELSPEC})
    for number, cell in enumerate(cells):
        source, tags = (cell[0], [cell[1]]) if isinstance(cell, tuple) else (cell, None)
        new = new_markdown_cell if source.startswith("# ") else new_code_cell
        made.cells.append(new(source, id=f"cell-{number:02}", metadata={"tags": tags} if tags else {}))
    return made


def merged(outputs):
    """The outputs with neighbouring text of one stream joined: how it is cut depends on time."""
    joined = []
    for output in copy.deepcopy(outputs):
        if joined and output.output_type == "stream" and joined[-1].output_type == "stream" and joined[-1].name == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


class NotebookCommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(support.scratch_folder())

    def command(self, *arguments, study="study", status=0):
        run = subprocess.run(
            [support.BINARY, "notebook", *map(str, arguments)], capture_output=True, text=True, timeout=300,
            env={**os.environ, "EVALNAS_STUDY": str(self.folder / study)},
        )
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return run

    def write(self, made, name="x.ipynb"):
        nbformat.write(made, self.folder / name)
        return self.folder / name

    def read(self, name):
        found = nbformat.read(self.folder / name, as_version=4)
        nbformat.validate(found)
        self.assertEqual((found.nbformat, found.nbformat_minor), (4, 5))
        return found

    def by_nbconvert(self, path, name):
        run = subprocess.run(
            [sys.executable, "-m", "nbconvert", "--log-level", "WARN", "--to", "notebook", "--execute", "--output", name, "--output-dir", str(self.folder), str(path)],
            capture_output=True, text=True, timeout=300, env={**os.environ, "EVALNAS_STUDY": str(self.folder / "nbconvert")},
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return self.read(name)

    def test_it_writes_what_nbconvert_writes(self):
        path = self.write(notebook())
        theirs = self.by_nbconvert(path, "theirs.ipynb")
        self.command("run", path, "-o", self.folder / "ours.ipynb")
        ours = self.read("ours.ipynb")
        self.assertEqual(ours.metadata, theirs.metadata)
        self.assertEqual(len(ours.cells), len(theirs.cells))
        shown = 0
        for mine, other in zip(ours.cells, theirs.cells):
            other.metadata.pop("execution", None)  # when it ran, which would differ every time
            self.assertEqual((mine.id, mine.cell_type, mine.source, mine.metadata), (other.id, other.cell_type, other.source, other.metadata))
            if mine.cell_type == "code":
                self.assertEqual(mine.execution_count, other.execution_count, mine.source)
                self.assertEqual(mine.outputs, merged(other.outputs), mine.source)
                shown += len(mine.outputs)
        self.assertGreater(shown, 10)

    def test_the_file_is_laid_out_as_jupyters(self):
        path = self.write(notebook(CELLS[:6]))
        self.command("run", path, "-o", path)
        text = path.read_text(encoding="utf-8")
        self.assertEqual(text, nbformat.writes(self.read("x.ipynb")) + "\n")

    def test_live_tables_end_as_under_nbconvert(self):
        path = self.write(notebook(['found = search("random", nasbench101(max_vertices=4), params(), seeds=range(2), budget=5)\nfound', "wait(found)", "found.selected"]))
        theirs = self.by_nbconvert(path, "theirs.ipynb")
        self.command("run", path, "-o", self.folder / "ours.ipynb")
        ours = self.read("ours.ipynb")
        for found in (ours, theirs):
            display = next(o for o in found.cells[0].outputs if o.output_type == "display_data")
            self.assertEqual(support.seed_states(display.data), {0: "done", 1: "done"}, display.data["text/plain"])
        data = [next(o.data["application/vnd.evalnas.search.v1+json"] for o in found.cells[0].outputs if o.output_type == "display_data") for found in (ours, theirs)]
        self.assertEqual(*data)
        self.assertEqual(ours.cells[2].outputs, theirs.cells[2].outputs)

    def test_the_other_runs_notebook_is_verified(self):
        path = self.write(notebook())
        self.by_nbconvert(path, "theirs.ipynb")
        said = self.command("verify", self.folder / "theirs.ipynb")
        self.assertIn("nothing differs", said.stdout)
        edited = self.read("theirs.ipynb")
        result = next(o.data["application/vnd.evalnas.result.v1+json"] for c in edited.cells for o in c.get("outputs", []) if "application/vnd.evalnas.result.v1+json" in o.get("data", {}))
        result["groups"][0]["seeds"][0]["value"] += 1e-12
        self.write(edited, "edited.ipynb")
        found = json.loads(self.command("verify", "--json", self.folder / "edited.ipynb", status=1).stdout)
        self.assertEqual([d["what"] for d in found["differences"]], ["comparison, sample_random, seed 0, value"])
        self.assertEqual(self.command("diff", self.folder / "theirs.ipynb", self.folder / "edited.ipynb", status=1).stdout.count("architecture"), 0)

    def test_parameters_are_papermills(self):
        path = self.write(notebook(CELLS[:6] + ["len(space)"]))
        self.command("run", path, "-o", self.folder / "out.ipynb", "-p", "vertices=5", "-p", "name=spos")
        found = self.read("out.ipynb")
        self.assertEqual(found.cells[2].metadata.tags, ["injected-parameters"])
        self.assertEqual(found.cells[2].source, '# Parameters\nvertices = 5\nname = "spos"')
        self.assertEqual(found.cells[7].outputs[0].data["text/plain"], "2532")

    def test_anothers_notebook_is_refused(self):
        made = notebook(CELLS[:2])
        made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        said = self.command("run", self.write(made), status=2)
        self.assertIn("python3", said.stderr)


if __name__ == "__main__":
    unittest.main()
