"""The examples that need more than Python's own library: a policy that asks Optuna.

    .venv/bin/python -m unittest discover -s tests -p test_examples.py
"""
import itertools
import json
import shutil
import subprocess
import sys
import unittest

import support

CELLS = """truth = table("made_up.csv", choices=["a", "b", "c"], valid="val", test="test")
program = exec([%s, "optuna_policy.py"])
tpe = search(program, truth.space, truth.metric("valid"), seeds=range(3), budget=40)
sampled = search(program, truth.space, truth.metric("valid"), seeds=range(3), budget=40, sampler="random")
cells = search(program, darts_space(), params(), seeds=[0], budget=2)
wait(tpe, sampled, cells)
print(json.encode([list(tpe.errors.values()), list(sampled.errors.values()), list(cells.errors.values())]))
print(json.encode([list(tpe.values.values()), list(sampled.values.values())]))
print(json.encode([[t[-1][0] for t in tpe.traces.values()], [t[-1][0] for t in sampled.traces.values()]]))"""


class Optuna(unittest.TestCase):
    def test_policy(self):
        with support.scratch_folder() as folder:
            shutil.copy(support.ROOT / "examples" / "policies" / "optuna_policy.py", folder)
            # One ridge: the nearer all three are to 4, 1 and 3, the better.
            rows = ["a,b,c,val,test"]
            for a, b, c in itertools.product(range(6), repeat=3):
                rows.append(f"{a},{b},{c},{1 / (1 + abs(a - 4) + abs(b - 1) + abs(c - 3)):.6f},0.5")
            (folder / "made_up.csv").write_text("\n".join(rows) + "\n")
            cell = {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": None, "outputs": [], "source": CELLS % json.dumps(sys.executable)}
            kernel = {"name": "evalnas", "display_name": "evalnas", "language": "starlark"}
            (folder / "n.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": [cell]}))
            run = subprocess.run([support.BINARY, "notebook", "run", "n.ipynb", "-o", "out.ipynb"], cwd=folder, capture_output=True, text=True, timeout=300)
            self.assertEqual(run.returncode, 0, run.stderr)
            outputs = json.loads((folder / "out.ipynb").read_text())["cells"][0]["outputs"]
            printed = "".join(itertools.chain.from_iterable(o["text"] for o in outputs if o.get("name") == "stdout"))
            errors, values, _ = [json.loads(line) for line in printed.splitlines() if line.startswith("[")]
            self.assertEqual(errors[:2], [[], []])
            self.assertIn("is no space of choices", errors[2][0])
            # On such a ridge TPE finds the top, or its neighbour, in 40 of 216 looks.
            self.assertGreaterEqual(sorted(values[0])[1], 0.5, values)
            self.assertTrue(all(0 < v <= 1 for v in values[1]), values)


if __name__ == "__main__":
    unittest.main()
