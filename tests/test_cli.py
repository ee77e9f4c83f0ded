"""The program's commands as another program calls them: install, doctor,
uninstall, and the JSON lines of `evalnas nasbench`."""
import json
import os
import pathlib
import stat
import subprocess
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
