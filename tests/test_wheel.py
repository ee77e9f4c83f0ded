"""The Python wheel as its user has it: installed in an environment, with nothing on the PATH.

    tests/run wheel

makes the wheel, installs it into .venv-python and runs this with that environment's Python."""
import base64
import csv
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import warnings
import zipfile

import nbformat
import support
from nbclient import NotebookClient

import evalnas

ENVIRONMENT = pathlib.Path(sys.prefix)
PROGRAM = ENVIRONMENT / "bin" / "evalnas"
NAME = "search_versus_random"
RESULT = "application/vnd.evalnas.result.v1+json"
SOURCES = support.ROOT / "install" / "python"
# GOOS/GOARCH and the tags that a wheel for it has.
PLATFORMS = {
    "linux/amd64": {"manylinux2014_x86_64", "manylinux_2_17_x86_64", "musllinux_1_1_x86_64"},
    "linux/arm64": {"manylinux2014_aarch64", "manylinux_2_17_aarch64", "musllinux_1_1_aarch64"},
    "darwin/amd64": {"macosx_12_0_x86_64"},
    "darwin/arm64": {"macosx_12_0_arm64"},
    "windows/amd64": {"win_amd64"},
    "windows/arm64": {"win_arm64"},
}

support.BINARY = PROGRAM  # whose processes scratch_folder waits for


def setUpModule():
    """Takes every program off the PATH: neither Go nor the environment's own commands are found."""
    empty = tempfile.mkdtemp(prefix="evalnas-path-")
    unittest.addModuleCleanup(shutil.rmtree, empty)
    os.environ["PATH"] = empty
    os.environ.pop("VIRTUAL_ENV", None)


def command(*words, check=True, **environment):
    run = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    if check and run.returncode:
        raise AssertionError(f"{words} ended with status {run.returncode}:\n{run.stdout}{run.stderr}")
    return run


def notebook(*cells, kernel="python3", language="python"):
    """A notebook of code cells; a pair is a cell with a tag."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": language}})
    for cell in cells:
        source, tags = cell if isinstance(cell, tuple) else (cell, [])
        made.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags} if tags else {}))
    return made


class PackageTest(unittest.TestCase):
    """What is in the wheels of all platforms, with a stand-in for the program."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(support.scratch_folder())
        cls.program = cls.folder / "program"
        cls.program.write_bytes(b"\x7fELF, or so it says")
        cls.program.chmod(0o755)
        command(PROGRAM, "install", "--prefix", cls.folder)
        cls.builder = support.ROOT / ".venv-wheel" / "bin" / "python"

    def build(self, platform, into, **changed):
        environment = {
            "EVALNAS_VERSION": "v1.2-3-gabc", "EVALNAS_PLATFORM": platform, "EVALNAS_BINARY": str(self.program),
            "EVALNAS_KERNELSPEC": str(self.folder / "share" / "jupyter" / "kernels" / "evalnas"), **changed,
        }
        return subprocess.run(
            [str(self.builder), "-m", "hatchling", "build", "-t", "wheel", "-d", str(self.folder / into)],
            cwd=SOURCES, capture_output=True, text=True, timeout=60, env={**os.environ, **environment},
        )

    def test_each_platform(self):
        for platform, tags in PLATFORMS.items():
            with self.subTest(platform):
                windows = platform.startswith("windows")
                into = platform.replace("/", "-")
                run = self.build(platform, into)
                self.assertEqual(run.returncode, 0, run.stderr)
                (wheel,) = (self.folder / into).glob("*.whl")
                name, version, python, abi, platforms = wheel.stem.split("-")
                self.assertEqual((name, version, python, abi), ("evalnas", "1.2.post3+gabc", "py3", "none"))
                self.assertEqual(set(platforms.split(".")), tags)
                with zipfile.ZipFile(wheel) as packed:
                    data = f"evalnas-{version}.data"
                    program = packed.getinfo(f"{data}/scripts/evalnas{'.exe' if windows else ''}")
                    self.assertEqual(packed.read(program), self.program.read_bytes())
                    self.assertTrue(program.external_attr >> 16 & 0o111, "the program cannot be executed")
                    spec = f"{data}/data/share/jupyter/kernels/evalnas"
                    kernel = json.loads(packed.read(f"{spec}/kernel.json"))
                    for logo in ("logo-32x32.png", "logo-64x64.png", "logo-svg.svg"):
                        self.assertGreater(packed.getinfo(f"{spec}/{logo}").file_size, 100)
                    self.check_record(packed, f"evalnas-{version}.dist-info/RECORD")
                # From the kernelspec's folder to where pip puts scripts of that system.
                path = kernel["argv"][0].replace("\\", "/").replace("{resource_dir}", "/env/share/jupyter/kernels/evalnas")
                self.assertEqual(os.path.normpath(path), "/env/Scripts/evalnas.exe" if windows else "/env/bin/evalnas")
                self.assertEqual(kernel["argv"][1:], ["kernel", "{connection_file}"])
                self.assertEqual(kernel["interrupt_mode"], "message")

    def check_record(self, packed, record):
        rows = {row[0]: row[1] for row in csv.reader(io.StringIO(packed.read(record).decode()))}
        self.assertEqual(set(rows), set(packed.namelist()))
        for name, said in rows.items():
            if name != record:
                digest = base64.urlsafe_b64encode(hashlib.sha256(packed.read(name)).digest()).rstrip(b"=").decode()
                self.assertEqual(said, f"sha256={digest}", name)

    def test_the_same_program_gives_the_same_bytes(self):
        wheels = []
        for into in ("once", "again"):
            self.assertEqual(self.build("linux/amd64", into).returncode, 0)
            wheels += (self.folder / into).glob("*.whl")
        self.assertEqual(wheels[0].name, wheels[1].name)
        self.assertEqual(wheels[0].read_bytes(), wheels[1].read_bytes())

    def test_what_cannot_be_packed_is_named(self):
        for changed, said in (
            ({"EVALNAS_PLATFORM": "plan9/386"}, "EVALNAS_PLATFORM=plan9/386 is not known"),
            ({"EVALNAS_BINARY": ""}, "EVALNAS_BINARY is not set"),
            ({"EVALNAS_BINARY": "/nowhere/evalnas"}, "/nowhere/evalnas"),
            ({"EVALNAS_VERSION": "latest"}, "EVALNAS_VERSION='latest' is not what git describe says"),
        ):
            with self.subTest(said):
                run = self.build("linux/amd64", "bad", **changed)
                self.assertNotEqual(run.returncode, 0)
                self.assertIn(said, run.stderr)
        self.assertFalse((self.folder / "bad").exists() and any((self.folder / "bad").iterdir()))


class InstalledTest(unittest.TestCase):
    def test_nothing_of_the_checkout_is_used(self):
        self.assertIsNone(shutil.which("go"))
        self.assertIsNone(shutil.which("evalnas"))
        self.assertTrue(pathlib.Path(evalnas.__file__).is_relative_to(ENVIRONMENT), evalnas.__file__)
        self.assertEqual(evalnas.program(), str(PROGRAM))
        self.assertEqual(command(PROGRAM, "--version").stdout.split()[0], "evalnas")

    def test_jupyter_lists_the_kernel_and_doctor_finds_it(self):
        listed = json.loads(command(sys.executable, "-m", "jupyter_client.kernelspecapp", "list", "--json").stdout)["kernelspecs"]
        self.assertEqual(listed["evalnas"]["resource_dir"], str(ENVIRONMENT / "share" / "jupyter" / "kernels" / "evalnas"))
        self.assertEqual(listed["evalnas"]["spec"]["display_name"], "evalnas (Starlark)")
        run = command(PROGRAM, "doctor", "--json")
        said = {check["check"]: check["status"] for check in json.loads(run.stdout)["checks"]}
        self.assertEqual((said["kernelspec"], said["kernel"]), ("ok", "ok"), run.stdout)

    def test_the_kernel_starts_where_the_environment_was_moved_to(self):
        with support.scratch_folder() as folder:
            moved = folder / "with blanks" / "env"
            shutil.copytree(ENVIRONMENT / "share" / "jupyter" / "kernels" / "evalnas", moved / "share" / "jupyter" / "kernels" / "moved")
            (moved / "bin").mkdir()
            shutil.copy2(PROGRAM, moved / "bin" / "evalnas")
            os.environ["JUPYTER_PATH"] = str(moved / "share" / "jupyter")
            self.addCleanup(os.environ.pop, "JUPYTER_PATH")
            executed = NotebookClient(notebook("6 * 7", kernel="moved", language="starlark"), timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
            self.assertEqual(executed.cells[0].outputs[0].data["text/plain"], "42")

    def test_importing_loads_neither_pandas_nor_jupyter(self):
        loaded = command(sys.executable, "-c", "import sys, evalnas; print([m for m in ('pandas', 'numpy', 'zmq', 'IPython', 'jupyter_client') if m in sys.modules])").stdout
        self.assertEqual(loaded, "[]\n")


class LoadTest(unittest.TestCase):
    """The demo's notebook in small, executed by nbconvert, and what pandas gets of it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(support.scratch_folder())
        cls.study = cls.folder / "study"
        source = nbformat.read(support.ROOT / "notebooks" / f"{NAME}.ipynb", as_version=4)
        (parameters,) = (cell for cell in source.cells if "parameters" in cell.metadata.get("tags", []))
        parameters.source = "seeds = range(3)\nbudget = 50"
        cls.notebook = cls.folder / f"{NAME}.ipynb"
        nbformat.write(source, cls.notebook)
        command(sys.executable, "-m", "nbconvert", "--log-level", "WARN", "--to", "notebook", "--inplace", "--execute", cls.notebook, EVALNAS_STUDY=str(cls.study))
        with warnings.catch_warnings():
            warnings.simplefilter("error", evalnas.LoadWarning)
            cls.of_study, cls.of_notebook = evalnas.load(cls.study), evalnas.load(cls.notebook)

    def ask(self, *words, lines):
        run = subprocess.run([str(PROGRAM), "nasbench", *words], input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line) for line in run.stdout.splitlines()]

    def test_a_study_has_a_row_for_each_job(self):
        results = self.of_study.results
        self.assertEqual(len(results), 24)  # four policies, two objectives, three seeds
        self.assertEqual(set(results.state), {"done"})
        self.assertEqual(results.groupby(["policy", "objective"]).seed.apply(list).map(sorted).tolist(), [[0, 1, 2]] * 8)
        guided = results[results.objective == "params()"]
        known = self.ask("hash", lines=[{"matrix": a["matrix"], "ops": a["ops"]} for a in guided.architecture])
        self.assertEqual(guided.value.tolist(), [float(answer["params"]) for answer in known])
        self.assertEqual(guided.hash.tolist(), [answer["hash"] for answer in known])
        self.assertEqual(guided.oracle.tolist(), [False] * 12)
        oracle = results[results.objective != "params()"]
        self.assertEqual(oracle.oracle.tolist(), [True] * 12)
        known = self.ask("query", lines=[{"hash": h} for h in oracle.hash])
        self.assertEqual(oracle.value.tolist(), [answer["test"] for answer in known])
        self.assertTrue((results.ended > results.started).all())

    def test_traces_end_with_what_was_selected_and_events_tell_of_each_job(self):
        results = self.of_study.results.set_index("job")
        last = self.of_study.traces.groupby("job").value.last()
        self.assertEqual(last.to_dict(), results.value.to_dict())
        told = self.of_study.events.groupby("job").event.apply(list)
        self.assertEqual(set(told.index), set(results.index))
        for events in told:
            self.assertEqual((events[0], events[-1]), ("start", "done"))

    def test_a_notebook_has_a_row_for_each_seed_of_each_group(self):
        results = self.of_notebook.results
        self.assertEqual(results.groupby("source").size().to_dict(), {"comparison": 30, "search": 24})
        compared = results[results.source == "comparison"]
        known = self.ask("query", lines=[{"hash": h} for h in compared.hash])
        self.assertEqual(compared.value.tolist(), [answer["test"] for answer in known])
        self.assertEqual(compared["rank"].tolist(), [answer["rank"] for answer in known])
        searched = results[results.source == "search"]
        self.assertEqual(sorted(searched.value), sorted(self.of_study.results.value))
        saved = nbformat.read(self.notebook, as_version=4)
        first = next(o.data[RESULT] for c in saved.cells for o in c.get("outputs", []) if RESULT in o.get("data", {}))
        self.assertEqual(compared[compared.cell == compared.cell.min()].value.tolist(), [s["value"] for g in first["groups"] for s in g["seeds"]])

    def test_damage_is_shown_and_the_rest_is_there(self):
        study = self.folder / "damaged"
        shutil.copytree(self.study, study)
        whole, cut, changed, garbled = sorted((study / "jobs").iterdir())[:4]
        (cut / "result.json").write_text('{"schema": 1,')
        (changed / "job.json").write_text("{}")
        with open(garbled / "events.jsonl", "a") as events:
            events.write("no event\n")
        with self.assertWarnsRegex(evalnas.LoadWarning, "see .problems"):
            frames = evalnas.load(study)
        rows = frames.results.set_index("job")
        self.assertEqual(len(rows), 24)
        self.assertEqual(rows.loc[whole.name].state, "done")
        self.assertEqual(rows.loc[cut.name].state, "lost")
        self.assertIn("result.json is damaged", rows.loc[cut.name].error)
        problems = "\n".join(f"{p['where']}: {p.problem}" for _, p in frames.problems.iterrows())
        self.assertIn(f"job {changed.name}: job.json", problems)
        self.assertIn(f"job {garbled.name}: 1 damaged lines of events.jsonl", problems)
        self.assertEqual(sum(rows.state == "done"), 23 if rows.loc[changed.name].state == "done" else 22)

    def test_looking_changes_nothing(self):
        before = {f: f.stat().st_mtime_ns for f in self.study.rglob("*")}
        evalnas.load(self.study)
        self.assertEqual({f: f.stat().st_mtime_ns for f in self.study.rglob("*")}, before)

    def test_newer_formats_are_refused_or_named(self):
        newer = self.folder / "newer"
        newer.mkdir()
        (newer / "study.json").write_text('{"schema": 99, "program": "evalnas"}')
        with self.assertRaisesRegex(evalnas.LoadError, "newer version of evalnas .schema 99"):
            evalnas.load(newer)
        saved = nbformat.read(self.notebook, as_version=4)
        bundles = [o.data for c in saved.cells for o in c.get("outputs", []) if RESULT in o.get("data", {})]
        bundles[0][RESULT]["schema"] = 99
        bundles[1]["application/vnd.evalnas.result.v9+json"] = bundles[1].pop(RESULT)
        path = self.folder / "newer.ipynb"
        nbformat.write(saved, path)
        with self.assertWarns(evalnas.LoadWarning):
            frames = evalnas.load(path)
        self.assertEqual(set(frames.results.source), {"search"})
        self.assertEqual(len(frames.problems), 2)
        self.assertIn("schema 99", frames.problems.problem[0])
        self.assertIn("result.v9+json is not known to this version", frames.problems.problem[1])

    def test_what_is_nothing_to_read_is_named(self):
        empty = self.folder / "empty.ipynb"
        nbformat.write(notebook("1"), empty)
        for path, said in ((self.folder / "nowhere", "there is no .*nowhere"), (self.folder, "is no study"), (empty, "has no outputs"), (__file__, "neither a folder nor a notebook")):
            with self.subTest(said), self.assertRaisesRegex(evalnas.LoadError, said):
                evalnas.load(path)

    def test_without_pandas(self):
        run = command(sys.executable, "-c", f"import sys; sys.modules['pandas'] = None; import evalnas; evalnas.load({str(self.study)!r})", check=False)
        self.assertIn("pandas cannot be imported here: pip install pandas", run.stderr)


class RankingsTest(unittest.TestCase):
    """Searches with shared weights, as small as they go, and trainings of what they found."""

    def test_rankings_and_trainings(self):
        images = "synthetic(train=160, test=32)"
        with support.scratch_folder() as folder:
            path, study = folder / "shared.ipynb", folder / "study"
            nbformat.write(notebook(
                f"w = shared_weights({images}, epochs=2, batch=32, valid_batch=32, channels=8, cells=3, images=96, valid=64, pool=6, save_every=1)\n"
                "spos = search('spos', nasbench101(4), w, seeds=[1, 2])\nwait(spos)\nranked = rankings(spos)\nranked",
                "ranked.tau['spos']", f"finals = train(spos.selected, {images}, epochs=1, channels=4, cells=3, batch=32)\nwait(finals)\nfinals",
                kernel="evalnas", language="starlark"), path)
            command(PROGRAM, "notebook", "run", path, "-o", path, "--study", study)
            of_study, of_notebook = evalnas.load(study), evalnas.load(path)
            self.assertEqual((len(of_study.problems), len(of_notebook.problems)), (0, 0))
            shown = json.loads(nbformat.read(path, as_version=4).cells[1].outputs[0].data["text/plain"].replace("None", "null"))
            self.assertTrue(any(tau is not None for tau in shown))
            for frames in (of_study, of_notebook):
                rankings = frames.rankings[frames.rankings.pool == "fixed"]
                self.assertEqual(rankings[["seed", "epoch"]].values.tolist(), [[1, 1], [1, 2], [2, 1], [2, 2]])
                self.assertEqual(set(rankings.architectures), {6})
                last = rankings[rankings.epoch == 2].tau
                self.assertEqual([None if tau != tau else tau for tau in last], shown)
            trained = of_study.results[of_study.results.kind == "train"]
            self.assertEqual(sorted(trained.found_seed), [1, 2])
            self.assertEqual(set(trained.policy), {"spos"})
            self.assertTrue(trained.test.between(0, 1).all())
            saved = of_notebook.results[of_notebook.results.source == "training"]
            self.assertEqual(sorted(saved.test), sorted(trained.test))
            self.assertEqual(sorted(saved.hash), sorted(trained.hash))


class MagicTest(unittest.TestCase):
    """%%evalnas in notebooks of ipykernel that nbclient executes."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(support.scratch_folder())

    def execute(self, *cells, **options):
        made = notebook("%load_ext evalnas", *cells)
        done = NotebookClient(made, timeout=120, resources={"metadata": {"path": str(self.folder)}}, **options).execute()
        return [cell.outputs for cell in done.cells[1:]]

    def limit(self, seconds):
        """Fails the test where it hangs: a cell's time does not bound what comes after it."""
        def late(*_):
            raise AssertionError(f"not within {seconds} s")
        earlier = signal.signal(signal.SIGALRM, late)
        self.addCleanup(signal.signal, signal.SIGALRM, earlier)
        self.addCleanup(signal.alarm, 0)
        signal.alarm(seconds)

    def printed(self, outputs):
        return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")

    def test_a_search_from_python_and_its_numbers_back(self):
        first, numbers, shown, plain = self.execute(
            "seeds = [1, 2, 3]",
            "%%evalnas -i seeds -o params -o best\nspace = nasbench101(4)\nfound = search('random', space, params(), seeds=seeds, budget=20)\nwait(found)\n"
            "params = {s: query(a).params for s, a in zip(seeds, found.selected)}\nbest = max(params.values())\nprint('told')\ncompare(found, sample_random(space, seeds=seeds), by=nasbench101_table().metric('test'))",
            "print(params, best, type(best))",
            "x = %evalnas len(space) + 1\nprint(x)",
        )
        self.assertEqual(first, [])
        self.assertIn("told\n", self.printed(numbers))
        live = [o for o in numbers if o.output_type == "display_data" and support.seed_states(o.data)]
        self.assertEqual([support.seed_states(o.data) for o in live], [{1: "done", 2: "done", 3: "done"}], "the live table is one output, at its last state")
        data = {mime for o in numbers if o.output_type == "display_data" for mime in o.data}
        self.assertLessEqual({"text/html", "image/svg+xml", RESULT}, data)
        said = dict(eval(self.printed(shown).split("} ")[0] + "}"))
        self.assertEqual(set(said), {1, 2, 3})
        self.assertIn(f"{max(said.values())} <class 'int'>", self.printed(shown))
        self.assertEqual(self.printed(plain), "92\n")

    def test_plain_values_go_in_and_out(self):
        outputs = self.execute(
            "import numpy, pandas\na = numpy.arange(6).reshape(2, 3); b = numpy.float64(0.1); c = pandas.Series([1.5, None]); d = pandas.DataFrame({'x': ['a', 'b']}).x\n"
            "e = {'k': (1,), 'é\\n\"\\\\☃😀\\0\\x85': {2, 3}, 1: b'a\\xff\"\\\\', None: True}; r = range(3); g = float('-inf'); h = 2**80; i = numpy.bool_(True)",
            "%%evalnas -i a -i b -i c -i d -i e -i r -i g -i h -i i -o a -o b -o c -o d -o e -o r -o g -o h -o i\nNone",
            "assert a == [[0, 1, 2], [3, 4, 5]], a\nassert b == 0.1, b\nassert c[0] == 1.5 and c[1] != c[1], c\nassert d == ['a', 'b'], d\n"
            "assert e == {'k': (1,), 'é\\n\"\\\\☃😀\\0\\x85': {2, 3}, 1: b'a\\xff\"\\\\', None: True}, e\nassert (r, g, h, i) == (range(3), float('-inf'), 2**80, True), (r, g, h, i)",
        )
        self.assertEqual(outputs, [[], [], []])

    def test_errors(self):
        outputs = self.execute(
            "import datetime, pandas\nz = [1, {'k': datetime.date(2020, 1, 1)}]; frame = pandas.DataFrame({'x': [1]}); loop = []; loop.append(loop); missing = pandas.Series(['a', None])",
            "%%evalnas\ndef f(x):\n    return x // 0\nf(3)", "%%evalnas -i z\n1", "%%evalnas -i frame\n1", "%%evalnas -i nowhere\n1", "%%evalnas -o nowhere\n1", "%%evalnas -i 3x\n1",
            "%%evalnas -o space\nspace = nasbench101(4)", "%%evalnas -i loop\n1", "%%evalnas -i missing\n1",
            "from evalnas._magic import CellError\ntry:\n    get_ipython().run_cell_magic('evalnas', '', 'fail(\"mine\")')\nexcept CellError as e:\n    print(e.ename, e)",
            allow_errors=True,
        )
        failed = [[o for o in cell if o.output_type == "error"] for cell in outputs]
        self.assertEqual([len(f) for f in failed], [0, *[1] * 9, 0])
        kinds = [f[0].ename for f in failed[1:-1]]
        self.assertEqual(kinds, ["ZeroDivisionError", "ValueTypeError", "ValueTypeError", "MissingError", "NameError", "VariableNameError", "ValueTypeError", "ValueTypeError", "ValueTypeError"])
        traceback = "\n".join(failed[1][0].traceback)
        self.assertIn("return x // 0", traceback)  # of the cell
        self.assertNotIn("_magic.py", traceback)
        for at, said in ((2, "z[1]['k'] is a datetime.date"), (3, "pass its columns"), (4, "-i nowhere"), (5, "'nowhere' is not defined"), (7, "space is nasbench101(max_vertices=4)"), (8, "holds itself"), (9, "missing values")):
            self.assertIn(said, failed[at][0].evalue)
        self.assertIn("Error mine", self.printed(outputs[-1]))

    def test_interrupts_reach_the_kernel_and_a_dead_one_is_replaced(self):
        self.limit(300)
        # An interrupt comes as soon as the magic has a request, or when the cell has printed.
        watch = (
            "kernel = get_ipython().evalnas_magics.kernel\nimport os, signal, threading, time\n"
            "screen, show, printed = get_ipython().evalnas_magics.screen, get_ipython().evalnas_magics.screen.show, threading.Event()\n"
            "def noted(message, *rest):\n    show(message, *rest)\n    if message['msg_type'] == 'stream':\n        printed.set()\n"
            "screen.show = noted\n"
            "def once(ready, do):\n    def watch():\n        while not ready():\n            time.sleep(0)\n        do()\n    thread = threading.Thread(target=watch)\n    thread.start()\n    return thread\n"
            "def interrupt():\n    os.kill(os.getpid(), signal.SIGINT)\n"
        )
        outputs = self.execute(
            "%evalnas 1",
            watch + "once(printed.is_set, interrupt)", "%%evalnas\nkept = 5\nprint('kept')\nwhile True: pass", "%evalnas kept",
            "ended = 0\nfor _ in range(10):\n    thread = once(lambda: kernel.current, interrupt)\n    try:\n        get_ipython().run_cell_magic('evalnas', '', 'while True: pass')\n"
            "    except KeyboardInterrupt:\n        ended += 1\n    thread.join()\nprint(ended)", "%evalnas kept",
            "once(lambda: kernel.current, kernel.manager.provisioner.process.kill)", "%%evalnas\nwhile True: pass", "%evalnas 6 * 7", "%evalnas kept",
            "%unload_ext evalnas\nprint(kernel.ended.is_set(), get_ipython().evalnas_magics)",
            allow_errors=True,
        )
        errors = [[o.ename for o in cell if o.output_type == "error"] for cell in outputs]
        self.assertEqual(errors, [[], [], ["KeyboardInterrupt"], [], [], [], [], ["KernelDied"], [], ["NameError"], []])
        self.assertEqual([outputs[n][0].data["text/plain"] for n in (3, 5, 8)], ["5", "5", "42"])
        self.assertEqual(self.printed(outputs[4]), "10\n")
        self.assertIn("True None", self.printed(outputs[10]))

    def test_a_live_table_goes_on_between_cells_and_the_kernel_ends_with_python(self):
        # The search is shown while it runs; its last state comes while a cell of Python runs.
        *_, waited = self.execute(
            "%evalnas 1",
            "import threading\nscreen = get_ipython().evalnas_magics.screen\nall_done = threading.Event()\npublish = screen.publish\n"
            "def watched(content, update=False):\n    publish(content, update)\n    if update and '1 done' in content['data'].get('text/plain', ''):\n        all_done.set()\n"
            "screen.publish = watched",
            "%%evalnas\nfound = search('enas', nasbench101(), params(), seeds=[7], budget=1000)\nfound",
            "print(all_done.wait(60), get_ipython().evalnas_magics.kernel.manager.provisioner.process.pid)",
        )
        came, process = self.printed(waited).split()
        self.assertEqual(came, "True")
        support.until(lambda: not pathlib.Path(f"/proc/{process}").exists() or not pathlib.Path("/proc/self").exists(), "the kernel ends with Python")


class PageTest(unittest.TestCase):
    def test_the_python_cells_of_bring_your_own(self):
        page = (support.ROOT / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        cells = [code.rstrip("\n") for language, _, code in blocks if language == "ipython"]
        self.assertEqual(len(cells), 3)
        with support.scratch_folder() as folder:
            for language, file, code in blocks:
                if language == "csv":
                    (folder / file).write_text(code, encoding="utf-8")
            made = notebook("budget = 5", *cells)
            done = NotebookClient(made, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
            shown = done.cells[-1].outputs[-1].data["text/plain"]
            self.assertEqual(len(re.findall(r"random +\d+ +done", shown)), 10, shown)


class PapermillTest(unittest.TestCase):
    def test_parameters_without_naming_kernel_or_language(self):
        with support.scratch_folder() as folder:
            source, out = folder / "in.ipynb", folder / "out.ipynb"
            nbformat.write(notebook(("n = 3  # how many\nname = None\nmore = {}", ["parameters"]), "n * 2", "[name, more]", kernel="evalnas", language="starlark"), source)
            command(ENVIRONMENT / "bin" / "papermill", "--no-progress-bar", source, out, "-p", "n", "10", "-p", "name", 'é "☃"', "-y", "more: {a: [1, null, true, .inf]}")
            done = nbformat.read(out, as_version=4)
            (injected,) = (cell for cell in done.cells if "injected-parameters" in cell.metadata.get("tags", []))
            self.assertIn("n = 10", injected.source)
            self.assertEqual([cell.outputs[0].data["text/plain"] for cell in done.cells[2:]], ["20", '["é \\"☃\\"", {"a": [1, None, True, inf]}]'])
            said = command(ENVIRONMENT / "bin" / "papermill", "--help-notebook", source).stdout
            self.assertRegex(said, r"n: .*default 3.*how many")


if __name__ == "__main__":
    unittest.main()
