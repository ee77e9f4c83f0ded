#!/usr/bin/env python3
"""Peer of the benchmarks of what policies learn: PyTorch on the same models, timed.

    torch_policies.py WORK [--threads N]

    enas-controller   ten sequences drawn from ENAS's controller (hidden 64), made-up
                      rewards, one step of Adam
    nao-round         one batch of 100 sequences for NAO's encoder, predictor and decoder
                      (48 numbers, layers of 200), dropout 0.1, clipping and Adam

Both in the encoding of NASBench-101 with seven vertices: for each of five vertices one of
those before it, and one of three operations. Answers as torch_nas.py --serve does.
"""
import argparse
import pathlib
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import torch_nas  # noqa: E402

NODES, OPERATIONS = 5, 3


class Controller(nn.Module):
    HIDDEN, TEMPERATURE, INDEX, OPERATION, BIAS = 64, 5.0, 1.10, 0.44, 0.25

    def __init__(self):
        super().__init__()
        h = self.HIDDEN
        self.embedding = nn.Embedding(OPERATIONS + 1, h)
        self.cell = nn.LSTMCell(h, h)
        self.operation = nn.Linear(h, OPERATIONS)
        self.key, self.query, self.attention = (nn.Linear(h, n, bias=False) for n in (h, h, 1))
        for p in self.parameters():
            nn.init.uniform_(p, -0.1, 0.1)
        nn.init.constant_(self.operation.bias, 0)
        nn.init.constant_(self.operation.bias[:2], 10)
        self.fixed = torch.tensor([[self.BIAS if i < 2 else -self.BIAS for i in range(OPERATIONS)]])

    def draw(self, logits):
        logs = F.log_softmax(logits, dim=-1)
        choice = torch.multinomial(logs.detach().exp(), 1)
        return choice.item(), -logs.gather(1, choice).sum()

    def forward(self):
        """The negative log probability of one drawn sequence."""
        nothing = torch.zeros(1, self.HIDDEN)
        state, token, loss = (nothing, nothing), self.embedding.weight[:1], 0
        state = self.cell(token, state)
        anchors, keys = [nothing], [self.key(state[0])]
        for _ in range(NODES):
            state = self.cell(token, state)
            scores = self.attention(torch.tanh(torch.cat(keys) + self.query(state[0]))).t()
            index, nll = self.draw(self.INDEX * torch.tanh(scores / self.TEMPERATURE))
            loss = loss + nll
            state = self.cell(anchors[index], state)
            scores = self.operation(state[0])
            chosen, nll = self.draw(self.OPERATION * torch.tanh(scores / self.TEMPERATURE) + self.fixed)
            loss = loss + nll
            state = self.cell(self.embedding.weight[chosen + 1:chosen + 2], state)
            anchors.append(state[0])
            keys.append(self.key(state[0]))
        return loss


class Enas:
    def __init__(self):
        self.model = Controller()
        self.adam = torch.optim.Adam(self.model.parameters(), 0.0035, betas=(0.1, 0.999), eps=1e-3)

    def step(self):
        rewards = torch.rand(10) - 0.5
        self.adam.zero_grad(set_to_none=True)
        (torch.stack([self.model() for _ in range(10)]) * rewards).mean().backward()
        self.adam.step()


class Autoencoder(nn.Module):
    SIZE, LAYER, VOCABULARY = 48, 200, 1 + NODES + OPERATIONS

    def __init__(self):
        super().__init__()
        n = self.SIZE
        self.tokens, self.encoder = nn.Embedding(self.VOCABULARY, n), nn.LSTM(n, n, batch_first=True)
        layers = []
        for size in (n, self.LAYER, self.LAYER):
            layers += [nn.Linear(size, self.LAYER), nn.ReLU(), nn.Dropout(0.1)]
        self.predictor = nn.Sequential(*layers, nn.Linear(self.LAYER, 1), nn.Sigmoid())
        self.outputs, self.decoder = nn.Embedding(self.VOCABULARY, n), nn.LSTM(n, n, batch_first=True)
        self.attention, self.join = nn.Linear(n, n, bias=False), nn.Linear(2 * n, n, bias=False)
        self.vocabulary = nn.Linear(n, self.VOCABULARY)

    def forward(self, tokens):
        seen = F.normalize(self.encoder(self.tokens(tokens))[0], dim=-1)
        mean = F.normalize(seen.mean(dim=1), dim=-1)
        state = mean.unsqueeze(0)
        said = self.decoder(self.outputs(F.pad(tokens, (1, 0))[:, :-1]), (state, state))[0]
        mixed = torch.softmax(self.attention(said) @ seen.transpose(1, 2), dim=-1) @ seen
        joined = torch.tanh(self.join(torch.cat([mixed, said], dim=-1)))
        return self.predictor(mean).squeeze(1), F.log_softmax(self.vocabulary(joined), dim=-1)


class Nao:
    ROWS = 100

    def __init__(self):
        self.model = Autoencoder().train()
        self.adam = torch.optim.Adam(self.model.parameters(), 1e-3, weight_decay=1e-4)
        pairs = [[1 + torch.randint(0, i + 1, (self.ROWS,)), 1 + NODES + torch.randint(0, OPERATIONS, (self.ROWS,))] for i in range(NODES)]
        self.tokens = torch.stack(sum(pairs, []), dim=1)
        self.targets = torch.rand(self.ROWS)

    def step(self):
        self.adam.zero_grad(set_to_none=True)
        values, logs = self.model(self.tokens)
        loss = 0.8 * F.mse_loss(values, self.targets) + 0.2 * F.nll_loss(logs.flatten(0, 1), self.tokens.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5)
        self.adam.step()


class Timed:
    def __init__(self, work):
        self.work = work
        self.params = sum(p.numel() for p in work.model.parameters())

    def step(self):
        """Seconds that one step took."""
        began = time.perf_counter()
        self.work.step()
        return time.perf_counter() - began


def main():
    p = argparse.ArgumentParser(description="Times PyTorch on what policies learn.")
    p.add_argument("work", choices=["enas-controller", "nao-round"])
    p.add_argument("--threads", type=int, default=2)
    o = p.parse_args()
    if o.threads < 1:
        p.error(f"--threads is {o.threads}; give at least 1")
    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    timed = Timed(Enas() if o.work == "enas-controller" else Nao())
    for _ in range(torch_nas.WARM_UP):
        timed.step()
    torch_nas.serve(timed)


if __name__ == "__main__":
    main()
