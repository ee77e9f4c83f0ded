"""Works out nao.json: NAO's model in PyTorch, in float64.

usage: python3 nasapi/policy/testdata/nao.py > nasapi/policy/testdata/nao.json

For two models, one that reads single tokens and one that reads pairs: parameters (names
and shapes in PyTorch's order, filled by noise() one after another), and

losses, norms      of five steps of Adam, and the gradients' lengths before clipping
gradients          of the first step: for each parameter the sum of its products with noise
absolute_sums      of each parameter after the last step
predictions        after the last step, without dropout, and without the masks
decoded            after the last step: greedily decoded sequences after a step of so many
                   (keys) up the slope of the prediction in the encoder's outputs

Masks stand in for dropout, so that both sides silence the same units.
"""
import json

import torch
import torch.nn.functional as F
from torch import nn

ROWS = 10
LAYER = 24
STEPS = 5
CLIP = 0.15


def noise(n, start):
    """n numbers in [-1, 1), from three multiplicative generators in a row."""
    k = torch.arange(start, start + n, dtype=torch.int64)
    for factor in (48271, 69621, 16807):
        k = (k + 77) * factor % 2147483647
    return (k % 4096 - 2048).double() / 2048


class Model(nn.Module):
    def __init__(self, vocab, group, embed, hidden):
        super().__init__()
        self.group = group
        self.encoder_embedding = nn.Embedding(vocab, embed)
        self.encoder = nn.LSTM(group * embed, hidden, batch_first=True)
        self.predictor = nn.ModuleList(nn.Linear(i, LAYER) for i in (hidden, LAYER, LAYER))
        self.value = nn.Linear(LAYER, 1)
        self.decoder_embedding = nn.Embedding(vocab, hidden)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.attention = nn.Linear(hidden, hidden, bias=False)
        self.join = nn.Linear(2 * hidden, hidden, bias=False)
        self.out = nn.Linear(hidden, vocab)

    def encode(self, tokens):
        x = self.encoder_embedding(tokens)
        x = x.reshape(x.shape[0], x.shape[1] // self.group, -1)
        return F.normalize(self.encoder(x)[0], dim=-1)

    def predict(self, outputs, masks=None):
        x = F.normalize(outputs.mean(dim=1), dim=-1)
        for i, layer in enumerate(self.predictor):
            x = F.relu(layer(x))
            if masks is not None:
                x = x * masks[:, i]
        return torch.sigmoid(self.value(x)).squeeze(1)

    def decode(self, outputs, inputs, state=None):
        if state is None:
            start = F.normalize(outputs.mean(dim=1), dim=-1).unsqueeze(0)
            state = (start, start)
        x, state = self.decoder(self.decoder_embedding(inputs), state)
        weights = torch.softmax(self.attention(x) @ outputs.transpose(1, 2), dim=-1)
        x = torch.tanh(self.join(torch.cat([weights @ outputs, x], dim=-1)))
        return F.log_softmax(self.out(x), dim=-1), state

    def climb(self, tokens, length, legal):
        outputs = self.encode(tokens).detach().requires_grad_()
        slope = torch.autograd.grad(self.predict(outputs).sum(), outputs)[0]
        for size in (0, 1, 10, 100, 1000):
            moved = F.normalize(outputs.detach() + size * slope, dim=-1)
            token, state, found = torch.zeros(len(tokens), 1, dtype=torch.int64), None, []
            for first, after in legal:
                scores, state = self.decode(moved, token, state)
                token = first + scores[:, :, first:after].argmax(dim=-1)
                found.append(token)
            yield size, torch.cat(found, dim=1).flatten().tolist()


def work(name, vocab, length, group, embed, hidden):
    torch.manual_seed(0)
    model = Model(vocab, group, embed, hidden).double()
    parameters, at = [], 0
    for key, p in model.named_parameters():
        p.data = 0.8 * noise(p.numel(), at).reshape(p.shape)
        parameters.append({"name": key, "shape": list(p.shape)})
        at += p.numel()
    tokens = 1 + ((1 + noise(ROWS * length, 1_000_000)) * 1e6).long().reshape(ROWS, length) % (vocab - 1)
    targets = (1 + noise(ROWS, 2_000_000)) / 2
    masks = (noise(ROWS * 3 * LAYER, 3_000_000) > -0.8).double().reshape(ROWS, 3, LAYER) / 0.9
    begun = torch.cat([torch.zeros(ROWS, 1, dtype=torch.int64), tokens[:, :-1]], dim=1)
    legal = [(1, 3 + i % 3) if i % 2 == 0 else (vocab - 3, vocab) for i in range(length)]
    adam = torch.optim.Adam(model.parameters(), 0.01, weight_decay=0.01)
    result = {
        "name": name, "vocab": vocab, "length": length, "group": group, "embed": embed, "hidden": hidden,
        "layer": LAYER, "rows": ROWS, "parameters": parameters, "tokens": tokens.flatten().tolist(),
        "legal": legal, "losses": [], "norms": [],
    }
    for step in range(STEPS):
        adam.zero_grad()
        outputs = model.encode(tokens)
        scores, _ = model.decode(outputs, begun)
        loss = 0.8 * F.mse_loss(model.predict(outputs, masks), targets)
        loss = loss + 0.2 * F.nll_loss(scores.flatten(0, 1), tokens.flatten())
        loss.backward()
        if step == 0:
            result["gradients"] = [(p.grad.flatten() * noise(p.numel(), 5_000_000)).sum().item() for p in model.parameters()]
        result["losses"].append(loss.item())
        result["norms"].append(nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        adam.step()
    result["absolute_sums"] = [p.detach().abs().sum().item() for p in model.parameters()]
    result["predictions"] = model.predict(model.encode(tokens)).tolist()
    result["decoded"] = dict(model.climb(tokens, length, legal))
    return result


models = [work("single", 9, 10, 1, 12, 12), work("pairs", 12, 16, 2, 5, 11)]
print('{"torch": %s, "clip": %s, "rate": 0.01, "decay": 0.01, "models": [' % (json.dumps(torch.__version__), CLIP))
print(",\n".join("{" + ",\n ".join('"%s": %s' % (k, json.dumps(v)) for k, v in m.items()) + "}" for m in models))
print("]}")
