"""Works out nasapi/net/testdata/{derived,nasbench}_steps.json: twenty steps of training.

    python3 tests/torch/steps.py GENOTYPES.json

Weights, images and labels come from a generator of integers that is described in
nasapi/net/testdata/README.md, so the files hold results alone. Each network trains in
float32 and once more in float64 from the same float32 weights and images.
"""
import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import networks

SEED = 1268
STEPS, BATCH, SIDE, CLASSES = 20, 8, 32, 10
AUXILIARY_WEIGHT = 0.4
OUT = pathlib.Path(__file__).resolve().parents[2] / "nasapi" / "net" / "testdata"
MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def name_hash(name):
    """FNV-1a of 64 bits."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def words(name, first, count):
    """The first.. numbers of the stream of a name: SplitMix64."""
    state = np.uint64((SEED + name_hash(name)) & MASK)
    with np.errstate(over="ignore"):
        z = state + (np.arange(first, first + count, dtype=np.uint64) + np.uint64(1)) * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def symmetric(name, first, count):
    """Uniform in [-1, 1), exact in float64."""
    return (words(name, first, count) >> np.uint64(11)).astype(np.float64) * 2.0 ** -52 - 1


def parameter(name, tensor):
    """Convolutions and linear layers within 1/sqrt(fan-in); norms' scales 3/4 to 5/4, shifts and biases within 1/8."""
    u = symmetric(name, 0, tensor.numel())
    if tensor.dim() > 1:
        u = u * (1 / math.sqrt(tensor[0].numel()))
    elif name.endswith("weight"):
        u = 1 + 0.25 * u
    else:
        u = 0.125 * u
    return torch.from_numpy(u.astype(np.float32).reshape(tensor.shape))


def batch(step):
    labels = [int(w >> np.uint64(32)) * CLASSES >> 32 for w in words("labels", step * BATCH, BATCH)]
    size = SIDE * SIDE * 3
    noise = symmetric("images", step * BATCH * size, BATCH * size).reshape(BATCH, size)
    patterns = np.stack([symmetric(f"class {k}", 0, size) for k in labels])
    images = (noise + patterns).astype(np.float32).reshape(BATCH, SIDE, SIDE, 3)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


class RMSPropTF:
    """TensorFlow's: the mean square begins at 1, and eps is under the root. L2 is in the gradient."""

    def __init__(self, parameters, l2):
        self.slots = [(p, torch.ones_like(p), torch.zeros_like(p)) for p in parameters]
        self.l2 = l2

    @torch.no_grad()
    def step(self, rate):
        for p, square, moment in self.slots:
            g = p.grad + self.l2 * p
            square.mul_(0.9).add_(0.1 * g * g)
            moment.mul_(0.9).add_(rate * g / (square + 1.0).sqrt())
            p.sub_(moment)


class SGD:
    def __init__(self, parameters):
        self.parameters = list(parameters)
        self.inner = torch.optim.SGD(self.parameters, 0.0, momentum=0.9, weight_decay=3e-4)

    def step(self, rate):
        nn.utils.clip_grad_norm_(self.parameters, 5)
        self.inner.param_groups[0]["lr"] = rate
        self.inner.step()


def run(make, optimiser, rates, watched, dtype):
    network = make().train()
    for name, p in network.named_parameters():
        p.data = parameter(name, p).to(dtype)
    network = network.to(dtype)
    opt = optimiser(list(network.parameters()))
    made = {"losses": [], "auxiliary_losses": [], "gradient_norms": []}
    for step, rate in enumerate(rates):
        x, y = batch(step)
        network.zero_grad()
        logits = network(x.to(dtype))
        main, auxiliary = logits if isinstance(logits, tuple) else (logits, None)
        loss = F.cross_entropy(main, y)
        made["losses"].append(loss.item())
        if auxiliary is not None:
            also = F.cross_entropy(auxiliary, y)
            made["auxiliary_losses"].append(also.item())
            loss = loss + AUXILIARY_WEIGHT * also
        if step == 0:
            made["first_logits"] = main.detach().tolist()
            if auxiliary is not None:
                made["first_auxiliary_logits"] = auxiliary.detach().tolist()
        loss.backward()
        squares = sum((p.grad.double() ** 2).sum() for p in network.parameters())
        made["gradient_norms"].append(squares.sqrt().item())
        opt.step(rate)
    state = network.state_dict()
    made["sums_after"] = {k: state[k].double().sum().item() for k in watched}
    made["absolute_sums_after"] = {k: state[k].double().abs().sum().item() for k in watched}
    if not made["auxiliary_losses"]:
        del made["auxiliary_losses"]
    return made


def drift(a, b):
    return [abs(x - y) / abs(y) for x, y in zip(a, b)]


def write(name, what, make, optimiser, rates, watched):
    made = {"torch": torch.__version__, "seed": SEED, "batch": BATCH, **what, "rates": rates}
    made["parameters"] = [[k, list(p.shape)] for k, p in make().named_parameters()]
    made["float32"] = run(make, optimiser, rates, watched, torch.float32)
    made["float64"] = run(make, optimiser, rates, watched, torch.float64)
    made["drift"] = drift(made["float32"]["losses"], made["float64"]["losses"])
    text = json.dumps(made, separators=(",", ":"))
    for key in ("float32", "float64", "parameters", "rates", "drift"):
        text = text.replace(f'"{key}":', f'\n"{key}":')
    (OUT / f"{name}.json").write_text(text + "\n")
    first = next((i for i, d in enumerate(made["drift"]) if d > 1e-3), None)
    print(f"{name}: losses {made['float32']['losses'][0]:.4f} to {made['float32']['losses'][-1]:.4f}; float32 leaves float64 "
          f"by at most {max(made['drift']):.1e}, by more than 1e-3 first at step {first}")
    return made


DERIVED_WATCHED = [
    "stem.0.weight", "stem.1.running_mean", "stem.1.running_var", "cells.0.preprocess0.op.1.weight",
    "cells.2.preprocess1.op.2.weight", "cells.4.preprocess0.op.1.weight", "auxiliary_head.features.2.weight",
    "auxiliary_head.classifier.bias", "classifier.weight", "classifier.bias",
]
NASBENCH_WATCHED = [
    "stem.0.weight", "stem.1.running_mean", "stem.1.running_var", "cells.0.projections.1.0.weight",
    "cells.1.vertices.2.0.weight", "cells.2.vertices.4.1.weight", "classifier.weight", "classifier.bias",
]


def derived(genotypes, name, file, rates):
    genotype = genotypes[name]
    what = {"genotype": name, "channels": 8, "cells": 8, "auxiliary_weight": AUXILIARY_WEIGHT, "momentum": 0.9,
            "decay": 3e-4, "clip": 5}
    return write(file, what, lambda: networks.Derived(genotype, 8, 8, CLASSES, auxiliary=True), SGD, rates, DERIVED_WATCHED)


def nasbench(file, rates):
    what = {"cell": networks.INCEPTION, "channels": 16, "modules": 1, "norm_momentum": 0.003, "momentum": 0.9,
            "alpha": 0.9, "eps": 1.0, "mean_square": 1.0, "l2": 1e-4}
    return write(file, what, lambda: networks.NASBench(**networks.INCEPTION, channels=16, modules=1), lambda p: RMSPropTF(p, 1e-4),
                 rates, NASBENCH_WATCHED)


def half_cosine(base):
    """The protocol's: from base to 0 over the steps, of which the first has a rate of 0."""
    return [0.0] + [base * (1 + math.cos(math.pi * t / STEPS)) / 2 for t in range(1, STEPS)]


def main():
    torch.set_num_threads(1)
    with open(sys.argv[1]) as f:
        genotypes = json.load(f)
    derived(genotypes, "darts_1269", "derived_steps", [0.025] * STEPS)
    nasbench("nasbench_steps", half_cosine(0.2))


if __name__ == "__main__":
    main()
