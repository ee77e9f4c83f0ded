"""Jupyter's own conformance tests (jupyter_kernel_test) on our kernel."""
import os
import tempfile
import unittest
import unittest.mock

import jupyter_kernel_test
import support
import zmq
from jupyter_client.manager import KernelManager


class KernelTest(jupyter_kernel_test.KernelTests):
    kernel_name = support.KERNEL
    language_name = "starlark"
    file_extension = ".star"

    code_hello_world = "print('hello, world')"
    completion_samples = [
        {"text": "nasbench101_t", "matches": {"nasbench101_table"}},
        {"text": "enumer", "matches": {"enumerate"}},
        {"text": "'a'.startsw", "matches": {"startswith"}},
        {"text": "nasbench101(max_v", "matches": {"max_vertices="}},
    ]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x * 2\n\n", "x = [1,\n2]"]
    incomplete_code_samples = ["def f(x):", "def f(x):\n  return x", "x = [1,", "'''a", "f(1,"]
    invalid_code_samples = ["def 7(x):", "x = = 1", "]"]
    code_stderr = "print('oops', file=stderr)"
    code_clear_output = "clear_output()"
    code_page_something = "help(search)"
    code_generate_error = "1 // 0"
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "'a' + 'b'", "result": '"ab"'},
        {"code": "[x * x for x in range(4)]", "result": "[0, 1, 4, 9]"},
        {"code": "1 / 4", "result": "0.25"},
        {"code": "nasbench101(max_vertices=4)[0]", "mime": "image/svg+xml"},
    ]
    code_display_data = [
        {"code": "display(nasbench101(max_vertices=4)[0])", "mime": "image/svg+xml"},
        {"code": "display(7)", "mime": "text/plain"},
        {"code": "display(HTML('<b>seven</b>'))", "mime": "text/html"},
        {"code": "display(Markdown('**seven**'), display_id='seven')", "mime": "text/markdown"},
        {"code": "display(Latex('$7$'))", "mime": "text/latex"},
        {"code": "display(JSON({'seven': 7}))", "mime": "application/json"},
        {"code": "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))", "mime": "image/svg+xml"},
    ]
    code_history_pattern = "1 / *"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "nasbench101"

    @classmethod
    def setUpClass(cls):
        # No job is started here, and none that is found shall speak on IOPub.
        cls.study = tempfile.TemporaryDirectory(prefix="evalnas-test-")
        cls.addClassCleanup(cls.study.cleanup)
        os.environ["EVALNAS_STUDY"] = cls.study.name
        cls.addClassCleanup(os.environ.pop, "EVALNAS_STUDY", None)
        super().setUpClass()

    def ask(self, request):
        """The content of the reply to a request on the shell channel."""
        while True:
            reply = self.kc.get_shell_msg(timeout=10)
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]

    def test_completions_have_types_and_signatures_at_code_points(self):
        self.flush_channels()
        code = "'😀😀', enumer"
        reply = self.ask(self.kc.complete(code, len(code)))
        start, end = len(code) - len("enumer"), len(code)
        self.assertEqual((reply["matches"], reply["cursor_start"], reply["cursor_end"]), (["enumerate"], start, end))
        [typed] = reply["metadata"]["_jupyter_types_experimental"]
        self.assertEqual({k: typed[k] for k in ("start", "end", "text", "type")}, {"start": start, "end": end, "text": "enumerate", "type": "function"})
        self.assertIn("(", typed["signature"])

    def test_inspection_is_at_code_points(self):
        self.flush_channels()
        code = "'😀😀', enumerate, 1"
        inside = code.index("enumerate") + 2
        for position, found in ((inside, True), (code.index("1"), False)):
            for detail in (0, 1):
                reply = self.ask(self.kc.inspect(code, position, detail))
                self.assertEqual(reply["found"], found, position)
        self.assertIn("enumerate", self.ask(self.kc.inspect(code, inside))["data"]["text/plain"])

    def test_an_unknown_request_is_refused_in_words(self):
        self.flush_channels()
        message = self.kc.session.msg("teapot_request", {})
        self.kc.shell_channel.send(message)
        reply = self.ask(message["header"]["msg_id"])
        self.assertEqual(reply["status"], "error")
        self.assertIn("teapot_request", reply["evalue"])
        states = [self.kc.get_iopub_msg(timeout=10)["content"]["execution_state"] for _ in range(2)]
        self.assertEqual(states, ["busy", "idle"])


class ManagedTest(KernelTest):
    """The same by a manager with settings of its own."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        if not cls.settings:
            raise unittest.SkipTest("is no test by itself")
        cls.enterClassContext(unittest.mock.patch.object(jupyter_kernel_test, "start_new_kernel", cls.start))
        super().setUpClass()

    @classmethod
    def start(cls, kernel_name):
        manager = KernelManager(kernel_name=kernel_name, **cls.settings)
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=30)
        return manager, client


class IPCTest(ManagedTest):
    settings = {"transport": "ipc"}


class CurveTest(ManagedTest):
    settings = {"transport_encryption": "required"}

    def test_only_its_own_client_is_answered(self):
        said = self.km.get_connection_info()
        self.assertTrue(said["curve_publickey"])
        strangers = {
            "plain": lambda socket: None,
            "another client": lambda socket: set_keys(socket, said["curve_publickey"], *zmq.curve_keypair()),
            "another server": lambda socket: set_keys(socket, zmq.curve_keypair()[0], said["curve_publickey"], said["curve_secretkey"]),
        }
        context = zmq.Context()
        self.addCleanup(context.destroy, linger=0)
        poller = zmq.Poller()
        for name, prepare in strangers.items():
            for port, kind in (("shell_port", zmq.DEALER), ("control_port", zmq.DEALER), ("iopub_port", zmq.SUB)):
                socket = context.socket(kind)
                prepare(socket)
                socket.connect(f"tcp://{said['ip']}:{said[port]}")
                if kind == zmq.SUB:
                    socket.subscribe("")
                else:
                    socket.send_multipart(self.kc.session.serialize(self.kc.session.msg("kernel_info_request", {})))
                poller.register(socket, zmq.POLLIN)
        for _ in range(3):  # which IOPub tells of
            self.assertEqual(support.good(self.kc, "6 * 7").result, "42")
        self.assertEqual(poller.poll(1500), [], "a stranger got something")

    def test_interrupt_restart_and_shutdown(self):
        self.flush_channels()
        request = self.kc.execute("while True:\n    pass")
        self.kc.get_iopub_msg(timeout=10)
        self.km.interrupt_kernel()
        self.assertEqual(support.collect(self.kc, request).status, "error")
        self.km.restart_kernel()
        self.kc.wait_for_ready(timeout=30)
        self.assertEqual(support.good(self.kc, "6 * 7").result, "42")
        self.assertTrue(self.kc.hb_channel.is_beating())


def set_keys(socket, server, public, secret):
    socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (key.encode() if isinstance(key, str) else key for key in (server, public, secret))


class WelcomeTest(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = support.KERNEL
    support_iopub_welcome = True
