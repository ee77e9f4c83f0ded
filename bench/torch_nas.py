#!/usr/bin/env python3
"""Peer of the training benchmarks: one step of PyTorch on the engine's networks, timed.

    torch_nas.py WORK [--batch N] [--threads N] [--steps N] [--channels C] [--cells N]
                 [--genotype FILE --name NAME] [--channels-last] [--serve]

    darts-supernet   the search network of DARTS, a step of its weights (C=16, 8 cells)
    derived          a genotype's network, no auxiliary head (C=36, 20 cells, DARTS_V2)
    nasbench-path    one cell of NASBench-101: 3x3, 1x1 and 3x3 in a row beside a maximum (stem 16, 9 modules)

Prints one JSON line: work, batch, threads, channels_last, median and min seconds a step,
params (alphas left out), rss_mb (the process's peak), torch. With --serve the network stays
in memory instead: {"ready": true, "params": ...} when it has warmed up, then for each line
"step" {"seconds": ...}, and after "end" or the end of input {"rss_mb": ..., "steps": ...}.

The default layout and --channels-last differ much: compare with the faster of the two.
Images and labels are random; SGD with momentum 0.9 and decay 3e-4, in float32. The
gradients of the alphas are worked out too, as they are in the step of DARTS.
"""
import argparse
import json
import pathlib
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch"))
import networks  # noqa: E402

WARM_UP = 2

DARTS_V2 = {
    "normal": [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
               ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
               ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
    "reduce_concat": [2, 3, 4, 5],
}

PATH = {
    "matrix": [
        [0, 1, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0],
    ],
    "ops": ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"],
}


def parse():
    p = argparse.ArgumentParser(description="Times PyTorch's training step.")
    p.add_argument("work", choices=["darts-supernet", "derived", "nasbench-path"])
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--channels", type=int)
    p.add_argument("--cells", type=int, help="of a NASBench-101 network a multiple of 3")
    p.add_argument("--genotype", help="JSON of genotypes by name, for derived")
    p.add_argument("--name", default="DARTS_V2")
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--serve", action="store_true")
    o = p.parse_args()
    for field in ("batch", "threads", "steps", "channels", "cells"):
        if getattr(o, field) is not None and getattr(o, field) < 1:
            p.error(f"--{field} is {getattr(o, field)}; give at least 1")
    if o.work == "nasbench-path" and (o.cells or 3) % 3:
        p.error(f"--cells is {o.cells}; a NASBench-101 network has three stacks of equally many, so give a multiple of 3")
    if o.name != "DARTS_V2" and not o.genotype:
        p.error(f"--name {o.name} needs --genotype, the file that it stands in")
    return o


def genotype(o):
    if not o.genotype:
        return DARTS_V2
    with open(o.genotype) as f:
        known = json.load(f)
    if o.name not in known:
        sys.exit(f"{o.genotype} has no genotype {o.name!r}; it has {', '.join(sorted(known))}")
    return known[o.name]


def network(o):
    if o.work == "darts-supernet":
        return networks.Search(o.channels or 16, o.cells or 8)
    if o.work == "derived":
        return networks.Derived(genotype(o), o.channels or 36, o.cells or 20)
    return networks.NASBench(**PATH, channels=o.channels or 16, modules=(o.cells or 9) // 3)


class Trainer:
    def __init__(self, o):
        torch.manual_seed(0)
        torch.set_num_threads(o.threads)
        self.net = network(o).train()
        self.x = torch.randn(o.batch, 3, 32, 32)
        if o.channels_last:
            self.net = self.net.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.y = torch.randint(0, 10, (o.batch,))
        self.params = sum(p.numel() for p in self.net.parameters())
        self.optimiser = torch.optim.SGD(self.net.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)

    def step(self):
        """Seconds that one step took."""
        began = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        for alphas in getattr(self.net, "alphas", ()):
            alphas.grad = None
        F.cross_entropy(self.net(self.x), self.y).backward()
        self.optimiser.step()
        return time.perf_counter() - began


def peak_mb():
    """The process's peak; Linux counts kilobytes, macOS bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)


def say(**fields):
    print(json.dumps(fields), flush=True)


def serve(trainer, **about):
    say(ready=True, params=trainer.params, torch=torch.__version__, **about)
    steps = 0
    for line in sys.stdin:
        word = line.strip()
        if word == "end":
            break
        if word != "step":
            say(error=f"no request is {word!r}; send step or end")
            continue
        say(seconds=trainer.step())
        steps += 1
    say(rss_mb=peak_mb(), steps=steps)


def main():
    o = parse()
    trainer = Trainer(o)
    for _ in range(WARM_UP):
        trainer.step()
    if o.serve:
        return serve(trainer)
    times = [trainer.step() for _ in range(o.steps)]
    say(work=o.work, batch=o.batch, threads=o.threads, channels_last=o.channels_last,
        median=round(statistics.median(times), 4), min=round(min(times), 4), params=trainer.params,
        rss_mb=peak_mb(), torch=torch.__version__)


if __name__ == "__main__":
    main()
