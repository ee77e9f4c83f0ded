

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
