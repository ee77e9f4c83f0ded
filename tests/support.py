"""What the Python tests share: a kernel of our own, and its answers.

    .venv/bin/python -m unittest discover -s tests -p test_robust.py

The tests speak to the kernel that `make venv-test` installed into .venv, by
Jupyter's own client. Each has a study of its own in a scratch folder, so that no
job of an earlier run is found again.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from queue import Empty

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = ROOT / "bin" / "evalnas"
KERNEL = "evalnas"
SEEDS = range(1268, 1278)  # the ten of the paper
STATES = ("pending", "running", "checkpointed", "preempted", "done", "failed", "cancelled", "lost")

# A kernel of the same name in the user's folder must not be tested instead, no study of a
# test be listed among the user's, and no cell be kept in the user's history.
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
os.environ["EVALNAS_STUDIES_FILE"] = os.devnull
os.environ["EVALNAS_HISTORY"] = "off"

from jupyter_client.blocking.client import BlockingKernelClient  # noqa: E402
from jupyter_client.manager import KernelManager  # noqa: E402


@dataclass
class Answer:
    """What one cell brought: the reply, and its outputs in the order they came."""

    reply: dict
    outputs: list = field(default_factory=list)

    @property
    def status(self):
        return self.reply["content"]["status"]

    @property
    def text(self):
        """All that was printed."""
        return "".join(o["content"]["text"] for o in self.outputs if o["msg_type"] == "stream")

    @property
    def result(self):
        """The value shown as text, None if there was none."""
        for output in self.outputs:
            if output["msg_type"] == "execute_result":
                return output["content"]["data"]["text/plain"]
        return None


def until(check, what, seconds=30):
    """Polls until check gives something true, and gives it back."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def collect(client, request, seconds=60):
    """Waits for a request's reply and for the idle that follows its outputs."""
    deadline = time.monotonic() + seconds
    answer = Answer(reply=None)
    idle = False
    while not (idle and answer.reply):
        if time.monotonic() > deadline:
            raise AssertionError(f"no {'reply' if idle else 'idle'} within {seconds} s; so far {answer}")
        with contextlib.suppress(Empty):
            message = client.get_iopub_msg(timeout=0.05)
            if message["parent_header"].get("msg_id") == request:
                if message["msg_type"] == "status":
                    idle = message["content"]["execution_state"] == "idle"
                else:
                    answer.outputs.append(message)
        with contextlib.suppress(Empty):
            reply = client.get_shell_msg(timeout=0)
            if reply["parent_header"].get("msg_id") == request:
                answer.reply = reply
    return answer


def run(client, code, seconds=60, **options):
    """Executes a cell to its end."""
    return collect(client, client.execute(code, **options), seconds)


def good(client, code, seconds=60, **options):
    """Executes a cell that must not fail."""
    answer = run(client, code, seconds, **options)
    if answer.status != "ok":
        raise AssertionError(f"{code!r} failed: {answer.reply['content'].get('evalue')}\n" + "\n".join(answer.reply["content"].get("traceback", [])))
    return answer


@contextlib.contextmanager
def scratch_folder():
    """A folder for one test. Jobs in it are cancelled before it goes."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="evalnas-test-"))
    try:
        yield folder
    finally:
        for job in folder.glob("**/jobs/*/job.json"):
            (job.parent / "cancel").touch()
        until(lambda: not processes_of(folder), f"the jobs in {folder} end", 30)
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder):
    """The ids of our processes whose study is in the folder (Linux; elsewhere none)."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "exe").removesuffix(" (deleted)") != str(BINARY):
                continue
            if str(folder) in (process / "cmdline").read_text() + (process / "environ").read_text():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@contextlib.contextmanager
def kernel(folder, stderr=None, **environment):
    """A started kernel whose study is in the folder: its manager and a client."""
    manager = KernelManager(kernel_name=KERNEL)
    # With slots of its own no other study on this machine keeps the jobs waiting.
    own = {"EVALNAS_STUDY": str(folder / "study"), "EVALNAS_SLOT_DIR": str(folder / "slots")}
    manager.start_kernel(cwd=str(folder), env={**os.environ, **own, **environment}, stderr=stderr)
    client = None
    try:
        client = another_client(manager)
        yield manager, client
    finally:
        if client:
            client.stop_channels()
        manager.shutdown_kernel(now=True)


def another_client(manager, seconds=20):
    """A client with a session, and so a ZeroMQ identity, of its own."""
    client = BlockingKernelClient(connection_file=manager.connection_file)
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=seconds)
    except BaseException:
        client.stop_channels()
        raise
    return client


def rows(html):
    """The rows of a table's HTML, each a list of its cells' text."""
    strip = lambda markup: re.sub(r"<[^>]*>", "", markup).strip()  # noqa: E731
    return [[strip(cell) for cell in re.findall(r"(?s)<t[dh][^>]*>(.*?)</t[dh]>", row)] for row in re.findall(r"(?s)<tr[^>]*>(.*?)</tr>", html)]


def seed_states(bundle):
    """What a search's live table says of each seed, from its HTML; empty for other outputs."""
    html = bundle.get("text/html", "")
    return {int(row[0]): row[1] for row in rows(html) if len(row) > 2 and row[0].isdigit() and row[1] in STATES}


def loaded():
    """Whether this machine has more to do than it has processors, so that bounds of time need slack."""
    return os.getloadavg()[0] > os.cpu_count()


def process_id(manager):
    return manager.provisioner.process.pid


def jobs(folder):
    """The jobs of the folder's study: (job.json, result.json or None) of each."""
    found = []
    for file in sorted((folder / "study" / "jobs").glob("*/job.json")):
        result = file.with_name("result.json")
        found.append((json.loads(file.read_text()), json.loads(result.read_text()) if result.exists() else None))
    return found
