#!/usr/bin/env python3
"""Peer of the NASBench-101 benchmarks: hashing, look-up and enumeration in Python.

With NASBENCH_REF set to a copy of google-research/nasbench its own ModelSpec
and graph_util run; otherwise a twin of them, written from the description of
the algorithm and, like the reference, with NumPy matrices and hashlib. Either
one is checked on the hash vectors before it answers.

One process answers requests, JSON lines on standard input and output, and
times the work itself, so that neither start-up nor the pipe is counted:

  {"do": "hello", "vectors": FILE}  -> {"kind": "reference"|"twin", "python": ...}
  {"do": "cells", "file": FILE}     -> {"n": ...}      one {"matrix", "ops"} a line
  {"do": "table", "file": FILE}     -> {"n": ...}      one "hash value" a line
  {"do": "hash"}                    -> {"seconds": ..., "answers": [...]}
  {"do": "lookup"}                  -> {"seconds": ..., "answers": [...]}
  {"do": "enumerate", "vertices": V} -> {"seconds": ..., "unique": ...}
  {"do": "evolve", "evaluations": N, "seed": S} -> {"seconds": ..., "best": ...}

"hash" and "lookup" go through the cells that were given last; "lookup" and
"evolve" ask the table.
"""
import hashlib
import itertools
import json
import os
import platform
import random
import sys
import time

import numpy as np

OPS = ["conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"]
MAX_EDGES = 9


class Twin:
    """What the benchmarks need of the reference."""

    kind = "twin"

    class ModelSpec:
        def __init__(self, matrix, ops):
            if not isinstance(matrix, np.ndarray):
                matrix = np.array(matrix)
            rows = np.shape(matrix)
            if len(rows) != 2 or rows[0] != rows[1]:
                raise ValueError("matrix must be square")
            if len(ops) != rows[0]:
                raise ValueError("one operation per vertex is needed")
            for below in range(rows[0]):
                for column in range(below + 1):
                    if matrix[below, column] != 0:
                        raise ValueError("matrix must be upper triangular")
            self.matrix = matrix.copy()
            self.ops = list(ops)
            self.valid_spec = self.prune()

        def prune(self):
            n = np.shape(self.matrix)[0]
            from_input = self.reach(0, lambda v: self.matrix[v, :])
            to_output = self.reach(n - 1, lambda v: self.matrix[:, v])
            dead = set(range(n)) - (from_input & to_output)
            if len(dead) > n - 2:
                self.matrix, self.ops = None, None
                return False
            self.matrix = np.delete(self.matrix, list(dead), axis=0)
            self.matrix = np.delete(self.matrix, list(dead), axis=1)
            for v in sorted(dead, reverse=True):
                del self.ops[v]
            return True

        def reach(self, start, edges):
            found, frontier = {start}, [start]
            while frontier:
                row = edges(frontier.pop())
                for v in range(len(row)):
                    if row[v] and v not in found:
                        found.add(v)
                        frontier.append(v)
            return found

        def hash_spec(self, canonical_ops):
            labels = [-1] + [canonical_ops.index(op) for op in self.ops[1:-1]] + [-2]
            return Twin.hash_module(self.matrix, labels)

    @staticmethod
    def edge_function(bits):
        def is_edge(x, y):
            return 1 if x < y and (bits >> (x + y * (y - 1) // 2)) % 2 == 1 else 0
        return np.vectorize(is_edge)

    @staticmethod
    def is_full_dag(matrix):
        rows = np.any(matrix[:-1, :], axis=1)
        columns = np.any(matrix[:, 1:], axis=0)
        return bool(np.all(rows) and np.all(columns))

    @staticmethod
    def num_edges(matrix):
        return int(np.sum(matrix))

    @staticmethod
    def hash_module(matrix, labels):
        n = np.shape(matrix)[0]
        indegree = np.sum(matrix, axis=0).tolist()
        outdegree = np.sum(matrix, axis=1).tolist()
        hashes = [md5(str(start)) for start in zip(outdegree, indegree, labels)]
        for _ in range(n):
            following = []
            for v in range(n):
                before = [hashes[u] for u in range(n) if matrix[u, v]]
                behind = [hashes[u] for u in range(n) if matrix[v, u]]
                following.append(md5("".join(sorted(before)) + "|" + "".join(sorted(behind)) + "|" + hashes[v]))
            hashes = following
        return md5(str(sorted(hashes)))


def md5(text):
    return hashlib.md5(text.encode("utf-8")).hexdigest()


def reference(folder):
    sys.path.insert(0, folder)
    from nasbench.lib import graph_util, model_spec

    class Reference:
        kind = "reference"
        ModelSpec = model_spec.ModelSpec
        edge_function = staticmethod(graph_util.gen_is_edge_fn)
        is_full_dag = staticmethod(graph_util.is_full_dag)
        num_edges = staticmethod(graph_util.num_edges)
        hash_module = staticmethod(graph_util.hash_module)

    return Reference


class Server:
    def __init__(self, impl):
        self.impl, self.cells, self.table = impl, [], {}

    def hello(self, vectors):
        with open(vectors) as f:
            for v in json.load(f)["vectors"]:
                try:
                    spec = self.impl.ModelSpec(matrix=v["matrix"], ops=v["ops"])
                    got = spec.hash_spec(OPS) if spec.valid_spec else None
                except ValueError:
                    got = None
                if got != v["hash"]:
                    raise SystemExit("vector %s: hash %s, want %s" % (v["name"], got, v["hash"]))
        return {"kind": self.impl.kind, "python": platform.python_version(), "numpy": np.__version__}

    def load_cells(self, file):
        with open(file) as f:
            self.cells = [json.loads(line) for line in f]
        return {"n": len(self.cells)}

    def load_table(self, file):
        with open(file) as f:
            self.table = {h: float(value) for h, value in (line.split() for line in f)}
        return {"n": len(self.table)}

    def hash(self):
        cells, hashes = self.cells, []
        start = time.perf_counter()
        for c in cells:
            hashes.append(self.impl.ModelSpec(matrix=c["matrix"], ops=c["ops"]).hash_spec(OPS))
        return {"seconds": time.perf_counter() - start, "answers": hashes}

    def lookup(self):
        cells, table, values = self.cells, self.table, []
        start = time.perf_counter()
        for c in cells:
            values.append(table[self.impl.ModelSpec(matrix=c["matrix"], ops=c["ops"]).hash_spec(OPS)])
        return {"seconds": time.perf_counter() - start, "answers": values}

    def enumerate(self, vertices):
        impl, found = self.impl, {}
        start = time.perf_counter()
        for n in range(2, vertices + 1):
            for bits in range(2 ** (n * (n - 1) // 2)):
                matrix = np.fromfunction(impl.edge_function(bits), (n, n), dtype=np.int8)
                if not impl.is_full_dag(matrix) or impl.num_edges(matrix) > MAX_EDGES:
                    continue
                for ops in itertools.product(range(len(OPS)), repeat=n - 2):
                    labels = [-1] + list(ops) + [-2]
                    h = impl.hash_module(matrix, labels)
                    if h not in found:
                        found[h] = (matrix.tolist(), labels)
        return {"seconds": time.perf_counter() - start, "unique": len(found)}

    def evolve(self, evaluations, seed, population=50, tournament=10):
        """Regularised evolution on matrices of seven vertices, as the data set's paper has it."""
        model, table, draw, n = self.impl.ModelSpec, self.table, random.Random(seed), 7

        def hash_if_valid(matrix, ops):
            spec = model(matrix=matrix, ops=ops)
            if spec.valid_spec and int(np.sum(spec.matrix)) <= MAX_EDGES:
                return spec.hash_spec(OPS)
            return None

        def fresh():
            matrix = np.zeros((n, n), dtype=int)
            for x in range(n):
                for y in range(x + 1, n):
                    matrix[x, y] = draw.randrange(2)
            return matrix, ["input"] + [draw.choice(OPS) for _ in range(n - 2)] + ["output"]

        def mutated(parent):
            matrix, ops = parent[0].copy(), list(parent[1])
            for x in range(n):
                for y in range(x + 1, n):
                    if draw.random() < 1 / n:
                        matrix[x, y] = 1 - matrix[x, y]
            for v in range(1, n - 1):
                if draw.random() < 1 / (n - 2):
                    ops[v] = draw.choice([op for op in OPS if op != ops[v]])
            return matrix, ops

        alive, best = [], 0.0
        start = time.perf_counter()
        for i in range(evaluations):
            if i >= population:
                parent = max(draw.sample(alive, tournament), key=lambda member: member[0])[1]
            found = None
            while found is None:
                child = fresh() if i < population else mutated(parent)
                found = hash_if_valid(*child)
            value = table[found]
            best = max(best, value)
            alive.append((value, child))
            if len(alive) > population:
                alive.pop(0)
        return {"seconds": time.perf_counter() - start, "best": best}

    def answer(self, request):
        do = request.pop("do")
        handlers = {"hello": self.hello, "cells": self.load_cells, "table": self.load_table,
                    "hash": self.hash, "lookup": self.lookup, "enumerate": self.enumerate, "evolve": self.evolve}
        return handlers[do](**request)


def main():
    folder = os.environ.get("NASBENCH_REF")
    server = Server(reference(folder) if folder else Twin)
    for line in sys.stdin:
        print(json.dumps(server.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
