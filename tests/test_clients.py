"""Clients other than JupyterLab, each on a real notebook: console, nbclient, nbconvert's exports, nbval, jupytext."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import nbformat
import support
from nbclient import NotebookClient

CELLS = [
    "load('lib.star', 'double')\nspace = nasbench101(max_vertices=5)",
    "double(21)",
    "space[7]",
    "display(Markdown('**bold**'))\nprint('é', '𝔸')",
]


def make(folder, cells=CELLS):
    """A notebook without outputs, with a file that it loads."""
    (folder / "lib.star").write_text("def double(x):\n    return 2 * x\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c, id=f"cell-{i}") for i, c in enumerate(cells)])
    notebook.metadata.kernelspec = {"name": support.KERNEL, "display_name": "evalnas", "language": "starlark"}
    path = folder / "some.ipynb"
    nbformat.write(notebook, path)
    return path


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="evalnas-test-")))
        self.environment = {**os.environ, "EVALNAS_STUDY": str(self.folder / "study")}

    def tool(self, *words, stdin=""):
        """Runs a module of Python in the folder and returns what it wrote."""
        done = subprocess.run([sys.executable, "-m", *map(str, words)], cwd=self.folder, env=self.environment, input=stdin, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def executed(self):
        path = make(self.folder)
        self.tool("nbconvert", "--to", "notebook", "--execute", "--inplace", path.name)
        return path

    def test_nbclient(self):
        notebook = nbformat.read(make(self.folder), 4)
        NotebookClient(notebook, kernel_name=support.KERNEL, resources={"metadata": {"path": str(self.folder)}}, timeout=60).execute()
        self.assertEqual(notebook.cells[1].outputs[0].data["text/plain"], "42")
        self.assertIn("image/svg+xml", notebook.cells[2].outputs[0].data)
        self.assertEqual(notebook.metadata.language_info.name, "starlark")

    def test_nbconvert_exports(self):
        path = self.executed()
        for to, name, holds in (("html", "some.html", "<strong>bold</strong>"), ("markdown", "some.md", "double(21)"), ("script", "some.star", "double(21)")):
            self.tool("nbconvert", "--to", to, path.name)
            self.assertIn(holds, (self.folder / name).read_text(encoding="utf-8"))

    def test_nbval_finds_the_same_outputs_again(self):
        path = self.executed()
        self.assertIn(f"{len(CELLS)} passed", self.tool("pytest", "-q", "-p", "no:cacheprovider", "--nbval", path.name))
        notebook = nbformat.read(path, 4)
        notebook.cells[1].outputs[0].data["text/plain"] = "43"
        nbformat.write(notebook, path)
        with self.assertRaises(AssertionError):
            self.tool("pytest", "-q", "-p", "no:cacheprovider", "--nbval", path.name)

    def test_nbval_on_the_first_notebook_of_the_project(self):
        name = "search_versus_random.ipynb"
        (self.folder / name).write_bytes((support.ROOT / "notebooks" / name).read_bytes())
        self.assertIn("passed", self.tool("pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-cell-timeout=120", name))

    def test_console(self):
        make(self.folder)
        said = self.tool("jupyter_console", "--kernel", support.KERNEL, "--simple-prompt",
                         stdin="load('lib.star', 'double')\ndouble(21)\n1 // 0\nprint('still', 'there')\nexit\n")
        self.assertIn("42", said)
        self.assertIn("ZeroDivisionError", said)
        self.assertIn("still there", said)

    def test_jupytext_pairs_with_markdown(self):
        path = make(self.folder)
        self.tool("jupytext", "--set-formats", "ipynb,md", path.name)
        text = self.folder / "some.md"
        self.assertIn("```starlark", text.read_text(encoding="utf-8"))
        text.write_text(text.read_text(encoding="utf-8").replace("double(21)", "double(4)"), encoding="utf-8")
        self.tool("jupytext", "--sync", text.name)
        self.assertIn("double(4)", path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
