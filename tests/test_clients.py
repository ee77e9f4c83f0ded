"""Clients other than JupyterLab, each on a real notebook: console, nbclient, nbconvert's exports, nbval, jupytext."""
import contextlib
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile
import termios
import time
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


class Terminal:
    """A program in a terminal of its own, and what it has written there."""

    def __init__(self, words, folder, environment):
        self.master, inner = pty.openpty()
        termios.tcsetwinsize(inner, (40, 120))
        # The cursor's position, which prompts ask terminals for, is not answered here.
        environment = {**environment, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process = subprocess.Popen(words, cwd=folder, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
        os.close(inner)
        self.text = ""  # that says() has not found yet

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def says(self, pattern, seconds=60):
        """Waits for text, apart from colours and cursor movements, and goes on behind it."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"no {pattern!r} within {seconds} s, but {self.text!r}")
            self.text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text + os.read(self.master, 4096).decode(errors="replace"))
        self.text = self.text[found.end():]

    def ended(self, seconds=30):
        """The exit code, while what is still written is read."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # the terminal of a program that has ended
                    os.read(self.master, 4096)
        return self.process.wait(timeout=1)


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
        self.assertIn(f"{len(CELLS)} passed", self.nbval("--nbval", path))
        notebook = nbformat.read(path, 4)
        notebook.cells[1].outputs[0].data["text/plain"] = "43"
        nbformat.write(notebook, path)
        with self.assertRaises(AssertionError):
            self.nbval("--nbval", path)

    def nbval(self, how, path):
        """Runs the notebook again, in a study of its own."""
        self.environment["EVALNAS_STUDY"] = tempfile.mkdtemp(dir=self.folder)
        return self.tool("pytest", "-q", "-p", "no:cacheprovider", how, "--nbval-cell-timeout=120", path.name)

    def test_nbval_on_a_notebook_with_live_tables(self):
        path = self.folder / "search_versus_random.ipynb"
        notebook = nbformat.read(support.ROOT / "notebooks" / path.name, 4)
        for cell in notebook.cells:
            cell.source = cell.source.replace("range(1268, 1278)", "range(1268, 1271)").replace("budget = 1000", "budget = 60")
        nbformat.write(notebook, path)
        self.tool("nbconvert", "--to", "notebook", "--execute", "--inplace", path.name)
        notebook = nbformat.read(path, 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        live = [cell for cell in code if any("application/vnd.evalnas.search.v1+json" in o.get("data", {}) for o in cell.outputs)]
        self.assertEqual(len(live), 2)
        self.assertIn(f"{len(code)} passed", self.nbval("--nbval", path))
        # It takes the tags: the times in live tables are not the same twice.
        for cell in live:
            cell.metadata.tags.remove("nbval-ignore-output")
        nbformat.write(notebook, path)
        with self.assertRaisesRegex(AssertionError, f"{len(live)} failed, {len(code) - len(live)} passed"):
            self.nbval("--nbval", path)
        self.assertIn(f"{len(code)} passed", self.nbval("--nbval-lax", path))

    def test_console(self):
        make(self.folder)
        for leave in ("exit", "quit", "exit()", "quit()"):
            said = self.tool("jupyter_console", "--kernel", support.KERNEL, "--simple-prompt",
                             stdin=f"load('lib.star', 'double')\ndouble(21)\n1 // 0\nprint('still', 'there')\n{leave}\nprint('not', 'reached')\n")
            self.assertIn("42", said)
            self.assertIn("ZeroDivisionError", said)
            self.assertIn("still there", said)
            self.assertNotIn("not reached", said)
            self.assertNotIn("NameError", said)

    def console(self):
        return self.enterContext(Terminal([sys.executable, "-m", "jupyter_console", "--kernel", support.KERNEL], self.folder, self.environment))

    def test_console_continues_a_block_until_a_blank_line(self):
        console = self.console()
        console.says(r"In \[1\]:")
        console.type("for i in range(2):\r")
        console.says(r"\.\.\.:")
        console.type("  print(i)\r")
        console.says(r"\.\.\.:")
        console.type("\r")
        console.says(r"0\r\n1\r\n")
        console.says(r"In \[2\]:")
        console.type("exit\r")
        self.assertEqual(console.ended(), 0)

    def test_console_has_the_cells_of_sessions_before(self):
        self.environment["EVALNAS_HISTORY"] = str(self.folder / "new" / "history.jsonl")
        for find in (lambda console: console.type("6 * 7"), self.arrow_up):
            console = self.console()
            console.says(r"In \[1\]:")
            find(console)
            console.type("\r")
            console.says(r"Out\[1\]: *42")
            console.says(r"In \[2\]:")
            console.type("exit\r")
            self.assertEqual(console.ended(), 0)

    @staticmethod
    def arrow_up(console):
        """Goes to the only cell there is; again, where the prompt came before the history."""
        for _ in range(20):
            console.type("\x1b[A")
            with contextlib.suppress(AssertionError):
                return console.says(r"6 \* 7", seconds=2)
        raise AssertionError("arrow up brings nothing back")

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
