#!/usr/bin/env python3
"""Optuna as a search policy, in a space of choices: pip install optuna.

    found = search(exec("python3 optuna_policy.py"), space, truth.metric("valid"), seeds=range(10), budget=150)

sampler="tpe" (or "random", "gp", ...) chooses the sampler. Optuna keeps no budget here and sees no
test value: the other side counts, and tells the objective's value alone.
"""
import json
import sys

import optuna

SAMPLERS = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}


def say(name, body):
    print(json.dumps({name: body}), flush=True)


def main():
    init = json.loads(sys.stdin.readline())["init"]
    options = init["space"].get("options")
    if options is None:
        sys.exit(f"{init['space']['expression']} is no space of choices, which Optuna's categorical parameters need")
    sampler = init["parameters"].get("sampler", "tpe")
    if sampler not in SAMPLERS:
        sys.exit(f"sampler={sampler!r}: give one of {', '.join(SAMPLERS)}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[sampler](seed=init["seed"]))
    say("ready", {"protocol": 1})
    trial = None
    for line in sys.stdin:
        (name, body), = json.loads(line).items()
        if name == "end":
            break
        if name == "ask":
            trial = study.ask()
            say("architecture", {key: trial.suggest_categorical(key, values) for key, values in options.items()})
        elif name == "tell":
            study.tell(trial, body["value"])


if __name__ == "__main__":
    main()
