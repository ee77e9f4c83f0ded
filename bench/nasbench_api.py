#!/usr/bin/env python3
"""Peer of the benchmarks of NASBench-101's own file: what its API does with it in Python.

With NASBENCH_REF set to a copy of google-research/nasbench, and TensorFlow installed, its
own API loads the file; otherwise a twin of it without TensorFlow does the same work for
each record, from the description of the format: framing, JSON, the matrix as a NumPy array,
base64, the metrics (by google.protobuf if that is here, else by struct), dictionaries of
fixed and of computed statistics. TensorFlow checks every checksum; the twin does so only
where google_crc32c is here, and is the faster for it elsewhere.

One process answers requests, JSON lines on standard input and output:

  {"do": "load", "file": FILE} -> {"kind", "how", "seconds", "records", "cells", "right", "megabytes"}
  {"do": "by_hash", "n": N}    -> {"seconds": ..., "n": ...}

"right" is the number of test images right at the end, summed over all records: both sides
must have read the same. "by_hash" looks N cells up, as get_metrics_from_hash does.
"""
import base64
import contextlib
import copy
import io
import itertools
import json
import os
import struct
import sys
import time
import types

import numpy as np

IMAGES = 9984


class Twin:
    kind = "twin"

    def __init__(self, file):
        self.fixed, self.computed = {}, {}
        parse, protobuf = metrics_parser()
        checksum = castagnoli()
        self.how = "%s, %s" % (protobuf, "google_crc32c" if checksum else "no checksums")
        with open(file, "rb") as f:
            for payload in records(f, checksum):
                self.add(payload, parse)

    def add(self, payload, parse):
        module, epochs, digits, operations, metrics = json.loads(payload.decode("utf-8"))
        side = int(np.sqrt(len(digits)))
        matrix = np.array([int(d) for d in list(digits)], dtype=np.int8).reshape((side, side))
        operations = operations.split(",")
        params, halfway, final = parse(base64.b64decode(metrics))
        if module not in self.fixed:
            self.fixed[module] = {"module_adjacency": matrix, "module_operations": operations, "trainable_parameters": params}
            self.computed[module] = {}
        by_epochs = self.computed[module]
        if epochs not in by_epochs:
            by_epochs[epochs] = []
        numbers = {}
        for name, values in (("halfway", halfway), ("final", final)):
            for part, value in zip(("training_time", "train_accuracy", "validation_accuracy", "test_accuracy"), values):
                numbers[name + "_" + part] = value
        by_epochs[epochs].append(numbers)

    def hashes(self):
        return self.fixed.keys()

    def of_hash(self, module):
        return copy.deepcopy(self.fixed[module]), copy.deepcopy(self.computed[module])


def records(f, checksum):
    """The payloads of a TFRecord file."""
    head = struct.Struct("<QI")
    while True:
        start = f.read(head.size)
        if not start:
            return
        length, masked = head.unpack(start)
        payload, tail = f.read(length), f.read(4)
        if checksum and (checksum(start[:8]) != masked or checksum(payload) != int.from_bytes(tail, "little")):
            raise SystemExit("a checksum is wrong")
        yield payload


def castagnoli():
    try:
        import google_crc32c
    except ImportError:
        return None

    def masked(data):
        c = google_crc32c.value(data)
        return ((c >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF

    return masked


def metrics_parser():
    """A function from a ModelMetrics message to parameters and the halfway and final values."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        return by_struct, "struct"
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="twin", syntax="proto2")
    evaluation = file.message_type.add(name="EvaluationData")
    fields = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
    for number, name in enumerate(fields, 1):
        evaluation.field.add(name=name, number=number, type=1, label=1)
    metrics = file.message_type.add(name="ModelMetrics")
    metrics.field.add(name="evaluation_data", number=1, type=11, label=3, type_name=".twin.EvaluationData")
    metrics.field.add(name="trainable_parameters", number=2, type=5, label=1)
    metrics.field.add(name="total_time", number=3, type=1, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("twin.ModelMetrics"))

    def parse(data):
        m = message.FromString(data)
        _, halfway, final = m.evaluation_data
        return m.trainable_parameters, values_of(halfway), values_of(final)

    def values_of(e):
        return e.training_time, e.train_accuracy, e.validation_accuracy, e.test_accuracy

    from google.protobuf.internal import api_implementation

    return parse, "protobuf (%s)" % api_implementation.Type()


EVALUATION = struct.Struct("<BB" + "Bd" * 5)


def by_struct(data):
    """For messages in which every field is set and in order, as the data set's are."""
    halfway, final = EVALUATION.unpack_from(data, EVALUATION.size), EVALUATION.unpack_from(data, 2 * EVALUATION.size)
    params, shift, at = 0, 0, 3 * EVALUATION.size + 1
    while True:
        params |= (data[at] & 127) << shift
        if data[at] < 128:
            return params, halfway[5::2], final[5::2]
        shift, at = shift + 7, at + 1


def reference(folder):
    """The API itself. What it needs of TensorFlow 1 is put in its place first; the module that
    trains networks is not needed."""
    sys.path.insert(0, folder)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.python_io = types.SimpleNamespace(tf_record_iterator=tf.compat.v1.io.tf_record_iterator)
    tf.gfile = tf.compat.v1.gfile
    import nasbench.lib

    sys.modules["nasbench.lib.evaluate"] = nasbench.lib.evaluate = types.ModuleType("nasbench.lib.evaluate")
    from absl import flags
    from nasbench import api

    flags.FLAGS(["bench"])

    class Reference:
        kind, how = "reference", "TensorFlow " + tf.__version__

        def __init__(self, file):
            with contextlib.redirect_stdout(io.StringIO()):
                self.api = api.NASBench(file, seed=0)
            self.computed = self.api.computed_statistics

        def hashes(self):
            return self.api.hash_iterator()

        def of_hash(self, module):
            return self.api.get_metrics_from_hash(module)

    return Reference


def megabytes():
    try:
        with open("/proc/self/status") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM"))
    except OSError:
        return 0


class Server:
    def __init__(self):
        folder = os.environ.get("NASBENCH_REF")
        try:
            self.load_api = reference(folder) if folder else Twin
        except ImportError as e:
            print("NASBENCH_REF is set, but the reference does not start (%s): the twin runs" % e, file=sys.stderr)
            self.load_api = Twin
        self.api = None

    def load(self, file):
        start = time.perf_counter()
        self.api = self.load_api(file)
        seconds = time.perf_counter() - start
        counts = [(len(runs), sum(round(IMAGES * run["final_test_accuracy"]) for run in runs))
                  for by_epochs in self.api.computed.values() for runs in by_epochs.values()]
        return {"kind": self.api.kind, "how": self.api.how, "seconds": seconds, "cells": len(self.api.computed),
                "records": sum(n for n, _ in counts), "right": sum(right for _, right in counts), "megabytes": megabytes()}

    def by_hash(self, n):
        hashes = list(itertools.islice(itertools.cycle(self.api.hashes()), n))
        start = time.perf_counter()
        for h in hashes:
            self.api.of_hash(h)
        return {"seconds": time.perf_counter() - start, "n": len(hashes)}


def main():
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        handler = {"load": server.load, "by_hash": server.by_hash}[request.pop("do")]
        print(json.dumps(handler(**request)), flush=True)


if __name__ == "__main__":
    main()
