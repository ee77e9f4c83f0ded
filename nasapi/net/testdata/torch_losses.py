"""Works out testdata/torch_losses.json with PyTorch, in float64.

usage: go test ./nasapi/net -run TestWriteForTorch -torch DIR
       python3 nasapi/net/testdata/torch_losses.py DIR > nasapi/net/testdata/torch_losses.json

For each module and weights in DIR: the loss in evaluation; in training the loss and
the auxiliary head's; and L2 norms of the gradient of their weighted sum (1 and 0.4).
For those whose names begin with "steps": the weighted sum in each of twenty steps of
training, and then the loss in evaluation. Their learning rates are a hundredth and
less of the protocols': at those, PyTorch in float32 leaves PyTorch in float64 by more
than a thousandth within 4 steps, at these it stays within 4e-4 for all twenty.
"""
import glob
import importlib.util
import json
import os
import sys

import torch
import torch.nn.functional as F
from torch import nn

BATCH = 4
STEPS_BATCH = 16


def load(path):
    spec = importlib.util.spec_from_file_location("network", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images(m, step=0, batch=BATCH):
    """Noise over stripes, of another slope and depth in every image."""
    k = torch.arange(batch).reshape(-1, 1, 1, 1) + step * batch
    row = torch.arange(m.HEIGHT).reshape(1, -1, 1, 1)
    column = torch.arange(m.WIDTH).reshape(1, 1, -1, 1)
    colour = torch.arange(m.COLOURS).reshape(1, 1, 1, -1)
    noise = ((k * m.HEIGHT + row) * m.WIDTH + column) * m.COLOURS + colour
    for factor in (48271, 69621, 16807):
        noise = (noise + 77) * factor % 2147483647
    stripes = (row * (1 + k % 7) + column * (1 + k % 5) + colour * (k % 11)) % 16 - 8
    x = (noise % 4096 - 2048 + 64 * stripes * (1 + k % 13)).double() / 4096
    return x.permute(0, 3, 1, 2)


def labels(m, step=0, batch=BATCH):
    return torch.tensor([(3 * i + 1 + step) % m.CLASSES for i in range(batch)])


def network(path):
    m = load(path)
    net = m.Network().double()
    net.load_state_dict(m.read_weights(path[:-3] + ".safetensors"))
    return m, net


class RMSPropTF:
    """TensorFlow's: the mean square begins at 1, and eps is under the root."""

    def __init__(self, parameters):
        self.state = [(p, torch.ones_like(p), torch.zeros_like(p)) for p in parameters]

    @torch.no_grad()
    def step(self):
        for p, square, moment in self.state:
            g = p.grad + 1e-4 * p
            square.mul_(0.9).add_(0.1 * g * g)
            moment.mul_(0.9).add_(0.00002 * g / (square + 1).sqrt())
            p.sub_(moment)


def steps(path):
    m, net = network(path)
    sgd = "derived" in path
    parameters = list(net.parameters())
    if sgd:
        optimiser = torch.optim.SGD(parameters, 0.0002, momentum=0.9, weight_decay=3e-4)
    else:
        optimiser = RMSPropTF(parameters)
    out = {}
    for step in range(20):
        net.train().zero_grad()
        logits = net(images(m, step, STEPS_BATCH))
        logits = logits if isinstance(logits, tuple) else (logits,)
        loss = sum(w * F.cross_entropy(x, labels(m, step, STEPS_BATCH)) for w, x in zip((1, 0.4), logits))
        loss.backward()
        if sgd:
            nn.utils.clip_grad_norm_(parameters, 5)
        optimiser.step()
        out[f"step {step}"] = loss.item()
    out["evaluate"] = F.cross_entropy(net.eval()(images(m, 0, STEPS_BATCH)), labels(m, 0, STEPS_BATCH)).item()
    return out


def losses(path):
    m, net = network(path)
    x, y = images(m), labels(m)
    out = {"evaluate": F.cross_entropy(net.eval()(x), y).item()}
    logits = net.train()(x)
    auxiliary = None
    if isinstance(logits, tuple):
        logits, auxiliary = logits
    loss = F.cross_entropy(logits, y)
    out["train"] = loss.item()
    if auxiliary is not None:
        out["auxiliary"] = F.cross_entropy(auxiliary, y).item()
        loss = loss + 0.4 * F.cross_entropy(auxiliary, y)
    loss.backward()
    out["gradient"] = sum((p.grad ** 2).sum() for p in net.parameters() if p.grad is not None).sqrt().item()
    for name, p in sorted(net.named_parameters()):
        if name in ("stem.0.weight", "classifier.bias"):
            out["gradient of " + name] = p.grad.norm().item()
    return out


names = sorted(glob.glob(os.path.join(sys.argv[1], "*.py")))
results = {os.path.basename(p)[:-3]: (steps if "steps-" in p else losses)(p) for p in names}
json.dump(results, sys.stdout, indent=1)
print()
