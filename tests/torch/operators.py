"""Works out nasapi/nn/testdata/operators.json.gz: operators and blocks with their gradients.

    python3 tests/torch/operators.py

What goes in is drawn from a fixed seed and exact in float32; PyTorch computes in float64
and the results are rounded to float32 once. nasapi/nn/testdata/README.md has the format.
"""
import gzip
import io
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import networks

SEED = 1268
KINK = 2e-5  # what a ReLU is given is never nearer to 0: float32 must not turn its sign
OUT = pathlib.Path(__file__).resolve().parents[2] / "nasapi" / "nn" / "testdata" / "operators.json.gz"


class Draw:
    """Odd multiples of a power of two: none is 0, and no two of a tensor are equal."""

    def __init__(self, seed):
        self.state = np.random.RandomState(seed)

    def __call__(self, *shape, scale=2.0):
        n = int(np.prod(shape))
        even = n + n % 2
        step = scale / 2 ** int(np.ceil(np.log2(even)))
        values = (2 * self.state.permutation(even)[:n] + 1 - even) * step
        return torch.tensor(values.reshape(shape), dtype=torch.float64)


def numbers(tensor):
    return [float(str(x)) for x in tensor.detach().numpy().astype(np.float32).ravel()]


def image(tensor):
    """N x C x H x W as N x H x W x C; other tensors as they are."""
    tensor = tensor.detach()
    return tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor


def weight(tensor, depthwise):
    """Convolutions as [kh][kw][in][out], depthwise ones as [kh][kw][c], linear ones as [in][out]."""
    tensor = tensor.detach()
    if tensor.dim() == 4:
        return tensor[:, 0].permute(1, 2, 0) if depthwise else tensor.permute(2, 3, 1, 0)
    return tensor.t() if tensor.dim() == 2 else tensor


def entry(tensor):
    return {"shape": list(tensor.shape), "data": numbers(tensor)}


class NearKink(Exception):
    pass


def watch(module):
    """Refuses values near the kink of any ReLU of a module."""
    for m in module.modules():
        if isinstance(m, nn.ReLU):
            m.register_forward_pre_hook(lambda _, x: away_from_kink(x[0]))
        if isinstance(m, networks.FactorisedReduce):
            m.register_forward_pre_hook(lambda _, x: away_from_kink(x[0]))
    return module


def away_from_kink(x):
    if x.detach().abs().min() < KINK:
        raise NearKink


class Case:
    """One module on one input. How it is called may be given: call(module, x, extra inputs)."""

    def __init__(self, name, make, shape, options, call=None, extra=None, evaluate=False):
        self.name, self.make, self.shape, self.options = name, make, shape, options
        self.call, self.extra, self.evaluate = call, extra or {}, evaluate

    def work_out(self, seed):
        draw = Draw(seed)
        module = watch(self.make().double())
        module.train(not self.evaluate)
        self.fill(module, draw)
        depthwise = {f"{n}.weight" if n else "weight" for n, m in module.named_modules()
                     if isinstance(m, nn.Conv2d) and m.groups > 1}
        x = draw(*self.shape).requires_grad_()
        extra = {k: draw(*s).requires_grad_() for k, s in self.extra.items()}
        before = self.statistics(module)
        made = {"name": self.name, "options": self.options, "inputs": {"x": entry(image(x))}}
        made["inputs"].update({k: entry(v) for k, v in extra.items()})
        y = self.call(module, x, **extra) if self.call else module(x)
        upstream = draw(*y.shape, scale=1.0) if y.dim() else torch.tensor(0.75, dtype=torch.float64)
        y.backward(upstream)
        made["weights"] = {k: entry(weight(p, k in depthwise)) for k, p in module.named_parameters()}
        made["running_before"] = before
        made["upstream"] = entry(image(upstream))
        made["output"] = entry(image(y))
        made["running_after"] = self.statistics(module)
        made["gradients"] = {"x": entry(image(x.grad))}
        made["gradients"].update({k: entry(v.grad) for k, v in extra.items()})
        made["weight_gradients"] = {k: entry(weight(p.grad, k in depthwise)) for k, p in module.named_parameters()}
        return {k: v for k, v in made.items() if v != {}}

    @staticmethod
    def fill(module, draw):
        """Weights and running statistics that are not those that modules start with."""
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(draw(*p.shape, scale=1.0))
            for m in module.modules():
                if isinstance(m, nn.BatchNorm2d):
                    m.running_mean.copy_(draw(m.num_features, scale=0.5))
                    m.running_var.copy_(1 + draw(m.num_features, scale=0.5))
                    if m.affine:
                        m.weight.copy_(1 + draw(m.num_features, scale=0.5))

    @staticmethod
    def statistics(module):
        return {n: entry(b) for n, b in module.named_buffers() if n.endswith(("running_mean", "running_var"))}


def convolutions():
    for k, stride, shape in ((1, 1, (2, 6, 5, 4)), (1, 2, (2, 4, 6, 8)), (3, 1, (2, 6, 5, 4)), (3, 2, (2, 4, 6, 8)), (3, 2, (1, 4, 5, 7))):
        options = dict(op="conv", kernel=[k, k], stride=[stride] * 2, padding=[k // 2] * 2, dilation=[1, 1])
        odd = "_odd" if shape[2] % 2 and stride == 2 else ""
        yield Case(f"conv_{k}x{k}_s{stride}{odd}", lambda k=k, s=stride, c=shape[1]: networks.conv(c, 8, k, stride=s, padding=k // 2), shape, options)
    for k in (3, 5, 7):
        for stride in (1, 2):
            for dilation in (1, 2):
                pad = dilation * (k // 2)
                options = dict(op="depthwise", kernel=[k, k], stride=[stride] * 2, padding=[pad] * 2, dilation=[dilation] * 2)
                yield Case(f"depthwise_{k}x{k}_s{stride}_d{dilation}",
                           lambda k=k, s=stride, d=dilation, p=pad: networks.conv(4, 4, k, stride=s, dilation=d, padding=p, groups=4),
                           (2, 4, 7, 8), options)
    for stride in (1, 2):
        options = dict(op="conv_7x1_1x7", stride=stride)
        yield Case(f"conv_1x7_7x1_s{stride}", lambda s=stride: networks.operation("conv_7x1_1x7", 4, s), (2, 4, 8, 6), options)


def norms():
    for affine in (True, False):
        for evaluate in (False, True):
            name = f"batch_norm_{'affine' if affine else 'plain'}_{'evaluate' if evaluate else 'train'}"
            options = dict(op="batch_norm", affine=affine, train=not evaluate, momentum=0.1, eps=1e-5)
            yield Case(name, lambda a=affine: nn.BatchNorm2d(6, affine=a), (3, 6, 5, 4), options, evaluate=evaluate)


def pools():
    for stride in (1, 2):
        for shape in ((2, 4, 6, 8), (2, 6, 5, 7)):
            odd = "_odd" if shape[2] % 2 else ""
            for name in ("max", "avg"):
                options = dict(op=name + "_pool", kernel=[3, 3], stride=[stride] * 2, padding=[1, 1])
                yield Case(f"{name}_pool_3x3_s{stride}{odd}", lambda n=name, s=stride: networks.operation(n + "_pool_3x3", 0, s), shape, options)
    options = dict(op="avg_pool", kernel=[5, 5], stride=[3, 3], padding=[0, 0])
    yield Case("avg_pool_5x5_s3", lambda: nn.AvgPool2d(5, stride=3, count_include_pad=False), (2, 4, 8, 8), options)
    for odd, shape in (("", (2, 4, 6, 8)), ("_odd", (2, 4, 5, 7))):
        options = dict(op="max_pool", kernel=[2, 2], stride=[2, 2], padding=[0, 0])
        yield Case("max_pool_2x2_s2" + odd, lambda: nn.MaxPool2d(2), shape, options)
    yield Case("global_pool", nn.Module, (3, 6, 5, 4), dict(op="global_pool"), call=lambda m, x: x.mean((2, 3)))


def heads():
    yield Case("relu", nn.ReLU, (2, 6, 5, 4), dict(op="relu"))
    yield Case("linear", lambda: nn.Linear(8, 6), (3, 8), dict(op="linear"))
    labels = [4, 0, 2]
    yield Case("cross_entropy", nn.Module, (3, 6), dict(op="cross_entropy", labels=labels, reduction="mean"),
               call=lambda m, x: F.cross_entropy(x, torch.tensor(labels)))
    keep = [0.0, 1.25, 1.25]
    yield Case("drop_path", nn.Module, (3, 4, 3, 4), dict(op="drop_path", keep=keep),
               call=lambda m, x: x * torch.tensor(keep, dtype=x.dtype).reshape(-1, 1, 1, 1))


def blocks():
    yield Case("factorised_reduce", lambda: networks.FactorisedReduce(6, 8), (2, 6, 6, 8), dict(op="factorised_reduce"))
    yield Case("relu_conv_bn", lambda: networks.Block(networks.dense(6, 8)), (2, 6, 5, 4), dict(op="relu_conv_bn"))
    for name, stride in (("sep_conv_3x3", 1), ("sep_conv_5x5", 2), ("dil_conv_3x3", 2), ("dil_conv_5x5", 1)):
        yield Case(f"{name}_s{stride}", lambda n=name, s=stride: networks.operation(n, 6, s), (2, 6, 8, 6), dict(op=name, stride=stride))
    for stride in (1, 2):
        options = dict(op="mixed_edge", stride=stride, candidates=networks.OPERATIONS)
        yield Case(f"mixed_edge_s{stride}", lambda s=stride: networks.MixedEdge(8, s), (2, 8, 8, 6), options,
                   call=lambda m, x, alphas: m(x, F.softmax(alphas, -1)), extra={"alphas": (8,)})


def counted_pools():
    """Means that count padding as zeros, those of ENAS. They come last: a case's draws follow its place."""
    for stride in (1, 2):
        for odd, shape in (("", (2, 4, 6, 8)), ("_odd", (2, 6, 5, 7))):
            options = dict(op="avg_pool", kernel=[3, 3], stride=[stride] * 2, padding=[1, 1], count_include_pad=True)
            yield Case(f"avg_pool_3x3_counted_s{stride}{odd}", lambda s=stride: nn.AvgPool2d(3, stride=s, padding=1), shape, options)


def work_out(case, place):
    """Of the first draw that comes near no kink."""
    for attempt in range(1000):
        try:
            return case.work_out(SEED + 1000 * place + attempt)
        except NearKink:
            continue
    raise RuntimeError(f"{case.name}: every draw came near a kink")


def main():
    torch.set_num_threads(1)
    cases = [*convolutions(), *norms(), *pools(), *heads(), *blocks(), *counted_pools()]
    made = {"torch": torch.__version__, "seed": SEED, "cases": [work_out(c, i) for i, c in enumerate(cases)]}
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0, filename="") as f:
        f.write(json.dumps(made, separators=(",", ":")).encode())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(packed.getvalue())
    print(f"torch {torch.__version__}: {len(cases)} cases, {len(packed.getvalue())} bytes")


if __name__ == "__main__":
    main()
