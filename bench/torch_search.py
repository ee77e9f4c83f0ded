#!/usr/bin/env python3
"""Peer of darts-search-step: a step of DARTS' search in PyTorch, first order.

    torch_search.py --given FOLDER [--threads N] [--channels-last] [--alphas-only]

The step is that of the published search: the loss of a validation batch goes back to the
alphas, which Adam moves (rate 3e-4, betas 0.5 and 0.999, decay 1e-3); then the loss of a
training batch goes back to the weights, whose gradient is clipped to a norm of 5 and which
SGD moves (rate 0.025, momentum 0.9, decay 3e-4). Without --alphas-only the validation loss
goes back to everything, as published; with it to the alphas alone, by torch.autograd.grad.
In the training batch's pass the alphas are constants.

FOLDER has weights.safetensors, the network's; search.safetensors with valid.images,
valid.labels, train.images, train.labels and alphas.normal, alphas.reduce. Says {"ready":
true, "losses": [...]}, the validation and the training loss of the first steps; then
answers as torch_nas.py --serve does.
"""
import argparse
import pathlib
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import networks  # noqa: E402
from torch_nas import WARM_UP, serve  # noqa: E402
from torch_paths import read_tensors  # noqa: E402


class Search:
    def __init__(self, o):
        torch.set_num_threads(o.threads)
        folder = pathlib.Path(o.given)
        weights, given = read_tensors(folder / "weights.safetensors"), read_tensors(folder / "search.safetensors")
        self.net = networks.Search().train()
        for m in self.net.modules():
            if isinstance(m, torch.nn.BatchNorm2d):  # the batch's statistics alone, as in the search
                m.track_running_stats, m.running_mean, m.running_var, m.num_batches_tracked = False, None, None, None
        self.net.load_state_dict(weights)
        self.batches = {part: (given[part + ".images"], given[part + ".labels"]) for part in ("valid", "train")}
        if o.channels_last:
            self.net = self.net.to(memory_format=torch.channels_last)
            self.batches = {part: (x.contiguous(memory_format=torch.channels_last), y) for part, (x, y) in self.batches.items()}
        self.alphas = self.net.alphas = [given["alphas.normal"].requires_grad_(), given["alphas.reduce"].requires_grad_()]
        self.alphas_only = o.alphas_only
        self.weights = list(self.net.parameters())
        self.params = sum(p.numel() for p in self.weights)
        self.sgd = torch.optim.SGD(self.weights, 0.025, momentum=0.9, weight_decay=3e-4)
        self.adam = torch.optim.Adam(self.alphas, 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        self.losses = []
        for _ in range(WARM_UP):
            self.step()
        self.losses, self.warm = [], self.losses

    def loss(self, part):
        x, y = self.batches[part]
        loss = F.cross_entropy(self.net(x), y)
        self.losses.append(loss.item())
        return loss

    def move_alphas(self):
        if self.alphas_only:
            for a, grad in zip(self.alphas, torch.autograd.grad(self.loss("valid"), self.alphas)):
                a.grad = grad
        else:
            self.adam.zero_grad(set_to_none=True)
            self.loss("valid").backward()
        self.adam.step()

    def move_weights(self):
        self.sgd.zero_grad(set_to_none=True)
        for a in self.alphas:
            a.requires_grad_(False)
        self.loss("train").backward()
        for a in self.alphas:
            a.requires_grad_(True)
        torch.nn.utils.clip_grad_norm_(self.weights, 5)
        self.sgd.step()

    def step(self):
        """Seconds that one step took."""
        began = time.perf_counter()
        self.move_alphas()
        self.move_weights()
        return time.perf_counter() - began


def main():
    p = argparse.ArgumentParser(description="Times PyTorch's step of DARTS' search.")
    p.add_argument("--given", required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--alphas-only", action="store_true")
    search = Search(p.parse_args())
    serve(search, losses=search.warm)


if __name__ == "__main__":
    main()
