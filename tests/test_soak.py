"""A kernel in use for half an hour: two clients do all that clients do, at random, and nothing grows.

    EVALNAS_TORTURE=1 .venv/bin/python -m unittest discover -s tests -p test_soak.py

Without EVALNAS_TORTURE it lasts twenty seconds. EVALNAS_SOAK_SECONDS chooses another
length and EVALNAS_SOAK_SEED other random choices; how the two clients fall in with
each other is the machine's affair.

What the kernel holds is asked of the system and of Go's runtime, which writes its
goroutines and its live memory to standard error where GODEBUG says so: the kernel
itself has nothing for it.
"""
import os
import pathlib
import random
import re
import statistics
import threading
import time
import unittest
from collections import Counter
from queue import Empty

import support
from support import collect, run, until

TORTURE = os.environ.get("EVALNAS_TORTURE") == "1"
PATIENCE = 120  # seconds for any one answer: it may wait for the other client's search
SAMPLE = 1  # second between two looks at the kernel
# The kernel remembers the signatures of so many requests. They are made first: memory that
# grows to its bound is no leak.
SIGNATURES = 1 << 16
# What the kernel says of a client that leaves while it is written to.
LEFT = re.compile(r"connection cut.*(?:broken pipe|reset by peer)")
FINAL = {"done", "failed", "cancelled"}

# What may come to what is held, from one third of the soak to the next: a share of it, and a number.
SLACK = {
    "goroutines": (0, 4),
    "descriptors": (0, 3),
    "threads": (0, 4),
    "live heap, MB": (0.1, 2),
    "resident memory, MB": (0.15, 8),
}


def rise(series, share, number):
    """Says how the last third of a series exceeds the second by more than is allowed; "" if it does not.

    The first third is for warming up. Medians are compared, so that neither what two
    clients happen to hold at one moment counts nor when memory was collected."""
    third = len(series) // 3
    if third < 2:
        raise ValueError(f"{len(series)} samples are too few to judge: there must be 6")
    before, after = statistics.median(series[third:2 * third]), statistics.median(series[2 * third:])
    return f"{before:g} became {after:g}" if after > before * (1 + share) + number else ""


class RiseTest(unittest.TestCase):
    def test_a_leak_is_seen(self):
        rng = random.Random(1)
        leak = [30 + i // 30 + rng.randrange(3) for i in range(600)]  # one every half minute, for ten
        self.assertEqual(rise(leak, *SLACK["goroutines"]).split()[1], "became")
        heap = [20 + 0.01 * i + rng.uniform(0, 10) for i in range(1800)]
        self.assertTrue(rise(heap, *SLACK["live heap, MB"]))

    def test_what_is_flat_is_not_a_leak(self):
        rng = random.Random(2)
        for series in (
            [rng.uniform(20, 40) for _ in range(1800)],
            [10] * 500 + [60] * 1000,  # grown while warming up
            [30] * 900 + [300] + [30] * 899,  # a moment's
            [60 - i / 60 for i in range(1800)],
        ):
            self.assertEqual(rise(series, *SLACK["live heap, MB"]), "")

    def test_the_runtime_is_read(self):
        trace = (
            "SCHED 1005ms: gomaxprocs=2 idleprocs=1 threads=7 ...\n  P0: status=0\n  G1: status=4(chan receive) m=nil lockedm=nil\n"
            "  G2: status=6() m=nil lockedm=nil\n  G18: status=3() m=2 lockedm=nil\n"
            "gc 3 @0.061s 4%: 0.1+0.9+0.02 ms clock, 0.1+0.1/0.1/0.1+0.1 ms cpu, 4->5->2 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P\n"
            "SCHED 2006ms: gomaxprocs=2\n  G1: status=4(select) m=nil lockedm=nil\n"
        )
        self.assertEqual(runtime_series(trace), {"goroutines": [2, 1], "live heap, MB": [2]})


def runtime_series(text):
    """The series in what Go's runtime wrote: running or waiting goroutines, memory after each collection."""
    counts = [len(re.findall(r"^  G\d+: status=(?!6\()", part, re.MULTILINE)) for part in re.split(r"^SCHED ", text, flags=re.MULTILINE)[1:]]
    return {"goroutines": counts, "live heap, MB": [int(n) for n in re.findall(r"^gc \d+ @.* \d+->\d+->(\d+) MB", text, re.MULTILINE)]}


class Visitor(threading.Thread):
    """A client that does one thing after the other, chosen at random, and checks each answer.

    It goes on until the time is up and it has done the least that it must.
    fault is what went wrong, None if nothing did. Cells share their globals, and %reset
    comes at any moment: a cell relies on no name that an earlier one bound."""

    def __init__(self, name, manager, seed, end, least):
        super().__init__(name=name, daemon=True)
        self.manager, self.end, self.least = manager, end, least
        self.random = random.Random(f"{seed} {name}")
        self.first = self.random.randrange(1 << 40)  # of the seeds of searches: the jobs are new
        self.done = Counter()
        self.fault = self.other = self.client = None
        self.failing = self.failed = 0  # cells that end in an error and abort what waits behind them
        self.actions = {
            self.value: 8, self.makes_garbage: 4, self.prints: 6, self.displays: 4, self.updates: 4, self.silently: 3, self.expressions: 3,
            self.completes: 5, self.inspects: 5, self.asks_history: 3, self.asks_if_complete: 3, self.kernel_info: 4, self.comms: 2,
            self.fails: 4, self.interrupts: 2, self.is_asked: 3, self.resets: 1, self.leaves: 1,
            self.waits: 2, self.watches: 2, self.cancels: 2,
        }

    def run(self):
        act = None
        try:
            self.connect()
            while (time.monotonic() < self.end or self.done.total() < self.least) and not self.other.fault:
                [act] = self.random.choices(list(self.actions), self.actions.values())
                act()
                self.done[act.__name__] += 1
                time.sleep(self.random.uniform(0, 0.1))
        except BaseException as fault:
            fault.add_note(f"{self.name} {act and act.__name__} after {self.done.total()} others")
            self.fault = fault
        finally:
            if self.client:
                self.client.stop_channels()

    def connect(self):
        self.client = support.another_client(self.manager, PATIENCE)
        self.shown = {}  # the last state of each display
        receive = self.client.get_iopub_msg

        def record(**options):
            message = receive(**options)
            if display := message["content"].get("transient", {}).get("display_id"):
                self.shown[display] = message["content"]["data"]
            return message

        self.client.get_iopub_msg = record

    def cell(self, code, status="ok", **options):
        """Executes a cell to its end, again if an error of the other client aborted it."""
        while True:
            failed = self.other.failed
            answer = run(self.client, code, PATIENCE, **options)
            if answer.status != "aborted":
                same(answer.status, status, f"{code!r}, {answer.reply['content']}")
                return answer
            self.excuse(failed, code)

    def excuse(self, failed, code):
        """A cell may be aborted only if one of the other's failed meanwhile; failed is how many had before."""
        if self.other.failing == failed:
            raise AssertionError(f"{code!r} was aborted, and no cell had failed")

    def begin(self, code, **options):
        """Sends a cell and returns its request when the kernel has begun it."""
        while True:
            failed = self.other.failed
            request = self.client.execute(code, **options)
            if self.begun(request):
                return request
            self.excuse(failed, code)

    def begun(self, request):
        """Waits until a cell begins; False if it was aborted."""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "execute_input" or message["content"].get("execution_state") == "idle":
                return message["msg_type"] == "execute_input"

    def ask(self, request, **content):
        """Sends a request on the shell channel and returns the content of its reply, which must be ok."""
        message = self.client.session.msg(f"{request}_request", content)
        self.client.shell_channel.send(message)
        return replied(collect(self.client, message["header"]["msg_id"], PATIENCE).reply, request)

    def control(self, request):
        message = self.client.session.msg(f"{request}_request", {})
        self.client.control_channel.send(message)
        reply = self.client.get_control_msg(timeout=PATIENCE)
        same(reply["parent_header"]["msg_id"], message["header"]["msg_id"], "the reply's parent")
        return replied(reply, request)

    # Cells.

    def value(self):
        a, b = self.random.randrange(1 << 70), self.random.randrange(1 << 70)
        same(self.cell(f"{a} * {b}").result, str(a * b), "a product")

    def makes_garbage(self):
        same(self.cell("some = [str(i) for i in range(200000)]\nsome = len(some)\nsome").result, "200000", "a length")

    def prints(self):
        n = self.random.choice((1, 10, 1000))
        same(self.cell(f"for i in range({n}): print('{self.name} 𝔸', i)").text, "".join(f"{self.name} 𝔸 {i}\n" for i in range(n)), "what was printed")

    def displays(self):
        call, mime, shown = self.random.choice((
            ("HTML('<b>b</b>')", "text/html", "<b>b</b>"), ("Markdown('**b**')", "text/markdown", "**b**"), ("JSON({'b': [1]})", "application/json", {"b": [1]}),
            ("Latex('$b$')", "text/latex", "$b$"), ("7", "text/plain", "7"),
        ))
        outputs = [o["content"]["data"].get(mime) for o in self.cell(f"display({call})").outputs if o["msg_type"] == "display_data"]
        same(outputs, [shown], call)

    def updates(self):
        display, n = f"{self.name}-{self.done['updates']}", self.random.randrange(2, 50)
        self.cell(f"display(-1, display_id={display!r})")
        self.cell(f"for i in range({n}): update_display(i, display_id={display!r})")
        same(self.shown.pop(display)["text/plain"], str(n - 1), "the last update")

    def silently(self):
        same(self.cell("print(1)\n2", silent=True).outputs, [], "outputs of a silent cell")

    def expressions(self):
        values = self.cell("pass", user_expressions={"sum": "1 + 1", "bad": "1 // 0"}).reply["content"]["user_expressions"]
        same((values["sum"]["data"]["text/plain"], values["bad"]["ename"]), ("2", "ZeroDivisionError"), "user expressions")

    def fails(self):
        code, name = self.random.choice((("1 // 0", "ZeroDivisionError"), ("fail('x')", "Error"), ("not_there", "NameError"), ("x = = 1", "SyntaxError")))
        self.failing_cell(lambda stop: self.cell(code, "error", stop_on_error=stop), name)

    def interrupts(self):
        self.failing_cell(self.interrupted_loop, "KeyboardInterrupt")

    def failing_cell(self, execute, name):
        """Has a cell end in an error, which aborts what waits behind it or does not."""
        stop = self.random.random() < 0.5
        self.failing += stop
        answer = execute(stop)
        self.failed += stop
        same(answer.reply["content"]["ename"], name, "the error")

    def interrupted_loop(self, stop):
        request = self.begin("while True: pass", stop_on_error=stop)
        self.control("interrupt")
        return collect(self.client, request, PATIENCE)

    def is_asked(self):
        """Answers a question of its own cell."""
        request = self.begin("print('hello,', input('who? '))", allow_stdin=True)
        question = self.client.get_stdin_msg(timeout=PATIENCE)
        same((question["content"]["prompt"], question["parent_header"]["msg_id"]), ("who? ", request), "the question")
        self.client.input(self.name)
        same(collect(self.client, request, PATIENCE).text, f"hello, {self.name}\n", "the answer")

    def resets(self):
        self.cell("%reset")

    # Other requests.

    def completes(self):
        reply = self.ask("complete", code="'𝔸'; enumer", cursor_pos=11)
        same((reply["matches"], reply["cursor_start"], reply["cursor_end"]), (["enumerate"], 5, 11), "the completion")

    def inspects(self):
        same(self.ask("inspect", code="search(", cursor_pos=7, detail_level=0)["found"], True, "the documentation")

    def asks_history(self):
        kind = self.random.choice(({"hist_access_type": "tail", "n": 10}, {"hist_access_type": "search", "pattern": "*print*", "n": 5}))
        for entry in self.ask("history", output=False, raw=True, **kind)["history"]:
            same((len(entry), type(entry[2])), (3, str), "an entry of the history")

    def asks_if_complete(self):
        for code, status in (("def f(x):", "incomplete"), ("1 + 1", "complete"), ("x = = 1", "invalid")):
            reply = collect(self.client, self.client.is_complete(code), PATIENCE).reply
            same(reply["content"]["status"], status, code)

    def kernel_info(self):
        for reply in (self.ask("kernel_info"), self.control("kernel_info")):
            same(reply["implementation"], "evalnas", "the implementation")

    def comms(self):
        same(self.ask("comm_info")["comms"], {}, "comms")
        message = self.client.session.msg("comm_open", {"comm_id": "c", "target_name": "nobody", "data": {}})
        self.client.shell_channel.send(message)
        until(lambda: self.next_output(message["header"]["msg_id"]) == "comm_close", "a comm to nobody is closed", PATIENCE)

    def next_output(self, request):
        message = self.client.get_iopub_msg(timeout=PATIENCE)
        return message["msg_type"] if message["parent_header"].get("msg_id") == request else None

    def leaves(self):
        """Goes, maybe in the middle of a cell, and comes back as another client."""
        if self.random.random() < 0.5:
            self.client.execute("for i in range(100000): print(i)", stop_on_error=False)
        self.client.stop_channels()
        self.client = None
        time.sleep(self.random.uniform(0, 0.5))
        self.connect()

    # Searches.

    def begin_search(self, budget, policy="random"):
        """Starts a new search of two seeds and shows it; returns its code, its id and its display's."""
        seeds = self.first + 2 * (self.done["waits"] + self.done["watches"] + self.done["cancels"])
        code = f"search({policy!r}, nasbench101(), params(), seeds=[{seeds}, {seeds + 1}], budget={budget}, confirm=True)"
        answer = self.cell(f"found = {code}\nprint(found.id)\nfound")
        [display] = [o["content"]["transient"]["display_id"] for o in answer.outputs if o["msg_type"] == "display_data"]
        return code, answer.text.split()[-1], display

    def states(self, display):
        return set(support.seed_states(self.shown[display]).values())

    def see(self, display):
        """Watches a live table until it is final, and returns the states of its seeds."""
        deadline = time.monotonic() + PATIENCE
        while not self.states(display) <= FINAL:
            if time.monotonic() > deadline:
                raise AssertionError(f"the table is not final after {PATIENCE} s: {self.shown[display]['text/plain']}")
            try:
                self.client.get_iopub_msg(timeout=1)
            except Empty:
                continue
        states = self.states(display)
        del self.shown[display]
        return states

    def waits(self):
        code, _, display = self.begin_search(self.random.choice((10, 1000)))
        answer = self.cell(f"wait({code})")
        tables = [support.seed_states(o["content"]["data"]) for o in answer.outputs if o["content"].get("transient", {}).get("display_id") == display]
        same([set(table.values()) for table in tables[-1:]], [{"done"}], "the table under the cell that waited")
        same(self.see(display), {"done"}, "the table of a search that was waited for")

    def watches(self):
        _, _, display = self.begin_search(self.random.choice((10, 1000)))
        same(self.see(display), {"done"}, "the table of a search that was watched")

    def cancels(self):
        _, found, display = self.begin_search(1_000_000, "enas")
        self.cell(f"cancel({found!r})")
        same(self.see(display), {"cancelled"}, "the table of a search that was cancelled")


def same(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, not {want!r}")


def replied(reply, request):
    same((reply["msg_type"], reply["content"]["status"]), (f"{request}_reply", "ok"), "the reply")
    return reply["content"]


def fill(client, count):
    """Has the kernel answer many requests, read by nobody but counted."""
    batch = 512
    for _ in range(0, count, batch):
        for _ in range(batch):
            client.shell_channel.socket.send_multipart(client.session.serialize(client.session.msg("kernel_info_request", {})))
        for _ in range(batch):
            client.shell_channel.socket.recv_multipart()
            while client.iopub_channel.socket.poll(0):
                client.iopub_channel.socket.recv_multipart()


@unittest.skipUnless(pathlib.Path("/proc/self/fd").exists(), "no test by itself: what a process holds is asked of Linux")
class SoakTest(unittest.TestCase):
    def test_twenty_seconds(self):
        # A client that is away for a moment counts in so short a time.
        self.soak(20, least=60, lax=3)

    @unittest.skipUnless(TORTURE, "EVALNAS_TORTURE=1 runs it: half an hour")
    def test_half_an_hour(self):
        self.soak(float(os.environ.get("EVALNAS_SOAK_SECONDS", 1800)), filling=SIGNATURES)

    def soak(self, seconds, least=0, lax=1, filling=0):
        seed = os.environ.get("EVALNAS_SOAK_SEED") or random.randrange(1 << 32)
        print(f"EVALNAS_SOAK_SEED={seed}", flush=True)
        folder = self.enterContext(support.scratch_folder())
        errors = folder / "stderr"
        with open(errors, "wb") as file:
            trace = f"gctrace=1,scheddetail=1,schedtrace={1000 * SAMPLE}"
            # Slots for both: a client that waits for its search keeps the other from cancelling one that has all of them.
            manager, client = self.enterContext(support.kernel(folder, stderr=file, GODEBUG=trace, EVALNAS_SLOTS="6"))
        fill(client, filling)
        client.stop_channels()  # it would read nothing from now on
        filled = len(text_of(errors))
        visitors, series = self.visit(manager, [Visitor(name, manager, seed, time.monotonic() + seconds, least) for name in ("anna", "bert")])
        said = text_of(errors)
        series |= runtime_series(said[filled:])
        self.report(visitors, series, folder)
        for visitor in visitors:
            if visitor.fault:
                raise visitor.fault
        complaints = re.findall(r".*(?:level=(?:WARN|ERROR)|panic|fatal error).*", said)
        self.assertEqual([line for line in complaints if not LEFT.search(line)], [], "the kernel's log")
        risen = {name: rise(series[name], share, lax * number) for name, (share, number) in SLACK.items()}
        self.assertEqual({name: how for name, how in risen.items() if how}, {}, "what grew")
        until(lambda: support.processes_of(folder) == [support.process_id(manager)], "nothing but the kernel is left", 60)

    def visit(self, manager, visitors):
        """Has the two clients at work; returns them, and what the kernel held in the meantime."""
        visitors[0].other, visitors[1].other = visitors[1], visitors[0]
        for visitor in visitors:
            visitor.start()
        samples = []
        while any(visitor.is_alive() for visitor in visitors):
            self.assertTrue(manager.is_alive(), "the kernel is dead")
            samples.append(held(support.process_id(manager)))
            time.sleep(SAMPLE)
        return visitors, {name: [sample[name] for sample in samples] for name in samples[0]}

    def report(self, visitors, series, folder):
        done = sum((visitor.done for visitor in visitors), Counter())
        print(", ".join(f"{name} {n}" for name, n in sorted(done.items())))
        for name, values in series.items():
            step = max(1, len(values) // 12)
            print(f"{name}: {' '.join(f'{statistics.median(values[i:i + step]):g}' for i in range(0, len(values), step))}", flush=True)
        searches = done["waits"] + done["watches"] + done["cancels"]
        if searches:
            size = sum(f.stat().st_size for f in (folder / "study").rglob("*") if f.is_file())
            print(f"the study has {size / 1000 / searches:.0f} kB for each of {searches} searches")


def text_of(file):
    return file.read_text(errors="replace")


def held(process):
    """What a process holds, by the system."""
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines())
    return {
        "resident memory, MB": int(status["VmRSS"].split()[0]) / 1024,
        "threads": int(status["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{process}/fd")),
    }


if __name__ == "__main__":
    unittest.main()
