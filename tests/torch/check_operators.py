"""Reads operators.json.gz by its README and works single operators out again in plain NumPy.

    python3 tests/torch/check_operators.py

Outputs, and gradients by differences of the upstream product along random directions:
a wrong layout, stride or gradient shows here without PyTorch."""
import gzip
import json
import pathlib
import sys

import numpy as np

FILE = pathlib.Path(__file__).resolve().parents[2] / "nasapi" / "nn" / "testdata" / "operators.json.gz"
STEP = 1e-6


def array(entry):
    """The decimals are the shortest that name a float32, so that is what they are read as."""
    return np.array(entry["data"], np.float32).astype(np.float64).reshape(entry["shape"])


def windows(x, o, fill=0.0):
    """[N][OH][OW][KH][KW][C]: what each output pixel sees."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = o["kernel"], o["stride"], o["padding"], o.get("dilation", [1, 1])
    n, h, w, c = x.shape
    oh, ow = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1, (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.full((n, h + 2 * ph, w + 2 * pw, c), fill)
    padded[:, ph:ph + h, pw:pw + w] = x
    out = np.empty((n, oh, ow, kh, kw, c))
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            out[:, :, :, i, j] = padded[:, top:top + (oh - 1) * sh + 1:sh, left:left + (ow - 1) * sw + 1:sw]
    return out


def norm(x, weights, running, train, eps=1e-5):
    mean, var = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if train else (running["running_mean"], running["running_var"])
    y = (x - mean) / np.sqrt(var + eps)
    return y * weights["weight"] + weights["bias"] if "weight" in weights else y


def conv(x, w, stride, padding):
    o = dict(kernel=w.shape[:2], stride=stride, padding=padding)
    return np.einsum("nhwijc,ijco->nhwo", windows(x, o), w)


def pool_mean(x, o):
    seen = windows(np.ones_like(x), o)
    if o.get("count_include_pad"):
        seen = np.ones_like(seen)
    return windows(x, o).sum((3, 4)) / seen.sum((3, 4))


def forward(case, x, w, running):
    o = case["options"]
    op = o["op"]
    if op == "conv":
        return conv(x, w["weight"], o["stride"], o["padding"])
    if op == "depthwise":
        return np.einsum("nhwijc,ijc->nhwc", windows(x, o), w["weight"])
    if op == "conv_7x1_1x7":
        s = o["stride"]
        y = conv(conv(np.maximum(x, 0), w["1.weight"], [1, s], [0, 3]), w["2.weight"], [s, 1], [3, 0])
        return norm(y, {"weight": w["3.weight"], "bias": w["3.bias"]}, None, True)
    if op == "batch_norm":
        return norm(x, w, running, o["train"])
    if op == "max_pool":
        return windows(x, o, -np.inf).max((3, 4))
    if op == "avg_pool":
        return pool_mean(x, o)
    if op == "global_pool":
        return x.mean((1, 2))
    if op == "relu":
        return np.maximum(x, 0)
    if op == "linear":
        return x @ w["weight"] + w["bias"]
    if op == "cross_entropy":
        z = x - x.max(1, keepdims=True)
        return np.mean([np.log(np.exp(r).sum()) - r[k] for r, k in zip(z, o["labels"])])
    if op == "drop_path":
        return x * np.array(o["keep"])[:, None, None, None]
    if op == "relu_conv_bn":
        y = conv(np.maximum(x, 0), w["op.1.weight"], [1, 1], [0, 0])
        return norm(y, {"weight": w["op.2.weight"], "bias": w["op.2.bias"]}, None, True)
    if op == "factorised_reduce":
        r = np.maximum(x, 0)
        parts = [conv(r[:, i:, i:], w[f"conv_{i + 1}.weight"], [2, 2], [0, 0]) for i in (0, 1)]
        return norm(np.concatenate(parts, 3), {"weight": w["bn.weight"], "bias": w["bn.bias"]}, None, True)
    return None


def difference(a, b):
    return np.max(np.abs(a - b) / (1e-3 + np.abs(b))) if np.size(b) else 0.0


def check(case):
    """The largest relative differences of the output and of directional derivatives; None: not covered."""
    weights = {k: array(v) for k, v in case.get("weights", {}).items()}
    running = {k: array(v) for k, v in case.get("running_before", {}).items()}
    x = array(case["inputs"]["x"])
    y = forward(case, x, weights, running)
    if y is None:
        return None
    upstream = array(case["upstream"])
    draw = np.random.RandomState(7)

    def derivative(value, gradient, run):
        along = draw.standard_normal(value.shape)
        numeric = np.sum(upstream * (run(value + STEP * along) - run(value - STEP * along))) / (2 * STEP)
        return abs(numeric - np.sum(gradient * along)) / (1 + abs(numeric))

    worst = derivative(x, array(case["gradients"]["x"]), lambda v: forward(case, v, weights, running))
    for k in weights:
        gradient = array(case["weight_gradients"][k])
        worst = max(worst, derivative(weights[k], gradient, lambda v, k=k: forward(case, x, {**weights, k: v}, running)))
    return difference(y, array(case["output"])), worst


def main():
    cases = json.loads(gzip.decompress(FILE.read_bytes()))["cases"]
    checked = {c["name"]: check(c) for c in cases}
    left = [name for name, found in checked.items() if found is None]
    found = {name: d for name, d in checked.items() if d is not None}
    wrong = {name: d for name, d in found.items() if not (d[0] < 1e-6 and d[1] < 1e-5)}
    print(f"{len(found)} of {len(cases)} cases worked out again; outputs within {max(d[0] for d in found.values()):.1e}, "
          f"gradients within {max(d[1] for d in found.values()):.1e}; wrong: {wrong}; not covered: {left}")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
