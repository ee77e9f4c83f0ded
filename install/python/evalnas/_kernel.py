"""One kernel of ours behind a Python session: started when it is first asked, ended with it.

Its output is read by a thread, so that live tables go on between cells as well: jobs outlive the
cell that started them, and their table changes without a cell that runs. The thread hands what
belongs to the running cell to the cell's own thread, which shows it in order.
"""
import atexit
import os
import queue
import signal
import threading
import time

try:
    import zmq
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import KernelManager
except ImportError as missing:
    raise ImportError(f"the cells of evalnas in Python need jupyter_client, which cannot be imported here ({missing}): pip install jupyter_client (or evalnas[magic])") from missing

from evalnas._program import program
from evalnas._values import Brief

START_SECONDS = 60
AGAIN_SECONDS = 0.2  # between two interrupts of one cell
ANSWER_SECONDS = 5
LAST = object()


class KernelDied(Brief, RuntimeError):
    """The kernel ended while it was asked."""


class OwnSpec(KernelSpecManager):
    """The kernel of this package's program, whatever other kernelspecs there are."""

    def get_kernel_spec(self, kernel_name):
        return KernelSpec(argv=[program(), "kernel", "{connection_file}"], display_name="evalnas", language="starlark", interrupt_mode="message")


class Interrupts:
    """Counts the interrupts of Python while a cell runs.

    A KeyboardInterrupt may come between any two steps: half of a message would be sent, or one that
    was taken from its queue be lost, and the cell waited for without end.
    """

    def __init__(self):
        self.count = 0
        self.earlier = None  # what handled them before; None where that cannot be changed

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # others get none
            self.earlier = signal.getsignal(signal.SIGINT)
        if self.earlier is not None:
            signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_):
        self.count += 1

    def __exit__(self, *_):
        if self.earlier is not None:
            signal.signal(signal.SIGINT, self.earlier)


class Interrupt:
    """An interrupt of the running cell, sent until the cell heeds it: the kernel forgets one that
    overtakes the cell's own request, which goes by another channel."""

    def __init__(self, session, control):
        self.session, self.control = session, control
        self.sent = 0  # when
        self.unanswered = 0

    def insist(self):
        self._hear(0)
        if not self.unanswered and time.monotonic() - self.sent > AGAIN_SECONDS:
            self.session.send(self.control, "interrupt_request", {})
            self.sent, self.unanswered = time.monotonic(), 1

    def settle(self):
        """Waits for the answer: an interrupt that is under way would end the next cell."""
        if self.unanswered:
            self._hear(ANSWER_SECONDS)

    def _hear(self, seconds):
        while self.control.poll(int(1000 * seconds)):
            _, message = self.session.recv(self.control, mode=zmq.NOBLOCK)
            if message is not None and message["msg_type"] == "interrupt_reply":
                self.unanswered = seconds = 0


class Kernel:
    """A started kernel. Only the thread that made it may call its methods.

    between(message) is called by the reading thread, for output that belongs to no running cell.
    """

    def __init__(self, between):
        self.between = between
        self.owner = os.getpid()
        self.manager = KernelManager(kernel_name="evalnas", kernel_spec_manager=OwnSpec())
        self.manager.start_kernel(cwd=os.getcwd())
        self.session = self.manager.session
        self.ended = threading.Event()  # or about to
        self.deaf = threading.Event()  # nothing is read any more
        self.current = None  # the request whose output goes to the queue
        self.outputs = queue.SimpleQueue()
        self.shell = self.manager.connect_shell(identity=self.session.bsession)
        self.control = self.manager.connect_control(identity=self.session.bsession)
        self.iopub = self.manager.connect_iopub()
        self.heard = threading.Event()  # some output came: the subscription stands
        self.reader = threading.Thread(target=self._read, name="evalnas output", daemon=True)
        self.reader.start()
        atexit.register(self.end)
        try:
            self._await_ready()
        except BaseException:
            self.end()
            raise

    def _await_ready(self):
        """Asks until both an answer and output have come."""
        deadline = time.monotonic() + START_SECONDS
        answered = False
        while not (answered and self.heard.is_set()):
            if not self.alive():
                raise KernelDied(f"{program()} ended when it was started as a kernel; evalnas doctor says more")
            if time.monotonic() > deadline:
                raise KernelDied(f"{program()} does not answer as a kernel after {START_SECONDS} s; evalnas doctor says more")
            self.session.send(self.shell, "kernel_info_request")
            if self._reply(0.5) is not None:
                answered = True
                self.heard.wait(0.5)
        while self._reply(0):  # answers to what was asked twice
            pass

    def alive(self):
        return self.manager.is_alive()

    def _reply(self, seconds):
        """The next message on the shell channel, None if none comes."""
        if not self.shell.poll(int(1000 * seconds)):
            return None
        _, message = self.session.recv(self.shell, mode=zmq.NOBLOCK)
        return message

    def _read(self):
        while not self.deaf.is_set():
            try:
                if not self.iopub.poll(100):
                    continue
                _, message = self.session.recv(self.iopub, mode=zmq.NOBLOCK)
            except zmq.ZMQError:
                break  # the context has ended, with Python
            except Exception:  # not a message of the kernel's: its signature is wrong
                continue
            if message is None:
                continue
            self.heard.set()
            if message["parent_header"].get("msg_id") == self.current and self.current:
                self.outputs.put(message)
            elif message["msg_type"] != "status" and not self.ended.is_set():
                try:
                    self.between(message)
                except Exception:  # what cannot be shown must not end the reading
                    pass
        self.iopub.close(linger=0)

    def execute(self, code, show, silent=False, expressions=None):
        """Runs a cell and returns the content of its reply; show(message) is called for each output.

        An interrupt is passed on and the cell waited for, which ends with an error of that name. A
        second one ends the kernel.
        """
        content = {"code": code, "silent": silent, "store_history": not silent, "user_expressions": expressions or {}, "allow_stdin": False, "stop_on_error": True}
        request = self.session.msg("execute_request", content)
        reply, idle, interrupt = None, False, None
        with Interrupts() as came:
            self.current = request["header"]["msg_id"]
            try:
                self.session.send(self.shell, request)
                while not (reply and idle):
                    if came.count > 1:
                        self.end()
                        raise KeyboardInterrupt
                    if came.count and not reply:
                        interrupt = interrupt or Interrupt(self.session, self.control)
                        interrupt.insist()
                    shown = not idle and self._pump(show)
                    idle = idle or shown is LAST
                    message = None if reply else self._reply(0.05 if idle else 0)
                    if message is not None and message["parent_header"].get("msg_id") == self.current:
                        reply = message
                    if not shown and message is None and not self.alive():
                        raise KernelDied("the kernel of the evalnas cells has ended, and what they had defined is gone; jobs go on, and the next cell starts a new kernel")
                if interrupt:
                    interrupt.settle()
            finally:
                self.current = None
        if came.count and reply["content"]["status"] == "ok":
            raise KeyboardInterrupt  # it came too late for this cell: what follows it must not run
        return reply["content"]

    def _pump(self, show):
        """Shows what has come next, and says so: LAST for the end of the cell's output. Waits a
        moment if there is nothing."""
        try:
            message = self.outputs.get(timeout=0.05)
        except queue.Empty:
            return None
        if message["msg_type"] != "status":
            show(message)
        elif message["content"]["execution_state"] == "idle":
            return LAST
        return True

    def end(self):
        """Ends the kernel; may be called twice, and does nothing in a forked process."""
        if self.ended.is_set() or os.getpid() != self.owner:
            return
        self.ended.set()
        atexit.unregister(self.end)
        try:
            self.manager.shutdown_kernel(now=not self.alive())
        finally:
            self.deaf.set()  # after the kernel, which complains of who leaves before it
            self.reader.join(2)
            for socket in (self.shell, self.control):
                socket.close(linger=0)
