"""Works out testdata/torch_children.json with PyTorch, in float64.

usage: go test ./nasapi/net -run TestWriteChildrenForTorch -torch DIR
       python3 nasapi/net/testdata/torch_children.py DIR > nasapi/net/testdata/torch_children.json

The children of ENAS and NAO as modules, written from section 3.2 of the specification.
For each genotype and weights in DIR: the number of parameters, the loss in training
without dropout and drop path, the L2 norm of its gradient, how many parameters have one,
and the loss in evaluation. For each kind "published" is the number of parameters of the
published size.
"""
import glob
import json
import os
import struct
import sys

import torch
import torch.nn.functional as F
from torch import nn

NODES = 5


def read_weights(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            out[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(t["shape"]).double()
    return out


def conv(i, o, k=1, **options):
    return nn.Conv2d(i, o, k, bias=False, **options)


def norm(c):
    return nn.BatchNorm2d(c, track_running_stats=False)


class ReLUConvNorm(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), conv(i, o), norm(o))

    def forward(self, x):
        return self.op(x)


class Halve(nn.Module):
    def __init__(self, i, o, relu):
        super().__init__()
        self.conv_1, self.conv_2, self.bn = conv(i, o // 2, stride=2), conv(i, o - o // 2, stride=2), norm(o)
        self.relu = relu

    def forward(self, x):
        if self.relu:
            x = x.relu()
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:])], 1))


class Separable(nn.Module):
    def __init__(self, c, k, stride):
        super().__init__()
        half = lambda s: [nn.ReLU(), conv(c, c, k, stride=s, padding=k // 2, groups=c), conv(c, c), norm(c)]
        self.op = nn.Sequential(*half(stride), *half(1))

    def forward(self, x):
        return self.op(x)


def operations(c, stride, enas):
    return nn.ModuleDict({
        "sep_conv_3x3": Separable(c, 3, stride),
        "sep_conv_5x5": Separable(c, 5, stride),
        "avg_pool_3x3": nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=enas),
        "max_pool_3x3": nn.MaxPool2d(3, stride=stride, padding=1),
        "skip_connect": nn.Identity() if stride == 1 else Halve(c, c, True),
    })


class Cell(nn.Module):
    """Outputs are (channels, halvings) here."""

    def __init__(self, before, last, c, reduces, enas):
        super().__init__()
        self.reduces = reduces
        if reduces and enas:
            self.halve = Halve(last[0], c, False)
            before, last = last, (c, last[1] + 1)
        self.calibrate = nn.ModuleDict()
        if before[1] != last[1]:
            self.calibrate["0"] = Halve(before[0], c, True)
        elif before[0] != c:
            self.calibrate["0"] = ReLUConvNorm(before[0], c)
        if last[0] != c:
            self.calibrate["1"] = ReLUConvNorm(last[0], c)
        strided = reduces and not enas
        self.nodes = nn.ModuleList(
            nn.ModuleList(nn.ModuleList(operations(c, 2 if strided and s < 2 else 1, enas) for s in range(2 + n)) for _ in range(2))
            for n in range(NODES))
        self.combine = nn.ModuleList(conv(c, c) for _ in range(NODES + 2))
        self.norm = norm(c)
        self.ins = before, last
        self.out = c, last[1] + strided

    def forward(self, before, last, edges, concat):
        if hasattr(self, "halve"):
            before, last = last, self.halve(last)
        states = [self.calibrate[str(i)](x) if str(i) in self.calibrate else x for i, x in enumerate((before, last))]
        for n, node in enumerate(self.nodes):
            pair = edges[2 * n:2 * n + 2]
            states.append(sum(branch[source][op](states[source]) for branch, (op, source) in zip(node, pair)))
        return last, self.norm(sum(self.combine[s](states[s].relu()) for s in concat))


class Child(nn.Module):
    def __init__(self, enas, channels, cells, classes, colours=3):
        super().__init__()
        self.enas = enas
        c = 3 * channels
        self.stem = nn.Sequential(conv(colours, c, 3, padding=1), norm(c))
        before = last = (c, 0)
        c = channels
        self.cells = nn.ModuleList()
        for i in range(cells):
            reduces = i in (cells // 3, 2 * cells // 3)
            c *= 1 + reduces
            cell = Cell(before, last, c, reduces, enas)
            self.cells.append(cell)
            before, last = cell.ins[1], cell.out
        self.classifier = nn.Linear(last[0], classes)

    def forward(self, x, g):
        before = last = self.stem(x)
        for cell in self.cells:
            kind = "reduce" if cell.reduces else "normal"
            before, last = cell(before, last, g[kind], sorted(g[kind + "_concat"]))
        if self.enas:
            last = last.relu()
        return self.classifier(last.mean((2, 3)))


def images(n, h, w, colours):
    """Those of torch_losses.py: noise over stripes."""
    k = torch.arange(n).reshape(-1, 1, 1, 1)
    row, column, colour = torch.arange(h).reshape(1, -1, 1, 1), torch.arange(w).reshape(1, 1, -1, 1), torch.arange(colours).reshape(1, 1, 1, -1)
    noise = ((k * h + row) * w + column) * colours + colour
    for factor in (48271, 69621, 16807):
        noise = (noise + 77) * factor % 2147483647
    stripes = (row * (1 + k % 7) + column * (1 + k % 5) + colour * (k % 11)) % 16 - 8
    return ((noise % 4096 - 2048 + 64 * stripes * (1 + k % 13)).double() / 4096).permute(0, 3, 1, 2)


def count(net):
    return sum(p.numel() for p in net.parameters())


def losses(path):
    with open(path) as f:
        case = json.load(f)
    net = Child(case["kind"] == "enas", case["channels"], case["cells"], case["classes"]).double()
    net.load_state_dict(read_weights(path[:-5] + ".safetensors"))
    x = images(case["batch"], case["height"], case["width"], 3)
    y = torch.tensor([(3 * i + 1) % case["classes"] for i in range(case["batch"])])
    loss = F.cross_entropy(net.train()(x, case["genotype"]), y)
    loss.backward()
    grads = [p.grad for p in net.parameters() if p.grad is not None]
    return {
        "parameters": count(net), "train": loss.item(), "gradient": sum((g ** 2).sum() for g in grads).sqrt().item(),
        "touched": len(grads), "evaluate": F.cross_entropy(net.eval()(x, case["genotype"]), y).item(),
    }


results = {os.path.basename(p)[:-5]: losses(p) for p in sorted(glob.glob(os.path.join(sys.argv[1], "*-*.json")))}
results["published"] = {"enas": count(Child(True, 20, 8, 10)), "nao": count(Child(False, 20, 11, 10))}
json.dump(results, sys.stdout, indent=1)
print()
