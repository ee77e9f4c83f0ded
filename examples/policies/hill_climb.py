#!/usr/bin/env python3
"""A search policy in plain Python: the best so far, changed in one place at a time.

It works in every space that has neighbours, because it leaves the drawing to the other side: it
asks for a sample to begin with, and for the neighbours of the best. In a cell:

    found = search(exec("python3 hill_climb.py"), space, truth.metric("valid"), seeds=range(10), budget=150)

Keywords of search(...) come as parameters: patience=20 begins anew after 20 changes in vain.
docs/child_protocol.md says what is said. Standard output belongs to the messages; print to
standard error whatever a person should read, which is kept as the log of the job.
"""
import json
import random
import sys


def say(name, body):
    """Writes a message: an object with one key, on a line of its own."""
    print(json.dumps({name: body}), flush=True)


def hear():
    """Reads the next message; its name and its body."""
    line = sys.stdin.readline()
    if not line:
        sys.exit("the other side is gone")
    (name, body), = json.loads(line).items()
    return name, body


def drawn(name, body):
    """Architectures that the other side draws: it knows the space."""
    say(name, body)
    return hear()[1]["architectures"]


class HillClimb:
    def __init__(self, seed, patience=20):
        self.rng = random.Random(seed)
        self.patience = patience
        self.restart()

    def restart(self):
        self.best, self.value, self.vain, self.near = None, None, 0, []

    def ask(self):
        if self.vain >= self.patience:
            self.restart()
        if self.best is None:
            return drawn("sample", {"count": 1})[0]
        if not self.near:
            self.near = drawn("neighbours", {"architecture": self.best})
            self.rng.shuffle(self.near)
        return self.near.pop()

    def tell(self, architecture, value):
        if self.value is None or value > self.value:
            self.best, self.value, self.vain, self.near = architecture, value, 0, []
            say("log", {"event": "climb", "values": {"value": value}})
        else:
            self.vain += 1


def main():
    name, init = hear()
    policy = HillClimb(init["seed"], **init["parameters"])
    say("ready", {"protocol": 1})
    while True:
        name, body = hear()
        if name == "end":
            return
        if name == "ask":
            say("architecture", policy.ask())
        elif name == "tell":
            policy.tell(body["architecture"], body["value"])


if __name__ == "__main__":
    main()
