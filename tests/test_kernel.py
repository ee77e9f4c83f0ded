"""Jupyter's own conformance tests (jupyter_kernel_test) on our kernel."""
import os
import tempfile

import jupyter_kernel_test
import support


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
    ]
    code_history_pattern = "1 / *"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "nasbench101"

    # Cells can neither write to stderr nor clear what they showed.
    test_execute_stderr = None
    test_clear_output = None

    @classmethod
    def setUpClass(cls):
        # No job is started here, and none that is found shall speak on IOPub.
        cls.study = tempfile.TemporaryDirectory(prefix="evalnas-test-")
        cls.addClassCleanup(cls.study.cleanup)
        os.environ["EVALNAS_STUDY"] = cls.study.name
        cls.addClassCleanup(os.environ.pop, "EVALNAS_STUDY", None)
        super().setUpClass()



class WelcomeTest(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = support.KERNEL
    support_iopub_welcome = True
