#!/usr/bin/env python3
"""Submits trivial jobs with submitit: requests and answers are JSON lines.

{"where": "local" or "slurm", "jobs": n} answers {"submit": seconds, "done": seconds}: until the call, or
the calls, that submit have returned, and until every result is there. Jobs of "local" are submitted one
by one, as its executor has it, those of "slurm" as one array.

{"where": "poll", "jobs": n, "looks": k} answers {"look": seconds}: of the processor, for one look at n local jobs
that another process submitted, as after a restart: whether each has a result."""
import json
import shutil
import sys
import tempfile
import time

import submitit


def square(i):
    return i * i


def look(count, looks):
    folder = tempfile.mkdtemp(prefix="submitit-")
    try:
        jobs = [submitit.LocalJob(folder=folder, job_id=str(i)) for i in range(count)]
        began = time.process_time()
        for _ in range(looks):
            if any(job.state == "FINISHED" for job in jobs):
                raise SystemExit("a job that never ran is done")
        return {"look": (time.process_time() - began) / looks}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(where, count):
    folder = tempfile.mkdtemp(prefix="submitit-")
    try:
        began = time.perf_counter()
        if where == "slurm":
            executor = submitit.SlurmExecutor(folder=folder)
            executor.update_parameters(time=5, cpus_per_task=1, array_parallelism=count)
            jobs = executor.map_array(square, range(count))
        else:
            executor = submitit.LocalExecutor(folder=folder)
            executor.update_parameters(timeout_min=5)
            jobs = [executor.submit(square, i) for i in range(count)]
        submitted = time.perf_counter() - began
        waiting = list(jobs)
        while waiting:
            waiting = [j for j in waiting if not j.paths.result_pickle.exists()]
            if time.perf_counter() - began > 300:
                raise SystemExit("submitit's jobs do not end")
            time.sleep(0.01)
        return {"submit": submitted, "done": time.perf_counter() - began}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


for line in sys.stdin:
    request = json.loads(line)
    if request["where"] == "poll":
        answer = look(request["jobs"], request["looks"])
    else:
        answer = run(request["where"], request["jobs"])
    print(json.dumps(answer), flush=True)
