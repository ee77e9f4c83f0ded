"""Studies and executed notebooks as pandas data frames.

The program reads the files (`evalnas results`) and this makes frames of its lines, so there is one
reader of each format, and it is the one that knows all versions of it.
"""
import json
import os
import subprocess
import warnings

from evalnas._program import ProgramError, program

# The lines' version that is understood here.
SCHEMA = 1

# The columns of each frame and what they hold: i integers, f floats, b truth values, t times, d
# texts and objects. They are there also where no line has one, so that code need not ask.
COLUMNS = {
    "results": {
        "source": "d", "cell": "i", "job": "d", "group": "d", "kind": "d", "policy": "d", "space": "d", "objective": "d",
        "budget": "i", "budget_seconds": "f", "data": "d", "by": "d", "oracle": "b", "reduced": "d",
        "seed": "i", "found_seed": "i", "state": "d", "held": "b", "attempt": "i", "error": "d", "hash": "d", "architecture": "d",
        "value": "f", "evaluations": "i", "simulated": "f", "valid": "f", "test": "f", "rank": "i", "ties": "i", "percentile": "f",
        "params": "i", "flops": "i", "numerics": "i", "version": "d", "host": "d", "device": "d", "started": "t", "ended": "t", "spent": "f", "config": "d",
    },
    "traces": {"job": "d", "group": "d", "seed": "i", "evaluations": "i", "seconds": "f", "value": "f", "epochs": "i", "arch": "d"},
    "events": {"job": "d", "group": "d", "seed": "i", "time": "t", "attempt": "i", "event": "d", "data": "d"},
    "rankings": {
        "cell": "i", "search": "d", "policy": "d", "space": "d", "pool": "d", "truth": "d", "seed": "i", "state": "d", "error": "d",
        "epoch": "i", "steps": "i", "images": "i", "architectures": "i", "tau": "f", "p": "f", "spearman": "f", "sparse_tau": "f",
        "top5_percentile": "f", "best_shared_accuracy": "f",
    },
    "problems": {"where": "d", "problem": "d"},
}


class LoadError(ValueError):
    """There is no study or notebook, or one that this version cannot read."""


class LoadWarning(UserWarning):
    """Some of it could not be read; Frames.problems says what."""


class Frames:
    """What load(...) gives: results, traces, events, rankings and problems, each a data frame, and
    source, a dict that says what was read."""

    def __init__(self, source, frames):
        self.source = source
        self.results, self.traces, self.events = frames["results"], frames["traces"], frames["events"]
        self.rankings, self.problems = frames["rankings"], frames["problems"]

    def __repr__(self):
        sizes = ", ".join(f"{name} {len(getattr(self, name))}" for name in COLUMNS)
        return f"<evalnas {self.source['kind']} {self.source['path']}: {sizes}>"


def load(path):
    """Read a study's folder or an executed notebook into pandas data frames.

        frames = evalnas.load(".evalnas")
        frames.results[["group", "seed", "state", "value"]]
        frames.results.groupby("policy").value.describe()

    results   a row for each job of a study; of a notebook for each seed of each group of
              compare(...), each run of a search and of a training (column "source")
    traces    the incumbents of each search of a study, in their order
    events    what happened to each job of a study
    rankings  each ranking by shared weights, held against training alone
    problems  what is there and could not be read; a warning says that there are some

    A job that failed, waits or runs has a row with its state, and its error. Nothing is started or
    changed. LoadError says that there is nothing to read, or that a newer version wrote it.
    """
    pandas = needed_pandas()
    source, lines = read(os.path.expanduser(os.fspath(path)))
    frames = {name: frame(pandas, lines[name], columns) for name, columns in COLUMNS.items()}
    if lines["problems"]:
        first = lines["problems"][0]
        more = f" (and {len(lines['problems']) - 1} more)" if len(lines["problems"]) > 1 else ""
        warnings.warn(f"{path}: not all could be read: {first['where']}: {first['problem']}{more}; see .problems of what load gave", LoadWarning, stacklevel=2)
    return Frames(source, frames)


def needed_pandas():
    try:
        import pandas
    except ImportError as missing:
        raise ImportError("evalnas.load gives pandas data frames, and pandas cannot be imported here: pip install pandas (or evalnas[pandas])") from missing
    return pandas


def read(path):
    """Asks the program; returns what it read and the lines of each table."""
    try:
        run = subprocess.run([program(), "results", "--", path], stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
    except OSError as fault:
        raise ProgramError(f"{program()} cannot be run: {fault}") from fault
    if run.returncode:
        raise LoadError(run.stderr.strip().removeprefix("evalnas: ") or f"evalnas results {path} ended with status {run.returncode} and said nothing")
    source, lines = None, {name: [] for name in COLUMNS}
    for text in filter(None, run.stdout.split("\n")):  # splitlines would split within texts too
        line = json.loads(text)
        table = line.pop("table")
        if table == "source":
            source = line
            if source["schema"] != SCHEMA:
                raise LoadError(f"{program()} writes schema {source['schema']} and this package reads {SCHEMA}: install the package and the program of one version")
        elif table in lines:
            lines[table].append(line)
        else:
            lines["problems"].append({"where": path, "problem": f"lines of the table {table!r} are not known to this package: install the one of the program's version"})
    return source, lines


def frame(pandas, lines, columns):
    """A data frame with these columns and, behind them, whatever else the lines hold."""
    names = [*columns, *dict.fromkeys(name for line in lines for name in line if name not in columns)]
    made = {}
    for name in names:
        values = [line.get(name) for line in lines]
        holds = columns.get(name, "d")
        if holds == "i":  # nullable: a missing rank must not make floats of the others
            made[name] = pandas.array(values, dtype="Int64")
        elif holds == "b":
            made[name] = pandas.array(values, dtype="boolean")
        elif holds == "f":
            made[name] = pandas.array([float("nan") if v is None else v for v in values], dtype="float64")
        elif holds == "t":
            made[name] = pandas.to_datetime(pandas.Series(values, dtype="object"), utc=True, format="ISO8601")
        else:
            made[name] = pandas.Series(values, dtype="object")
    return pandas.DataFrame(made, columns=names)
