#!/usr/bin/env python3
"""Peer of the supernet benchmarks: the paths of a supernet of NASBench-101 in PyTorch.

    torch_paths.py WORK --given FOLDER [--threads N] [--channels-last]

    spos-step    a training step of each cell in turn: SGD with momentum 0.9, decay 3e-4
                 and the gradient clipped to a norm of 5
    rank-pool    each cell's logits, without gradients

FOLDER has weights.safetensors, the supernet's; batch.safetensors with images and labels;
cells.json, a list of {"matrix", "ops"}. Says {"ready": true, "losses": [...]}, the losses of
the first cells before any step; then, for each line "step", {"seconds": ...} of all cells,
and after "end" {"rss_mb": ..., "steps": ...}.

Only the part of a weight that a path uses is computed with. Batch norms normalise by the
batch always. Gradients are set to zero, not dropped, between steps, as PyTorch 1.2 did, so
weights that a path does not use go on by momentum and decay.
"""
import argparse
import json
import pathlib
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import networks  # noqa: E402
from torch_nas import peak_mb, say  # noqa: E402

LOSSES = 8


def read_tensors(path):
    """A safetensors file of float32 and int64."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header.pop("__metadata__", None)
    kinds = {"F32": torch.float32, "I64": torch.int64}
    return {
        name: torch.frombuffer(bytearray(data[end + t["data_offsets"][0]:end + t["data_offsets"][1]]), dtype=kinds[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()
    }


class Paths:
    """The supernet; a cell is given with the images."""

    def __init__(self, weights):
        self.weights = {name: w.requires_grad_() for name, w in weights.items()}
        self.modules = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("cells."))
        self.join = max(int(name.split(".")[3]) for name in weights if name.startswith("cells.0.projections."))

    def block(self, x, name, inputs, outputs):
        """The corner of a convolution, its batch norm and ReLU."""
        w = self.weights
        weight = w[name + ".0.weight"][:outputs, :inputs]
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        return F.relu(F.batch_norm(x, None, None, w[name + ".1.weight"][:outputs], w[name + ".1.bias"][:outputs], training=True, eps=1e-5))

    def module(self, x, name, matrix, ops):
        inputs, last = x.shape[1], len(ops) - 1
        whole = self.weights[name + ".projections.1.0.weight"].shape[0]
        widths = networks.vertex_widths(matrix, inputs, whole)
        values = {}
        for v in range(1, last):
            parts = [values[u][:, :widths[v]] for u in range(1, v) if matrix[u][v]]
            if matrix[0][v]:
                parts.append(self.block(x, f"{name}.projections.{v}", inputs, widths[v]))
            entered = sum(parts[1:], parts[0])
            if ops[v] == "maxpool3x3":
                values[v] = F.max_pool2d(entered, 3, 1, 1)
            else:
                values[v] = self.block(entered, f"{name}.vertices.{v}.{ops[v][:7]}", widths[v], widths[v])
        feeding = [values[v] for v in range(1, last) if matrix[v][last]]
        parts = [torch.cat(feeding, 1)] if feeding else []
        if matrix[0][last]:
            parts.append(self.block(x, f"{name}.projections.{self.join}", inputs, whole))
        return sum(parts[1:], parts[0])

    def logits(self, x, cell):
        x = self.block(x, "stem", 3, self.weights["stem.0.weight"].shape[0])
        for i in range(self.modules):
            if i > 0 and i % (self.modules // 3) == 0:
                x = F.max_pool2d(x, 2)
            x = self.module(x, f"cells.{i}", cell["matrix"], cell["ops"])
        return F.linear(x.mean((2, 3)), self.weights["classifier.weight"], self.weights["classifier.bias"])


class Work:
    def __init__(self, o):
        torch.set_num_threads(o.threads)
        folder = pathlib.Path(o.given)
        weights, batch = read_tensors(folder / "weights.safetensors"), read_tensors(folder / "batch.safetensors")
        self.cells = json.loads((folder / "cells.json").read_text())
        self.x, self.y, self.trains = batch["images"], batch["labels"], o.work == "spos-step"
        if o.channels_last:
            self.x = self.x.contiguous(memory_format=torch.channels_last)
            weights = {n: w.contiguous(memory_format=torch.channels_last) if w.dim() == 4 else w for n, w in weights.items()}
        self.net = Paths(weights)
        self.parameters = list(self.net.weights.values())
        self.optimiser = torch.optim.SGD(self.parameters, 0.025, momentum=0.9, weight_decay=3e-4)

    def loss(self, cell):
        return F.cross_entropy(self.net.logits(self.x, cell), self.y)

    def losses(self):
        with torch.no_grad():
            return [self.loss(cell).item() for cell in self.cells[:LOSSES]]

    def step(self):
        """Seconds that all cells took."""
        began = time.perf_counter()
        for cell in self.cells:
            if not self.trains:
                with torch.no_grad():
                    self.loss(cell).item()
                continue
            self.optimiser.zero_grad(set_to_none=False)
            self.loss(cell).backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 5)
            self.optimiser.step()
        return time.perf_counter() - began


def main():
    p = argparse.ArgumentParser(description="Times PyTorch on the paths of a supernet.")
    p.add_argument("work", choices=["spos-step", "rank-pool"])
    p.add_argument("--given", required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--channels-last", action="store_true")
    work = Work(p.parse_args())
    losses = work.losses()
    if work.trains:
        work.step()
    say(ready=True, losses=losses, params=sum(w.numel() for w in work.parameters), torch=torch.__version__)
    steps = 0
    for line in sys.stdin:
        if line.strip() != "step":
            break
        say(seconds=work.step())
        steps += 1
    say(rss_mb=peak_mb(), steps=steps)


if __name__ == "__main__":
    main()
