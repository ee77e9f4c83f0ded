"""The program's commands as another program calls them: install, doctor,
uninstall, and the JSON lines of `evalnas nasbench`."""
import base64
import json
import os
import pathlib
import stat
import struct
import subprocess
import tempfile
import unittest

import support

VECTORS = json.loads((support.ROOT / "nasapi/space/testdata/hash_vectors.json").read_text())["vectors"]


def evalnas(*arguments, lines=None, check=True, **environment):
    """Runs the program; lines, if given, are its input."""
    return subprocess.run(
        [str(support.BINARY), *map(str, arguments)], input="".join(line + "\n" for line in lines or []),
        capture_output=True, text=True, timeout=120, check=check, env={**os.environ, **environment},
    )


def answers(*arguments, lines):
    run = evalnas(*arguments, lines=lines, check=False)
    return [json.loads(line) for line in run.stdout.splitlines()]


class NasbenchTest(unittest.TestCase):
    def test_hash_answers_the_vectors_of_the_reference(self):
        asked = [json.dumps({"matrix": v["matrix"], "ops": v["ops"]}) for v in VECTORS]
        got = answers("nasbench", "hash", lines=asked)
        self.assertEqual(len(got), len(VECTORS))
        for vector, answer in zip(VECTORS, got):
            with self.subTest(vector["name"]):
                self.assertEqual(answer["valid"], vector["in_search_space"])
                self.assertEqual(answer["hash"], vector["hash"])
                if vector["in_search_space"]:
                    self.assertEqual(answer["matrix"], vector["pruned_matrix"])
                    self.assertEqual(answer["ops"], vector["pruned_ops"])
                    self.assertGreater(answer["params"], 0)
                else:
                    self.assertTrue(answer["reason"])

    def test_a_bad_line_answers_with_its_error_and_the_rest_go_on(self):
        good = json.dumps({"matrix": VECTORS[0]["matrix"], "ops": VECTORS[0]["ops"]})
        for bad in ("{", "[]", '{"matrix": 3}', '{"matrix": [[0, 1], [0]], "ops": ["input", "output"]}', '{"matrix": [[0, 1], [0, 0]], "ops": ["input", "exit"]}'):
            with self.subTest(bad):
                got = answers("nasbench", "hash", lines=[good, bad, good])
                self.assertEqual(len(got), 3)
                self.assertEqual([got[0]["hash"], got[2]["hash"]], [VECTORS[0]["hash"]] * 2)
                self.assertTrue(got[1].get("error") or got[1].get("reason"), got[1])

    def test_query_by_cell_and_by_hash_agree(self):
        cell = next(v for v in VECTORS if v["in_search_space"])
        lines = [json.dumps({"matrix": cell["matrix"], "ops": cell["ops"]}), json.dumps({"hash": cell["hash"]}), json.dumps({"hash": "0" * 32})]
        by_cell, by_hash, unknown = answers("nasbench", "query", lines=lines)
        for answer in (by_cell, by_hash):
            self.assertEqual((answer["hash"], answer["epochs"], answer["repeat"]), (cell["hash"], 108, 0))
            self.assertTrue(0.09 < answer["test"] < 0.95, answer)
            self.assertAlmostEqual(answer["test"] * 9984, round(answer["test"] * 9984), places=6, msg="accuracies are counts of 9,984 images")
            self.assertTrue(1 <= answer["rank"] <= 423624, answer)
        self.assertEqual((by_cell["test"], by_cell["rank"]), (by_hash["test"], by_hash["rank"]))
        self.assertFalse(unknown["valid"])
        self.assertIn("0" * 32, unknown["reason"])

    def test_count_prints_the_number_alone(self):
        for vertices, count in ((4, 91), (5, 2532), (6, 64542)):
            with self.subTest(vertices=vertices):
                self.assertEqual(evalnas("nasbench", "count", "--vertices", vertices).stdout, f"{count}\n")


def crc32c(data):
    """CRC-32C (Castagnoli), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def framed(payload):
    """A TFRecord."""
    def masked(data):
        c = crc32c(data)
        return struct.pack("<I", ((c >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(payload))
    return length + masked(length) + payload + masked(payload)


def metrics(params, evaluations):
    """A ModelMetrics message; an evaluation is (epoch, seconds, train, valid, test)."""
    out = b""
    for numbers in evaluations:
        data = b"".join(bytes([i << 3 | 1]) + struct.pack("<d", x) for i, x in enumerate(numbers, 1))
        out += bytes([0x0A, len(data)]) + data
    out += b"\x10"
    while params > 127:
        out += bytes([params & 127 | 128])
        params >>= 7
    return out + bytes([params])


class TableTest(unittest.TestCase):
    """A file of NASBench-101 as Python writes it: the seven cells of at most three vertices."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.file = pathlib.Path(cls.folder.name, "small.tfrecord")
        cls.environment = {"EVALNAS_TABLES": str(pathlib.Path(cls.folder.name, "tables"))}
        operations = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
        cells = [([[0, 1], [0, 0]], ["input", "output"])]
        cells += [([[0, 1, skip], [0, 0, 1], [0, 0, 0]], ["input", operation, "output"]) for operation in operations for skip in (0, 1)]
        cls.cells, cls.values = cells, {}
        known = answers("nasbench", "hash", lines=[json.dumps({"matrix": m, "ops": o}) for m, o in cells])
        records = []
        for number, ((matrix, ops), cell) in enumerate(zip(cells, known)):
            for epochs in (4, 108):
                for repeat in range(3):
                    final = (float(epochs), 100 / 3 * epochs + repeat, 9000 / 9984, (8000 + number) / 9984, (7000 + 10 * number + repeat) / 9984)
                    halfway = (epochs / 2, 50 / 3 * epochs, 5000 / 9984, 4000 / 9984, 3000 / 9984)
                    data = metrics(cell["params"], [(0.0,) * 5, halfway, final])
                    digits = "".join(str(e) for row in matrix for e in row)
                    payload = json.dumps([cell["hash"], epochs, digits, ",".join(ops), base64.b64encode(data).decode()])
                    records.append(framed(payload.encode()))
                    cls.values[cell["hash"], epochs, repeat] = final
        cls.file.write_bytes(b"".join(records))
        cls.record = len(records[0])

    def test_import_and_query(self):
        run = evalnas("nasbench", "import", self.file, "--json", **self.environment)
        self.assertEqual((json.loads(run.stdout)["cells"], json.loads(run.stdout)["epochs"]), (7, [4, 108]))
        lines = [json.dumps({"hash": h}) for h, epochs, repeat in self.values if (epochs, repeat) == (4, 0)]
        for repeat in range(3):
            run = evalnas("nasbench", "query", "--table", self.file, "--epochs", 4, "--repeat", repeat, lines=lines, **self.environment)
            for line in run.stdout.splitlines():
                answer = json.loads(line)
                _, seconds, train, valid, test = self.values[answer["hash"], 4, repeat]
                self.assertEqual((answer["seconds"], answer["train_accuracy"], answer["valid_accuracy"], answer["test"]), (seconds, train, valid, test))

    def test_damage_names_the_record_and_leaves_nothing(self):
        data = bytearray(self.file.read_bytes())
        data[self.record + 40] ^= 4
        damaged = self.file.with_name("damaged.tfrecord")
        damaged.write_bytes(data)
        tables = self.file.with_name("nothing")
        run = evalnas("nasbench", "import", damaged, check=False, EVALNAS_TABLES=str(tables))
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("record 2 at byte %d" % self.record, run.stderr)
        self.assertEqual(list(tables.rglob("*")), [])

    def test_pandas_reads_what_is_exported(self):
        try:
            import pandas
        except ImportError:
            self.skipTest("pandas is not at hand")
        readers = {"csv": lambda f: pandas.read_csv(f, dtype={"matrix": str}),
                   "jsonl": lambda f: pandas.read_json(f, lines=True, dtype={"matrix": str}, precise_float=True)}
        try:
            import pyarrow  # noqa: F401

            readers["parquet"] = pandas.read_parquet
        except ImportError:
            pass
        for format, read in readers.items():
            with self.subTest(format):
                out = self.file.with_name("out." + format)
                evalnas("nasbench", "export", "--table", self.file, out, **self.environment)
                frame = read(out).set_index("hash")
                self.assertEqual(len(frame), 7)
                for (h, epochs, repeat), (_, seconds, _, valid, test) in self.values.items():
                    row = frame.loc[h]
                    got = row["seconds_%d_r%d" % (epochs, repeat)], row["valid_%d_r%d" % (epochs, repeat)], row["test_%d_r%d" % (epochs, repeat)]
                    for mine, want in zip(got, (seconds, valid, test)):
                        self.assertAlmostEqual(mine, want, places=12)  # pandas may round what it reads of text
                    self.assertEqual(len(row["matrix"]), row["vertices"] ** 2)
                self.assertAlmostEqual(frame["test_108_mean"].max(), frame[["test_108_r%d" % r for r in range(3)]].mean(axis=1).max())


class InstallTest(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(support.scratch_folder())

    def spec(self, name="evalnas"):
        return self.folder / "share" / "jupyter" / "kernels" / name

    def test_install_writes_a_spec_that_jupyter_can_use(self):
        evalnas("install", "--prefix", self.folder, "--name", "mine", "--display-name", "My kernel")
        spec = json.loads((self.spec("mine") / "kernel.json").read_text())
        self.assertEqual((spec["display_name"], spec["language"], spec["interrupt_mode"]), ("My kernel", "starlark", "message"))
        self.assertTrue(pathlib.Path(spec["argv"][0]).is_absolute())
        self.assertIn("{connection_file}", spec["argv"])
        for logo in ("logo-32x32.png", "logo-64x64.png", "logo-svg.svg"):
            self.assertGreater((self.spec("mine") / logo).stat().st_size, 100, logo)
        evalnas("install", "--prefix", self.folder, "--name", "mine")  # again, over the first
        evalnas("uninstall", "--prefix", self.folder, "--name", "mine")
        self.assertFalse(self.spec("mine").exists())

    def test_a_bad_name_is_refused(self):
        run = evalnas("install", "--prefix", self.folder, "--name", "../up", check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("../up", run.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_folder_that_cannot_be_written(self):
        if os.getuid() == 0:
            blocked = self.folder / "file"
            blocked.write_text("a file where a folder should be")
        else:
            blocked = self.folder / "locked"
            blocked.mkdir()
            blocked.chmod(stat.S_IRUSR | stat.S_IXUSR)
        run = evalnas("install", "--prefix", blocked, check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(str(blocked), run.stderr)

    def test_doctor_runs_a_cell(self):
        run = evalnas("doctor", check=False, VIRTUAL_ENV=str(support.ROOT / ".venv"), PATH=f"{support.ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("evalnas", run.stdout)


class JobsTest(unittest.TestCase):
    """`evalnas jobs` on a study that a kernel made."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(support.scratch_folder())
        cls.study = cls.folder / "study"
        cls.environment = {"EVALNAS_STUDIES_FILE": str(cls.folder / "studies"), "EVALNAS_STUDY": str(cls.study)}
        with support.kernel(cls.folder, **cls.environment) as (_, client):
            support.good(client, 'found = search("random", nasbench101(4), params(), seeds=[1, 2], budget=5)\nwait(found)')
            support.good(client, 'going = search("enas", nasbench101(), params(), seeds=[7], budget=1000000)\ncancel(going)\nwait(going)')

    def jobs(self, *arguments, check=True):
        return evalnas("jobs", *arguments, check=check, **self.environment)

    def rows(self):
        return [json.loads(line) for line in self.jobs("--json").stdout.splitlines()]

    def test_1_the_list_says_where_they_stand(self):
        text = self.jobs().stdout
        self.assertRegex(text, r"3 jobs: 2 done, 1 cancelled; .*device-(seconds|minutes)")
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        done = [row for row in self.rows() if row["state"] == "done"]
        self.assertEqual([(row["seed"], row["retries"], row["held"], len(row["slots"])) for row in done], [(1, 0, False, 1), (2, 0, False, 1)])
        self.assertTrue(all(row["spent"] > 0 for row in done), done)
        self.assertEqual(self.jobs("watch").stdout, text)

    def test_2_all_studies_are_known(self):
        text = self.jobs("--all").stdout
        self.assertEqual((self.folder / "studies").read_text(), f"{self.study}\n")
        self.assertIn("3 jobs: 2 done", text)

    def test_3_gc_removes_nothing_finished_without_being_asked(self):
        before = sorted(self.study.glob("jobs/*"))
        self.assertIn("(--done)", self.jobs("gc").stdout)
        self.jobs("gc", "--yes")
        self.jobs("gc", "--cancelled", "--done")  # shows
        self.assertEqual(sorted(self.study.glob("jobs/*")), before)
        self.assertIn("1 cancelled jobs", self.jobs("gc", "--cancelled", "--yes").stdout)
        self.assertEqual({row["state"] for row in self.rows()}, {"done"})
        bad = self.jobs("gc", "--older", "soon", check=False)
        self.assertIn("such as 30d", bad.stderr)

    def test_4_hold_and_release_name_what_is_not_there(self):
        self.assertIn("0 jobs are held, 2 run or have ended", self.jobs("hold", "--all").stdout)
        for command in ("hold", "release"):
            with self.subTest(command):
                run = self.jobs(command, "zzz", check=False)
                self.assertNotEqual(run.returncode, 0)
                self.assertIn('no job "zzz"', run.stderr)


if __name__ == "__main__":
    unittest.main()
