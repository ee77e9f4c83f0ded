"""Works out testdata/torch_losses.json with PyTorch, in float64.

usage: go test ./nasapi/net -run TestWriteForTorch -torch DIR
       python3 nasapi/net/testdata/torch_losses.py DIR > nasapi/net/testdata/torch_losses.json

For each module and weights in DIR: the loss in evaluation; in training the loss and
the auxiliary head's; and L2 norms of the gradient of their weighted sum (1 and 0.4).
"""
import glob
import importlib.util
import json
import os
import sys

import torch
import torch.nn.functional as F

BATCH = 4


def load(path):
    spec = importlib.util.spec_from_file_location("network", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images(m):
    j = torch.arange(BATCH * m.HEIGHT * m.WIDTH * m.COLOURS, dtype=torch.int64)
    x = ((j * j + 13 * j) % 257 - 128).double() / 64
    return x.reshape(BATCH, m.HEIGHT, m.WIDTH, m.COLOURS).permute(0, 3, 1, 2)


def losses(path):
    m = load(path)
    net = m.Network().double()
    net.load_state_dict(m.read_weights(path[:-3] + ".safetensors"))
    x, y = images(m), torch.tensor([(3 * i + 1) % m.CLASSES for i in range(BATCH)])
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
json.dump({os.path.basename(p)[:-3]: losses(p) for p in names}, sys.stdout, indent=1)
print()
