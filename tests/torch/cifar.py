"""Trains the twin of a small network on real CIFAR-10: what `evalnas train` is held to.

    python3 tests/torch/cifar.py SET GENOTYPES.json [--name darts_1268] [--seeds 0 1 2 3 4]
            [--epochs 3] [--channels 8] [--cells 5] [--threads 2]

SET is the file of images that `evalnas data list` names. The protocol is DARTS's for
training from scratch (SGD 0.025 by a half cosine over epochs, momentum 0.9, decay 3e-4,
clip 5, batch 96, auxiliary head 0.4, drop path up to 0.2, cutout 16) on 45,000 images;
draws are PyTorch's and NumPy's own. One JSON line an epoch and one a seed.
"""
import argparse
import json
import struct
import time

import numpy as np
import torch
import torch.nn.functional as F

import networks

MEAN = np.float32([0.49139968, 0.48215827, 0.44653124])
STD = np.float32([0.24703233, 0.24348505, 0.26158768])
BATCH, RATE, MOMENTUM, DECAY, CLIP, AUXILIARY, DROP = 96, 0.025, 0.9, 3e-4, 5.0, 0.4, 0.2
HELD_BACK, PAD, CUTOUT = 5000, 4, 16


def read_set(path):
    """Labels and pixels (NHWC bytes) of a set's file, and the number of training images."""
    with open(path, "rb") as f:
        text = f.read()
    if text[:16] != b"evalnas-images 1":
        raise SystemExit(f"{path} is not a file of images of this format")
    (length,) = struct.unpack_from("<I", text, 16)
    head = json.loads(text[20:20 + length])
    n = head["train"] + head["test"]
    at = 20 + length + 32 + 32 * n
    labels = np.frombuffer(text, "<u2", n, at)
    pixels = np.frombuffer(text, np.uint8, n * 32 * 32 * 3, at + 2 * n).reshape(n, 32, 32, 3)
    return labels.astype(np.int64), pixels, head["train"]


def normal(pixels):
    x = (pixels.astype(np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def augment(pixels, draw):
    """Pad, crop, flip, normalise, cut out."""
    n = len(pixels)
    padded = np.zeros((n, 32 + 2 * PAD, 32 + 2 * PAD, 3), np.uint8)
    padded[:, PAD:-PAD, PAD:-PAD] = pixels
    out = np.empty_like(pixels)
    for i, (y, x, flip) in enumerate(zip(draw.integers(0, 2 * PAD + 1, n), draw.integers(0, 2 * PAD + 1, n), draw.random(n) < 0.5)):
        image = padded[i, y:y + 32, x:x + 32]
        out[i] = image[:, ::-1] if flip else image
    x = normal(out)
    for i, (y, c) in enumerate(draw.integers(0, 32, (n, 2))):
        half = CUTOUT // 2
        x[i, :, max(0, y - half):y + half, max(0, c - half):c + half] = 0
    return x


def accuracy(net, labels, pixels):
    net.eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(labels), 250):
            right += (net(normal(pixels[i:i + 250])).argmax(1).numpy() == labels[i:i + 250]).sum()
    net.train()
    return right / len(labels)


def train(o, genotype, seed, labels, pixels, count):
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    # The images that are held back are the same for every seed.
    order = np.random.default_rng(0).permutation(count)
    training, held = order[:-HELD_BACK], order[-HELD_BACK:]
    net = networks.Derived(genotype, o.channels, o.cells, auxiliary=True).train()
    optimiser = torch.optim.SGD(net.parameters(), RATE, momentum=MOMENTUM, weight_decay=DECAY)
    began = time.perf_counter()
    for epoch in range(o.epochs):
        rate = RATE * (1 + np.cos(np.pi * epoch / o.epochs)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate
        net.drop_path = DROP * epoch / o.epochs
        loss_sum = right = 0
        shuffled = draw.permutation(training)
        for i in range(0, len(shuffled), BATCH):
            batch = shuffled[i:i + BATCH]
            x, y = augment(pixels[batch], draw), torch.from_numpy(labels[batch])
            optimiser.zero_grad()
            logits, auxiliary = net(x)
            loss = F.cross_entropy(logits, y)
            (loss + AUXILIARY * F.cross_entropy(auxiliary, y)).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimiser.step()
            loss_sum += float(loss) * len(batch)
            right += int((logits.argmax(1) == y).sum())
        print(json.dumps({"seed": seed, "epoch": epoch + 1, "loss": loss_sum / len(training), "accuracy": right / len(training),
                          "valid_accuracy": accuracy(net, labels[held], pixels[held]), "seconds": time.perf_counter() - began}), flush=True)
    test = accuracy(net, labels[count:], pixels[count:])
    print(json.dumps({"seed": seed, "test_accuracy": test, "epochs": o.epochs, "channels": o.channels, "cells": o.cells, "genotype": o.name}), flush=True)


def main():
    p = argparse.ArgumentParser(description="Trains PyTorch's twin on CIFAR-10.")
    p.add_argument("set")
    p.add_argument("genotypes")
    p.add_argument("--name", default="darts_1268")
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    for name, default in (("epochs", 3), ("channels", 8), ("cells", 5), ("threads", 2)):
        p.add_argument("--" + name, type=int, default=default)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    with open(o.genotypes) as f:
        genotype = json.load(f)[o.name]
    labels, pixels, count = read_set(o.set)
    for seed in o.seeds:
        train(o, genotype, seed, labels, pixels, count)


if __name__ == "__main__":
    main()
