#!/usr/bin/env python3
"""Measures kernels over Jupyter's own client: requests and answers are JSON lines.

{"argv": [...], "python": true, "measure": name} starts a kernel with that command line, or uses the one
that runs, and answers {"values": [...]} in seconds, or MiB:

  roundtrip  500 times 1+1, from the request to both its reply and its idle
  stdout     10,000 lines printed, to the idle; every line must come
  memory     the process and its children at rest after a cell, resident
  interrupt  from the interrupt of a loop without end to its idle, as the kernel's spec wants it: a
             signal for ipykernel, a message for ours
  shutdown   from the request to the end of the process; the kernel is gone then"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import zmq
from kernel_client import LIMIT, connect

LINES = 10_000


class Kernel:
    def __init__(self, argv, python):
        self.python = python
        self.folder = tempfile.TemporaryDirectory()
        path, self.client, self.context = connect(self.folder.name)
        environment = {**os.environ, "EVALNAS_STUDY": os.path.join(self.folder.name, "study"),
                       "EVALNAS_HISTORY": os.path.join(self.folder.name, "history.jsonl"), "IPYTHONDIR": self.folder.name}
        self.process = subprocess.Popen([a.replace("{connection_file}", path) for a in argv], cwd=self.folder.name, env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=LIMIT)
        for _ in range(20):
            self.execute("1+1")

    def execute(self, code):
        """Returns the seconds to reply and idle, and the lines printed."""
        began = time.perf_counter()
        request = self.client.execute(code, allow_stdin=False)
        shell, iopub = self.client.shell_channel.socket, self.client.iopub_channel.socket
        poller = zmq.Poller()
        poller.register(shell, zmq.POLLIN)
        poller.register(iopub, zmq.POLLIN)
        replied = idle = False
        lines = 0
        while not (replied and idle):
            ready = dict(poller.poll(LIMIT * 1000))
            if not ready:
                raise RuntimeError("no answer to " + code[:60])
            if iopub in ready:
                message = self.client.session.recv(iopub)[1]
                if message["parent_header"].get("msg_id") == request:
                    if message["msg_type"] == "status":
                        idle = message["content"]["execution_state"] == "idle"
                    elif message["msg_type"] == "stream":
                        lines += message["content"]["text"].count("\n")
            if shell in ready:
                message = self.client.session.recv(shell)[1]
                if message["parent_header"].get("msg_id") == request:
                    replied = True
                    if message["content"]["status"] != "ok":
                        raise RuntimeError("the cell failed: %s" % message["content"])
        return time.perf_counter() - began, lines

    def roundtrip(self):
        return [self.execute("1+1")[0] for _ in range(500)]

    def stdout(self):
        seconds, lines = self.execute("for i in range(%d): print(i)" % LINES)
        if lines != LINES:
            raise RuntimeError("%d of %d lines came" % (lines, LINES))
        return [seconds]

    def memory(self):
        time.sleep(0.5)
        return [sum(map(resident, tree(self.process.pid)))]

    def interrupt(self):
        values = []
        for _ in range(5):
            request = self.client.execute("while True: pass", allow_stdin=False)
            self.wait(request, "busy")
            time.sleep(0.3)
            began = time.perf_counter()
            if self.python:
                os.killpg(self.process.pid, signal.SIGINT)
            else:
                self.client.control_channel.send(self.client.session.msg("interrupt_request", {}))
            self.wait(request, "idle")
            values.append(time.perf_counter() - began)
        return values

    def wait(self, request, state):
        while True:
            message = self.client.get_iopub_msg(timeout=LIMIT)
            if message["parent_header"].get("msg_id") == request and message["msg_type"] == "status" and message["content"]["execution_state"] == state:
                return

    def shutdown(self):
        began = time.perf_counter()
        self.client.shutdown()
        while self.process.poll() is None:
            if time.perf_counter() - began > LIMIT:
                raise RuntimeError("the kernel does not end")
            time.sleep(0.0005)
        seconds = time.perf_counter() - began
        self.close()
        return [seconds]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.client.stop_channels()
        self.context.destroy(linger=0)
        self.folder.cleanup()


def tree(pid):
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        for task in os.listdir("/proc/%d/task" % found[-1]):
            with open("/proc/%d/task/%s/children" % (found[-1], task)) as file:
                left += map(int, file.read().split())
    return found


def resident(pid):
    with open("/proc/%d/status" % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


kernels = {}
for line in sys.stdin:
    request = json.loads(line)
    argv = tuple(a.replace("{python}", sys.executable) for a in request["argv"])
    if argv not in kernels:
        kernels[argv] = Kernel(argv, request["python"])
    values = getattr(kernels[argv], request["measure"])()
    if request["measure"] == "shutdown":
        del kernels[argv]
    print(json.dumps({"values": values}), flush=True)
for kernel in kernels.values():
    kernel.close()
