#!/usr/bin/env python3
"""Times kernel starts over Jupyter's own client: requests and answers are JSON lines.

{"argv": [...]} starts a kernel with that command line, in which {connection_file} is filled in, and
answers {"seconds": s}: from the start of the process to the reply of the first executed cell.
The client asks for kernel_info at once and runs 1+1 when that is answered. It listens to IOPub, as
every front end does: our kernel holds the first cell back until it does."""
import json
import os
import subprocess
import sys
import tempfile
import time

from kernel_client import LIMIT, connect


def reply(client, request):
    deadline = time.monotonic() + LIMIT
    while True:
        message = client.get_shell_msg(timeout=max(0.1, deadline - time.monotonic()))
        if message["parent_header"].get("msg_id") == request:
            return message["content"]


def start(argv):
    with tempfile.TemporaryDirectory() as folder:
        path, client, context = connect(folder)
        began = time.perf_counter()
        process = subprocess.Popen([a.replace("{connection_file}", path) for a in argv], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            client.start_channels(stdin=False, hb=False)
            reply(client, client.kernel_info())
            answer = reply(client, client.execute("1+1"))
            seconds = time.perf_counter() - began
            if answer["status"] != "ok":
                raise RuntimeError("the first cell failed: %s" % answer)
            return seconds
        finally:
            client.shutdown()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            client.stop_channels()
            context.destroy(linger=0)


# As a user's, the history grows from start to start; it is not the user's own.
home = tempfile.TemporaryDirectory()
environment = {**os.environ, "EVALNAS_HISTORY": os.path.join(home.name, "history.jsonl")}
for line in sys.stdin:
    request = json.loads(line)
    argv = [sys.executable if a == "{python}" else a for a in request["argv"]]
    print(json.dumps({"seconds": start(argv)}), flush=True)
