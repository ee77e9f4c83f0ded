#!/usr/bin/env python3
"""Peer of the benchmark ask-tell: syne-tune's simulator on a table. Requests and answers are JSON lines.

{"table": CSV, "trials": n, "seed": s, "folder": DIR} lets random search, by one worker, look up n
rows of the table on the simulated clock and answers {"seconds": s, "trials": n}. The time is that
of Tuner.run alone; all that it would print or save while it runs is switched off as far as it can be."""
import json
import logging
import os
import sys
import time

logging.disable(logging.CRITICAL)


def tune(request):
    import numpy
    import pandas
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
    from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
    from syne_tune.config_space import choice, randint
    from syne_tune.optimizer.baselines import RandomSearch

    rows = pandas.read_csv(request["table"])
    names = [name for name in rows.columns if name != "valid"]
    space = {name: choice(sorted(rows[name].unique())) for name in names}
    values = numpy.ones((len(rows), 1, 1, 2))
    values[:, 0, 0, 0] = rows["valid"]
    blackbox = BlackboxTabular(
        hyperparameters=rows[names], configuration_space=space, fidelity_space={"epoch": randint(1, 1)},
        objectives_evaluations=values, fidelity_values=numpy.array([1]), objectives_names=["valid", "elapsed"],
    )
    tuner = Tuner(
        trial_backend=UserBlackboxBackend(blackbox=blackbox, elapsed_time_attr="elapsed"),
        scheduler=RandomSearch(space, metrics=["valid"], do_minimize=False, random_seed=request["seed"]),
        stop_criterion=StoppingCriterion(max_num_trials_finished=request["trials"]),
        n_workers=1, sleep_time=0, callbacks=[SimulatorCallback()], save_tuner=False,
        print_update_interval=1e9, results_update_interval=1e9,
    )
    began = time.perf_counter()
    tuner.run()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "trials": tuner.tuning_status.num_trials_finished}


# The tuner writes a table of its trials to wherever it finds an output: it finds none.
answers = os.fdopen(os.dup(1), "w")
for stream in (1, 2):
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
for line in sys.stdin:
    request = json.loads(line)
    os.environ["SYNETUNE_FOLDER"] = os.environ["HOME"] = request["folder"]
    print(json.dumps(tune(request)), file=answers, flush=True)
