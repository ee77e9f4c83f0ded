"""A kernel behind a real Jupyter server, which shows no more than so much output a second, and may be killed."""
import contextlib
import json
import os
import socket
import subprocess
import sys
import unittest
import urllib.request
import uuid

import support
import websocket


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def jupyter_server(folder):
    """A server with its settings and files in the folder: its process, and its address without the scheme."""
    port = free_port()
    environment = {**os.environ, "EVALNAS_STUDY": str(folder / "study"), "EVALNAS_SLOT_DIR": str(folder / "slots"), "JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
             "--ServerApp.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={folder}"],
            env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"127.0.0.1:{port}"
        support.until(lambda: answers(server, address), f"the server answers; see {folder}/server.log", 60)
        yield server, address
    finally:
        server.terminate()
        server.wait(30)


def answers(server, address):
    if server.poll() is not None:
        raise AssertionError(f"the server ended with status {server.returncode}")
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"http://{address}/api", timeout=5)


class Notebook:
    """What JupyterLab does: a session, and its kernel's messages over a websocket."""

    def __init__(self, address):
        body = json.dumps({"path": "some.ipynb", "name": "some", "type": "notebook", "kernel": {"name": support.KERNEL}})
        request = urllib.request.Request(f"http://{address}/api/sessions", body.encode(), {"Content-Type": "application/json"})
        kernel = json.load(urllib.request.urlopen(request, timeout=60))["kernel"]["id"]
        self.session = uuid.uuid4().hex
        self.socket = websocket.create_connection(f"ws://{address}/api/kernels/{kernel}/channels?session_id={self.session}", timeout=60)

    def run(self, code):
        """Executes a cell: what the front end gets of its outputs."""
        request = uuid.uuid4().hex
        header = {"msg_id": request, "session": self.session, "username": "", "date": "2026-01-02T03:04:05Z", "msg_type": "execute_request", "version": "5.2"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True, "stop_on_error": True}
        self.socket.send(json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}))
        outputs = []
        while True:
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") != request or message["channel"] != "iopub":
                continue
            if message["content"].get("execution_state") == "idle":
                return outputs
            outputs.append(message)


class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(support.scratch_folder())
        _, address = cls.enterClassContext(jupyter_server(folder))
        cls.notebook = Notebook(address)
        cls.addClassCleanup(cls.notebook.socket.close)

    def text(self, outputs, name="stdout"):
        return "".join(o["content"]["text"] for o in outputs if o["msg_type"] == "stream" and o["content"]["name"] == name)

    def test_eight_megabytes_are_all_shown(self):
        outputs = self.notebook.run("for i in range(80000): print(i, 'x' * 93)")
        self.assertEqual(self.text(outputs, "stderr"), "", "nothing is said of rates")
        self.assertEqual(self.text(outputs), "".join(f"{i} {'x' * 93}\n" for i in range(80000)))

    def test_four_thousand_displays_are_all_shown(self):
        outputs = self.notebook.run("for i in range(4000): display(i)")
        self.assertEqual(self.text(outputs, "stderr"), "", "nothing is said of rates")
        shown = [o["content"]["data"]["text/plain"] for o in outputs if o["msg_type"] == "display_data"]
        self.assertEqual(shown, [str(i) for i in range(4000)])

    def test_a_large_picture_is_shown(self):
        outputs = self.notebook.run("display(HTML('<i>' + 'x' * 10000000 + '</i>'))")
        sizes = [len(o["content"]["data"]["text/html"]) for o in outputs if o["msg_type"] == "display_data"]
        self.assertEqual(sizes, [10000007])


class ServerDeathTest(unittest.TestCase):
    """A server that is killed can shut down no kernel: the kernel ends by itself, and its jobs go on."""

    budget = 1000

    def test_the_kernel_ends_and_its_jobs_go_on(self):
        folder = self.enterContext(support.scratch_folder())
        server, address = self.enterContext(jupyter_server(folder))
        notebook = Notebook(address)
        self.addCleanup(notebook.socket.close)
        notebook.run("1 + 1")
        [kernel] = support.processes_of(folder)
        notebook.run(f'search("enas", nasbench101(), params(), seeds=[1, 2], budget={self.budget})')
        self.assertEqual([result for _, result in support.jobs(folder)], [None, None], "the server is to be killed in mid-search")

        server.kill()
        server.wait()
        support.until(lambda: kernel not in support.processes_of(folder), "the kernel ends by itself", 20)
        results = support.until(lambda: (found := [result for _, result in support.jobs(folder)]) and all(found) and found, "the jobs have their results", 300)
        self.assertEqual([result["result"]["evaluations"] for result in results], [self.budget] * 2)


if __name__ == "__main__":
    unittest.main()
