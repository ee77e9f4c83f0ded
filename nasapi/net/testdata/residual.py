"""The network of an architecture of the space nasbench101, 15f0a0b7f3ec4b76bddd4556828b5720, for images of 130x130."""
import json

import torch
import torch.nn.functional as F
from torch import nn

COLOURS = 3
CLASSES = 10
CELLS = 6
NORM_MOMENTUM = 0.003
NORM_EPS = 1e-05
STEM = [(4, 2), (8, 2)]
MATRIX = [[0, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
OPS = ["input", "conv1x1-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "output"]
WIDTHS = [[0, 6, 5, 5, 16], [0, 11, 11, 10, 32], [0, 22, 21, 21, 64]]  # of the vertices, in each stack


def read_weights(path):
    """The state of a safetensors file of such a network, for load_state_dict."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    types = {"F32": torch.float32, "I64": torch.int64}
    state = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            numbers = torch.frombuffer(bytearray(data[begin:end]), dtype=types[t["dtype"]])
            state[name] = numbers.reshape(t["shape"])
    return state


def norm(channels):
    return nn.BatchNorm2d(channels, eps=NORM_EPS, momentum=NORM_MOMENTUM)


def conv(inputs, outputs, kernel, **options):
    return nn.Conv2d(inputs, outputs, kernel, bias=False, **options)


def stem(last_relu):
    """3x3 convolutions that bring an image to the size of the first cell."""
    modules, inputs = [], COLOURS
    for outputs, stride in STEM:
        modules += [conv(inputs, outputs, 3, stride=stride, padding=1), norm(outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*(modules if last_relu else modules[:-1]))


def conv_norm_relu(inputs, outputs, kernel):
    return nn.Sequential(conv(inputs, outputs, kernel, padding=kernel // 2), norm(outputs), nn.ReLU())


class Cell(nn.Module):
    """A cell whose vertices have the given widths, by the data set's rule."""

    def __init__(self, inputs, widths):
        super().__init__()
        self.widths, self.last = widths, len(OPS) - 1
        self.projections, self.vertices = nn.ModuleDict(), nn.ModuleDict()
        for v in range(1, len(OPS)):
            if MATRIX[0][v]:
                self.projections[str(v)] = conv_norm_relu(inputs, widths[v], 1)
        for v in range(1, self.last):
            if OPS[v] == "maxpool3x3":
                self.vertices[str(v)] = nn.MaxPool2d(3, stride=1, padding=1)
            else:
                self.vertices[str(v)] = conv_norm_relu(widths[v], widths[v], int(OPS[v][4]))

    def forward(self, x):
        values = {}
        for v in range(1, self.last):
            parts = [values[u][:, :self.widths[v]] for u in range(1, v) if MATRIX[u][v]]
            if MATRIX[0][v]:
                parts.append(self.projections[str(v)](x))
            values[v] = self.vertices[str(v)](sum(parts[1:], parts[0]))
        feeding = [values[v] for v in range(1, self.last) if MATRIX[v][self.last]]
        if not feeding:
            return self.projections[str(self.last)](x)
        out = torch.cat(feeding, 1)
        return out + self.projections[str(self.last)](x) if MATRIX[0][self.last] else out


class Network(nn.Module):
    """Gives logits."""

    def __init__(self):
        super().__init__()
        self.stem = stem(last_relu=True)
        self.cells, inputs = nn.ModuleList(), STEM[-1][0]
        for widths in WIDTHS:
            for _ in range(CELLS // len(WIDTHS)):
                self.cells.append(Cell(inputs, widths))
                inputs = widths[-1]
        self.classifier = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        for i, cell in enumerate(self.cells):
            if i > 0 and i % (CELLS // len(WIDTHS)) == 0:
                x = F.max_pool2d(x, 2)
            x = cell(x)
        return self.classifier(x.mean((2, 3)))
