"""A trainer that learns nothing: its accuracies follow from the architecture, the seed and the
epoch. Its parameters have it misbehave."""
import json
import os
import subprocess
import sys
import time
import zlib


def say(name, **body):
    print(json.dumps({name: body}), flush=True)


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)


init = json.loads(sys.stdin.readline())["init"]
parameters = init["parameters"]
epochs = parameters.get("epochs", 2)
mode = parameters.get("mode", "")
say("ready", protocol=1)
with open(parameters["log"], "a") if "log" in parameters else open(os.devnull, "w") as log:
    log.write(f"{init['architecture']['hash']} {init['seed']} {init['resume']}\n")
if parameters.get("loads"):
    import zipfile

    names = zipfile.ZipFile(init["data"]["file"]).namelist()
    assert "x_train.npy" in names and init["data"]["train"] == 64, (names, init["data"])
    assert "class Network" in open(init["architecture"]["pytorch"]).read()
    assert init["architecture"]["genotype"].startswith("Genotype("), init["architecture"]
    assert init["device"]["kind"] == "cpu" and os.environ["OMP_NUM_THREADS"] == str(init["device"]["threads"])
if mode == "crash":
    sys.stderr.write("about to divide\n")
    1 / 0
if mode == "fork":
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    open(parameters["pids"], "w").write(str(child.pid))
if mode == "hang":
    time.sleep(1000)

state = {"epoch": 0, "sum": 0}
if init["resume"]:
    state = json.load(open(init["checkpoint"]))
    say("epoch", epoch=state["epoch"], metrics=state["said"])
while state["epoch"] < epochs:
    state["epoch"] += 1
    key = f"{init['architecture']['hash']} {init['seed']} {state['epoch']}".encode()
    state["sum"] = (state["sum"] + zlib.crc32(key)) % 1000003
    valid = state["sum"] / 1000003
    say("progress", done=state["epoch"], total=epochs)
    state["said"] = {"valid": valid * (100 if mode == "lie" else 1), "train": valid / 2, "loss": 1 - valid}
    say("epoch", epoch=state["epoch"], metrics=state["said"])
    with open(init["checkpoint"] + ".tmp", "w") as f:
        json.dump(state, f)
    os.replace(init["checkpoint"] + ".tmp", init["checkpoint"])
    say("checkpoint", epoch=state["epoch"])
    if "gate" in parameters and state["epoch"] == 2:
        wait_for(parameters["gate"])
say("result", metrics={"valid": valid, "test": valid / 4}, parameters=123, epochs=epochs)
