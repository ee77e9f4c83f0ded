"""Trains one network for evalnas, with PyTorch: the protocol of DARTS, on a GPU if there is one.

    mine = exec("python3 examples/pytorch_trainer/train.py", gpus=1)
    finals = train(found.selected, cifar10(), trainer=mine, epochs=600, batch=96, channels=36, cells=20, auxiliary=True)

Its parameters are epochs, batch, rate, momentum, decay, clip, drop_path, cutout, valid (the
share of training images that is held back), channels, cells, auxiliary and mixed (half
precision on a GPU). docs/child_protocol.md specifies the messages. It needs torch and numpy
alone, of version 1.13 or newer.
"""
import contextlib
import importlib.util
import json
import math
import os
import signal
import sys

import numpy
import torch
import torch.nn.functional as F

# Of DARTS, with cutout, auxiliary head and drop path (Liu, Simonyan and Yang, ICLR 2019).
DEFAULTS = {
    "epochs": 600, "batch": 96, "rate": 0.025, "momentum": 0.9, "decay": 3e-4, "clip": 5.0, "drop_path": 0.2,
    "cutout": 16, "valid": 0.1, "channels": 36, "cells": 20, "auxiliary": False, "auxiliary_weight": 0.4, "mixed": True,
}


def say(name, **body):
    print(json.dumps({name: body}), flush=True)


class Stop(Exception):
    """The job wants this program to end soon."""


def stop(*_):
    raise Stop


def load_module(path):
    spec = importlib.util.spec_from_file_location("model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images(data, valid):
    """The parts as (images, labels), normalised, NCHW: a share of the training images is held back."""
    with numpy.load(data["file"]) as arrays:
        parts = {name: (arrays[f"x_{name}"], arrays[f"y_{name}"]) for name in ("train", "test") if f"x_{name}" in arrays}
    mean, std = (numpy.asarray(data[name], numpy.float32) for name in ("mean", "std"))

    def prepared(x, y):
        x = (x.astype(numpy.float32) / 255 - mean) / numpy.maximum(std, 1e-6)
        return torch.from_numpy(numpy.ascontiguousarray(x.transpose(0, 3, 1, 2))), torch.from_numpy(y)

    x, y = parts["train"]
    order = numpy.random.RandomState(0).permutation(len(x))  # the same for every seed
    held = int(round(len(x) * valid))
    out = {"train": prepared(x[order[held:]], y[order[held:]])}
    if held:
        out["valid"] = prepared(x[order[:held]], y[order[:held]])
    if "test" in parts:
        out["test"] = prepared(*parts["test"])
    return out


def augment(x, cutout, generator):
    """Pads by 4 and crops, mirrors half of the images, and cuts a square out of each."""
    n, _, h, w = x.shape
    pad = min(4, h // 4)
    padded = F.pad(x, (pad,) * 4)
    rows, columns = (torch.randint(0, 2 * pad + 1, (n,), generator=generator) for _ in range(2))
    flips = torch.rand(n, generator=generator) < 0.5
    centres = torch.stack([torch.randint(0, s, (n,), generator=generator) for s in (h, w)], 1)
    out = torch.empty_like(x)
    for i in range(n):
        image = padded[i, :, rows[i]:rows[i] + h, columns[i]:columns[i] + w]
        out[i] = image.flip(2) if flips[i] else image
        if cutout:
            (row, column), half = centres[i].tolist(), cutout // 2
            out[i, :, max(0, row - half):row + half, max(0, column - half):column + half] = 0
    return out


class Training:
    def __init__(self, init):
        self.init = init
        self.p = {**DEFAULTS, **init["parameters"]}
        unknown = sorted(set(init["parameters"]) - set(DEFAULTS))
        if unknown:
            sys.exit(f"this trainer has no parameter {', '.join(unknown)}; it has {', '.join(DEFAULTS)}")
        if not init["data"] or "file" not in init["data"]:
            sys.exit("this trainer needs a data set of evalnas, such as cifar10()")
        if not init["architecture"].get("pytorch"):
            sys.exit(f"there is no PyTorch module of architectures of {init['architecture']['space']}")
        if init["device"]["kind"] == "cuda" and not torch.cuda.is_available():
            sys.exit("the job was given a GPU, and this PyTorch cannot use it: install one with CUDA, or leave gpus= out")
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.half = self.p["mixed"] and self.device.type == "cuda"
        torch.set_num_threads(init["device"]["threads"])
        torch.manual_seed(init["seed"] % 2**63)
        torch.backends.cudnn.benchmark = True
        module = load_module(init["architecture"]["pytorch"])
        self.net = module.Network().to(self.device)
        self.parts = images(init["data"], self.p["valid"])
        self.optimiser = torch.optim.SGD(self.net.parameters(), self.p["rate"], momentum=self.p["momentum"], weight_decay=self.p["decay"])
        self.scaler = torch.cuda.amp.GradScaler(enabled=self.half)
        self.epoch, self.last = 0, {}
        if init["resume"]:
            self.restore()

    def save(self):
        """Whole or not at all: the file is written beside the old one and renamed."""
        path = self.init["checkpoint"]
        with open(path + ".tmp", "wb") as f:
            torch.save({"epoch": self.epoch, "last": self.last, "net": self.net.state_dict(), "optimiser": self.optimiser.state_dict(), "scaler": self.scaler.state_dict()}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(path + ".tmp", path)
        say("checkpoint", epoch=self.epoch)

    def restore(self):
        state = torch.load(self.init["checkpoint"], map_location=self.device)
        self.epoch, self.last = state["epoch"], state["last"]
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        say("epoch", epoch=self.epoch, metrics=self.last)  # again: a job that was killed may not have heard it

    def precision(self):
        return torch.autocast("cuda") if self.half else contextlib.nullcontext()

    def learn(self):
        """One epoch. Its order and augmentation follow from the seed and its number, so one that is begun again is the same."""
        x, y = self.parts["train"]
        generator = torch.Generator().manual_seed((self.init["seed"] * 100003 + self.epoch) % 2**63)
        torch.manual_seed((self.init["seed"] * 100003 + self.epoch) % 2**63)  # of drop path
        share = self.epoch / self.p["epochs"]
        rate = self.p["rate"] * (1 + math.cos(math.pi * share)) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.net.drop_path = self.p["drop_path"] * share
        self.net.train()
        order = torch.randperm(len(x), generator=generator)
        batches = order.split(self.p["batch"])
        loss_sum, right = 0.0, 0
        for number, batch in enumerate(batches):
            images = augment(x[batch], self.p["cutout"], generator).to(self.device, non_blocking=True)
            labels = y[batch].to(self.device, non_blocking=True)
            with self.precision():
                out = self.net(images)
                out, auxiliary = out if isinstance(out, tuple) else (out, None)
                loss = F.cross_entropy(out, labels)
                total = loss if auxiliary is None else loss + self.p["auxiliary_weight"] * F.cross_entropy(auxiliary, labels)
            self.optimiser.zero_grad(set_to_none=True)
            self.scaler.scale(total).backward()
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.p["clip"])
            self.scaler.step(self.optimiser)
            self.scaler.update()
            loss_sum += loss.item() * len(batch)
            right += (out.argmax(1) == labels).sum().item()
            say("progress", done=self.epoch * len(batches) + number + 1, total=self.p["epochs"] * len(batches))
            if self.init.get("debug") and number == 3:
                break
        self.epoch += 1
        self.last = {"train": right / len(x), "loss": loss_sum / len(x), "rate": rate}

    @torch.no_grad()
    def accuracy(self, part):
        x, y = self.parts[part]
        self.net.eval()
        right = 0
        for images, labels in zip(x.split(256), y.split(256)):
            with self.precision():
                out = self.net(images.to(self.device))
            out = out[0] if isinstance(out, tuple) else out
            right += (out.argmax(1).cpu() == labels).sum().item()
            say("heartbeat")
        return right / len(x)

    def run(self):
        while self.epoch < self.p["epochs"]:
            self.learn()
            if not all(map(math.isfinite, self.last.values())):
                sys.exit(f"the loss is {self.last['loss']} in epoch {self.epoch}: a lower rate may help")
            if "valid" in self.parts:
                self.last["valid"] = self.accuracy("valid")
            say("epoch", epoch=self.epoch, metrics=self.last)
            self.save()
        result = {name: self.accuracy(name) for name in ("valid", "test") if name in self.parts}
        say("result", metrics=result or self.last, parameters=sum(p.numel() for p in self.net.parameters()), epochs=self.epoch)


def main():
    signal.signal(signal.SIGTERM, stop)
    init = json.loads(sys.stdin.readline())["init"]
    say("ready", protocol=1)
    try:
        Training(init).run()
    except Stop:
        # The checkpoint of the last whole epoch is there: from it the next attempt does the
        # same steps again.
        sys.exit(0)


if __name__ == "__main__":
    main()
