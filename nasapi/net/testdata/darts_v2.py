"""The network of an architecture of the space darts, 19a1822ed93a24ac9e8710e771d761a2, for images of 32x32."""
import json

import torch
import torch.nn.functional as F
from torch import nn

COLOURS = 3
CLASSES = 10
CELLS = 20
NORM_MOMENTUM = 0.1
NORM_EPS = 1e-05
STEM = [(108, 1)]
CHANNELS = 36
EDGES_PER_NODE = 2
NORMAL = [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)]
NORMAL_CONCAT = [2, 3, 4, 5]
REDUCE = [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)]
REDUCE_CONCAT = [2, 3, 4, 5]
AUXILIARY = True
AUXILIARY_WINDOW = (5, 5)
AUXILIARY_STRIDE = (3, 3)


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


class ReLUConvNorm(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), conv(inputs, outputs, 1), norm(outputs))

    def forward(self, x):
        return self.op(x)


class FactorisedReduce(nn.Module):
    """Two 1x1 convolutions of stride 2 side by side, the second moved by one pixel."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv_1 = conv(inputs, outputs // 2, 1, stride=2)
        self.conv_2 = conv(inputs, outputs - outputs // 2, 1, stride=2)
        self.bn = norm(outputs)

    def forward(self, x):
        x = F.relu(x)
        moved = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(moved)], 1))


def half(channels, kernel, stride, dilation):
    padding = dilation * (kernel - 1) // 2
    depthwise = conv(channels, channels, kernel, stride=stride, padding=padding, dilation=dilation, groups=channels)
    return [nn.ReLU(), depthwise, conv(channels, channels, 1), norm(channels)]


class Dilated(nn.Module):
    def __init__(self, channels, kernel, stride):
        super().__init__()
        self.op = nn.Sequential(*half(channels, kernel, stride, 2))

    def forward(self, x):
        return self.op(x)


class Separable(nn.Module):
    def __init__(self, channels, kernel, stride):
        super().__init__()
        self.op = nn.Sequential(*half(channels, kernel, stride, 1), *half(channels, kernel, 1, 1))

    def forward(self, x):
        return self.op(x)


def crossed(channels, stride):
    return nn.Sequential(
        nn.ReLU(),
        conv(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3)),
        conv(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0)),
        norm(channels),
    )


def operation(name, channels, stride):
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorisedReduce(channels, channels)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride=stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        return crossed(channels, stride)
    kernel = int(name[-1])
    return (Separable if name.startswith("sep_") else Dilated)(channels, kernel, stride)


def drop_path(x, p):
    """Sets an edge to zero for whole images, and makes up for it in the others."""
    keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= p
    return x * keep / (1 - p)


class Cell(nn.Module):
    def __init__(self, edges, concat, before, last, channels, reduces, reduced_before):
        super().__init__()
        self.inputs, self.concat = [i for _, i in edges], concat
        self.preprocess0 = (FactorisedReduce if reduced_before else ReLUConvNorm)(before, channels)
        self.preprocess1 = ReLUConvNorm(last, channels)
        self._ops = nn.ModuleList(operation(op, channels, 2 if reduces and i < 2 else 1) for op, i in edges)

    def forward(self, before, last, drop):
        states = [self.preprocess0(before), self.preprocess1(last)]
        edge = 0
        while edge < len(self.inputs):
            parts = []
            first, edge = edge, edge + min(EDGES_PER_NODE, len(states))
            for edge_of_node in range(first, edge):
                op = self._ops[edge_of_node]
                x = op(states[self.inputs[edge_of_node]])
                parts.append(drop_path(x, drop) if drop > 0 and not isinstance(op, nn.Identity) else x)
            states.append(sum(parts[1:], parts[0]))
        return torch.cat([states[i] for i in self.concat], 1)


class AuxiliaryHead(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(AUXILIARY_WINDOW, stride=AUXILIARY_STRIDE, count_include_pad=False),
            conv(inputs, 128, 1), norm(128), nn.ReLU(),
            conv(128, 768, 2), norm(768), nn.ReLU(),
        )
        self.classifier = nn.Linear(768, CLASSES)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Network(nn.Module):
    """Gives logits, in training of a network with an auxiliary head a pair of them.

    drop_path is the probability with which an edge is dropped in training.
    """

    def __init__(self):
        super().__init__()
        self.drop_path = 0.0
        self.stem = stem(last_relu=False)
        before = last = STEM[-1][0]
        channels, reduced = CHANNELS, False
        self.auxiliary_cell = 2 * CELLS // 3
        self.cells = nn.ModuleList()
        for i in range(CELLS):
            reduces = i in (CELLS // 3, 2 * CELLS // 3)
            channels *= 2 if reduces else 1
            edges, concat = (REDUCE, REDUCE_CONCAT) if reduces else (NORMAL, NORMAL_CONCAT)
            self.cells.append(Cell(edges, concat, before, last, channels, reduces, reduced))
            before, last, reduced = last, channels * len(concat), reduces
            if i == self.auxiliary_cell and AUXILIARY:
                self.auxiliary_head = AuxiliaryHead(last)
        self.classifier = nn.Linear(last, CLASSES)

    def forward(self, x):
        before = last = self.stem(x)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            before, last = last, cell(before, last, self.drop_path if self.training else 0.0)
            if i == self.auxiliary_cell and AUXILIARY and self.training:
                auxiliary = self.auxiliary_head(last)
        logits = self.classifier(last.mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)
