"""A trainer that stops at a point of its life until a gate opens, for tests that kill there.

Its accuracies follow from the seed and the epochs. It starts processes of its own, as loaders of
data are, and notes each epoch that it works out in the file trained."""
import json
import os
import subprocess
import sys
import time
import zlib


def say(name, **body):
    print(json.dumps({name: body}), flush=True)


def at(point):
    if point != parameters["stop"] or os.path.exists("gate"):
        return
    with open("stopped.tmp", "w") as file:
        file.write(str(os.getpid()))
    os.replace("stopped.tmp", "stopped")
    while not os.path.exists("gate"):
        time.sleep(0.002)


init = json.loads(sys.stdin.readline())["init"]
parameters = init["parameters"]
for apart in (False, True):
    subprocess.Popen(["sleep", "1000"], start_new_session=apart)  # which keep the output open
at("before ready")
say("ready", protocol=1)
state = {"epoch": 0, "sum": 0, "said": []}
if init["resume"]:
    with open(init["checkpoint"]) as file:
        state = json.load(file)
for said in state["said"]:
    say("epoch", **said)
at("ready")
while state["epoch"] < parameters["epochs"]:
    epoch = state["epoch"] + 1
    state["epoch"], state["sum"] = epoch, (state["sum"] + zlib.crc32(f"{init['seed']} {epoch}".encode())) % 1000003
    state["said"].append({"epoch": epoch, "metrics": {"valid": state["sum"] / 1000003, "loss": epoch / 7}})
    with open("trained", "a") as file:
        file.write(f"{epoch} ")
    say("epoch", **state["said"][-1])
    at(f"epoch {epoch} said")
    with open(init["checkpoint"] + ".tmp", "w") as file:
        text = json.dumps(state)
        file.write(text[:5])
        file.flush()
        at(f"checkpoint {epoch} being written")
        file.write(text[5:])
    os.replace(init["checkpoint"] + ".tmp", init["checkpoint"])
    at(f"checkpoint {epoch} written")
    say("checkpoint", epoch=epoch)
    at(f"checkpoint {epoch} said")
valid = state["sum"] / 1000003
say("result", metrics={"valid": valid, "test": valid / 4}, parameters=123, epochs=state["epoch"])
at("result said")
