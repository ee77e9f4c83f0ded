"""The networks of the project, in PyTorch: what fixtures and benchmarks compare with.

    Derived   the network that a genotype of the DARTS space is evaluated with
    Search    the weight-sharing network that DARTS searches in
    NASBench  the network of a cell of NASBench-101

The names of a Derived network's state are those of DARTS' published code
(stem.0.weight, cells.0.preprocess0.op.1.weight, cells.0._ops.0.op.1.weight,
auxiliary_head.features.2.weight, classifier.weight), so its weights can be loaded
there and the other way round. Images are N x C x H x W here, as everywhere in PyTorch.

    python3 tests/torch/networks.py GENOTYPES.json PARAMS.json

builds every genotype at the size of the published protocol, compares its number of
parameters with the file's, and ends with status 1 where one differs.
"""
import json
import sys

import torch
import torch.nn.functional as F
from torch import nn

OPERATIONS = [
    "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
]


def conv(inputs, outputs, kernel, **options):
    return nn.Conv2d(inputs, outputs, kernel, bias=False, **options)


def dense(inputs, outputs, affine=True):
    """ReLU, 1x1 convolution, batch norm."""
    return [nn.ReLU(), conv(inputs, outputs, 1), nn.BatchNorm2d(outputs, affine=affine)]


def depthwise(channels, kernel, stride, dilation, affine=True):
    """ReLU, depthwise convolution that keeps the size (or halves it), 1x1, batch norm."""
    window = conv(channels, channels, kernel, stride=stride, padding=dilation * (kernel // 2),
                  dilation=dilation, groups=channels)
    return [nn.ReLU(), window, conv(channels, channels, 1), nn.BatchNorm2d(channels, affine=affine)]


class Block(nn.Module):
    """Modules in a row, under the name op as in DARTS' code."""

    def __init__(self, modules):
        super().__init__()
        self.op = nn.Sequential(*modules)

    def forward(self, x):
        return self.op(x)


class FactorisedReduce(nn.Module):
    """Halves an image: 1x1 convolutions of every second pixel, half of the channels from
    the even rows and columns and half from the odd ones. Height and width are even."""

    def __init__(self, inputs, outputs, affine=True):
        super().__init__()
        self.conv_1 = conv(inputs, outputs // 2, 1, stride=2)
        self.conv_2 = conv(inputs, outputs // 2, 1, stride=2)
        self.bn = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x):
        x = F.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, ::self.stride, ::self.stride] * 0


def operation(name, channels, stride, affine=True):
    """The operation of an edge; also those of older genotypes that DARTS does not search."""
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorisedReduce(channels, channels, affine)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride=stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        return nn.Sequential(
            nn.ReLU(),
            conv(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3)),
            conv(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0)),
            nn.BatchNorm2d(channels, affine=affine),
        )
    kernel = int(name[-1])
    if name.startswith("sep_conv_"):
        return Block(depthwise(channels, kernel, stride, 1, affine) + depthwise(channels, kernel, 1, 1, affine))
    if name.startswith("dil_conv_"):
        return Block(depthwise(channels, kernel, stride, 2, affine))
    raise ValueError(f"no operation is called {name!r}")


def drop_path(x, probability):
    """Sets an edge to zero for whole images, and makes up for it in the others."""
    keep = 1 - probability
    return x * torch.bernoulli(x.new_full((len(x), 1, 1, 1), keep)) / keep


def cell_inputs(before, last, channels, reduced_before, affine=True):
    first = FactorisedReduce(before, channels, affine) if reduced_before else Block(dense(before, channels, affine))
    return first, Block(dense(last, channels, affine))


class Cell(nn.Module):
    """A cell of a genotype: two edges a node, the listed states concatenated."""

    def __init__(self, edges, concat, before, last, channels, reduces, reduced_before):
        super().__init__()
        self.preprocess0, self.preprocess1 = cell_inputs(before, last, channels, reduced_before)
        self.sources, self.concat = [source for _, source in edges], concat
        self._ops = nn.ModuleList(operation(name, channels, 2 if reduces and source < 2 else 1) for name, source in edges)

    def forward(self, before, last, drop=0.0):
        states = [self.preprocess0(before), self.preprocess1(last)]
        edges = list(zip(self._ops, self.sources))
        for pair in zip(edges[::2], edges[1::2]):
            states.append(sum(self.edge(op, states[source], drop) for op, source in pair))
        return torch.cat([states[i] for i in self.concat], 1)

    @staticmethod
    def edge(op, x, drop):
        x = op(x)
        return x if drop == 0 or isinstance(op, nn.Identity) else drop_path(x, drop)


class AuxiliaryHead(nn.Module):
    """For a map of 8x8 pixels."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, stride=3, count_include_pad=False),
            conv(inputs, 128, 1), nn.BatchNorm2d(128), nn.ReLU(),
            conv(128, 768, 2), nn.BatchNorm2d(768), nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def plan(channels, cells):
    """Of each cell in turn: its channels, whether it reduces and whether the one before did."""
    reduced = False
    for i in range(cells):
        reduces = i in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduces else 1
        yield channels, reduces, reduced
        reduced = reduces


class Derived(nn.Module):
    """Gives logits, or in training with an auxiliary head the pair of both logits.

    genotype has normal and reduce, lists of (operation, state), and normal_concat and
    reduce_concat. drop_path is the probability with which an edge is dropped in training."""

    def __init__(self, genotype, channels=36, cells=20, classes=10, auxiliary=False):
        super().__init__()
        self.drop_path = 0.0
        before = last = 3 * channels
        self.stem = nn.Sequential(conv(3, last, 3, padding=1), nn.BatchNorm2d(last))
        self.cells = nn.ModuleList()
        self.auxiliary_cell = 2 * cells // 3
        for i, (width, reduces, reduced) in enumerate(plan(channels, cells)):
            kind = "reduce" if reduces else "normal"
            concat = genotype[kind + "_concat"]
            self.cells.append(Cell(genotype[kind], concat, before, last, width, reduces, reduced))
            before, last = last, width * len(concat)
            if i == self.auxiliary_cell:
                auxiliary_inputs = last
        self.auxiliary_head = AuxiliaryHead(auxiliary_inputs, classes) if auxiliary else None
        self.classifier = nn.Linear(last, classes)

    def forward(self, x):
        before = last = self.stem(x)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            before, last = last, cell(before, last, self.drop_path if self.training else 0.0)
            if i == self.auxiliary_cell and self.training and self.auxiliary_head is not None:
                auxiliary = self.auxiliary_head(last)
        logits = self.classifier(last.mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)


class MixedEdge(nn.Module):
    """All eight operations of an edge of the search, weighted; pools have a batch norm too."""

    def __init__(self, channels, stride):
        super().__init__()
        self._ops = nn.ModuleList()
        for name in OPERATIONS:
            op = operation(name, channels, stride, affine=False)
            self._ops.append(nn.Sequential(op, nn.BatchNorm2d(channels, affine=False)) if "pool" in name else op)

    def forward(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self._ops))


class SearchCell(nn.Module):
    nodes = 4

    def __init__(self, before, last, channels, reduces, reduced_before):
        super().__init__()
        self.reduction = reduces
        self.preprocess0, self.preprocess1 = cell_inputs(before, last, channels, reduced_before, affine=False)
        self._ops = nn.ModuleList(
            MixedEdge(channels, 2 if reduces and source < 2 else 1)
            for node in range(self.nodes) for source in range(2 + node)
        )

    def forward(self, before, last, weights):
        states = [self.preprocess0(before), self.preprocess1(last)]
        edges = iter(zip(self._ops, weights))
        for _ in range(self.nodes):
            states.append(sum(op(state, w) for state, (op, w) in zip(list(states), edges)))
        return torch.cat(states[-self.nodes:], 1)


class Search(nn.Module):
    """The alphas are parameters of their own, not among parameters()."""

    def __init__(self, channels=16, cells=8, classes=10):
        super().__init__()
        before = last = 3 * channels
        self.stem = nn.Sequential(conv(3, last, 3, padding=1), nn.BatchNorm2d(last))
        self.cells = nn.ModuleList()
        for width, reduces, reduced in plan(channels, cells):
            self.cells.append(SearchCell(before, last, width, reduces, reduced))
            before, last = last, SearchCell.nodes * width
        self.classifier = nn.Linear(last, classes)
        edges = sum(2 + node for node in range(SearchCell.nodes))
        self.alphas = [(1e-3 * torch.randn(edges, len(OPERATIONS))).requires_grad_() for _ in ("normal", "reduce")]

    def forward(self, x):
        normal, reduce = (F.softmax(a, -1) for a in self.alphas)
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last, reduce if cell.reduction else normal)
        return self.classifier(last.mean((2, 3)))


# The example of the data set's README.
INCEPTION = {
    "matrix": [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    "ops": ["input", "conv1x1-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"],
}


def vertex_widths(matrix, inputs, outputs):
    """The channels of each vertex: those that feed the output share its channels, the
    first ones getting what is left over; the others are as wide as the widest that they feed."""
    last = len(matrix) - 1
    feeding = [v for v in range(1, last) if matrix[v][last]]
    widths = [inputs] + [0] * (last - 1) + [outputs]
    for place, v in enumerate(feeding):
        widths[v] = outputs // len(feeding) + (place < outputs % len(feeding))
    for v in reversed(range(1, last)):
        if v not in feeding:
            widths[v] = max(widths[u] for u in range(v + 1, last) if matrix[v][u])
    return widths


class NASBenchModule(nn.Module):
    """One cell. projections and vertices are named by vertex number, 0 being the input."""

    def __init__(self, matrix, ops, inputs, outputs, norm):
        super().__init__()
        self.matrix, self.last = matrix, len(ops) - 1
        self.widths = vertex_widths(matrix, inputs, outputs)
        self.projections = nn.ModuleDict({
            str(v): self.block(inputs, self.widths[v], 1, norm) for v in range(1, len(ops)) if matrix[0][v]
        })
        self.vertices = nn.ModuleDict({
            str(v): nn.MaxPool2d(3, stride=1, padding=1) if ops[v] == "maxpool3x3"
            else self.block(self.widths[v], self.widths[v], int(ops[v][4]), norm)
            for v in range(1, self.last)
        })

    @staticmethod
    def block(inputs, outputs, kernel, norm):
        return nn.Sequential(conv(inputs, outputs, kernel, padding=kernel // 2), norm(outputs), nn.ReLU())

    def forward(self, x):
        values = {}
        for v in range(1, self.last):
            parts = [values[u][:, :self.widths[v]] for u in range(1, v) if self.matrix[u][v]]
            if self.matrix[0][v]:
                parts.append(self.projections[str(v)](x))
            values[v] = self.vertices[str(v)](sum(parts[1:], parts[0]))
        parts = [torch.cat([values[v] for v in values if self.matrix[v][self.last]], 1)] if any(
            self.matrix[v][self.last] for v in values) else []
        if self.matrix[0][self.last]:
            parts.append(self.projections[str(self.last)](x))
        return sum(parts[1:], parts[0])


class NASBench(nn.Module):
    """Three stacks of modules, each twice as wide as the one before; the first is as wide
    as the stem. The batch norms' momentum is TensorFlow's 0.997 in PyTorch's meaning."""

    def __init__(self, matrix, ops, channels=128, modules=3, classes=10, momentum=0.003):
        super().__init__()

        def norm(width):
            return nn.BatchNorm2d(width, eps=1e-5, momentum=momentum)

        self.stem = NASBenchModule.block(3, channels, 3, norm)
        self.modules_a_stack, self.cells = modules, nn.ModuleList()
        inputs = channels
        for stack in range(3):
            for _ in range(modules):
                self.cells.append(NASBenchModule(matrix, ops, inputs, channels << stack, norm))
                inputs = channels << stack
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.stem(x)
        for i, cell in enumerate(self.cells):
            if i > 0 and i % self.modules_a_stack == 0:
                x = F.max_pool2d(x, 2)
            x = cell(x)
        return self.classifier(x.mean((2, 3)))


def count(network):
    """Trainable numbers of a network, and those of its auxiliary head."""
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    auxiliary = sum(n for name, n in sizes.items() if name.startswith("auxiliary_head."))
    return sum(sizes.values()) - auxiliary, auxiliary


def check_counts(genotypes, expected):
    wrong = 0
    for name, want in expected["networks"].items():
        network = Derived(genotypes[name], expected["init_channels"], expected["layers"], expected["classes"], auxiliary=True)
        got = count(network)
        if got != (want["params"], want["aux_params"]):
            wrong += 1
            print(f"{name}: {got}, expected {want}")
    for name, got, want in (
        ("search", count(Search())[0], 1930618),
        ("inception", count(NASBench(**INCEPTION))[0], 2694282),
    ):
        if got != want:
            wrong += 1
            print(f"{name}: {got}, expected {want}")
    print(f"{len(expected['networks'])} genotypes, the search network and the inception cell: {wrong} of the counts differ")
    return wrong


if __name__ == "__main__":
    with open(sys.argv[1]) as f, open(sys.argv[2]) as g:
        sys.exit(1 if check_counts(json.load(f), json.load(g)) else 0)
