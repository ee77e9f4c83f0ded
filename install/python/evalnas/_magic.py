"""%%evalnas and %evalnas: the kernel's cells in IPython.

    %%evalnas -i seeds -o p
    space = nasbench101()
    found = search("evolution", space, params(), seeds=seeds, budget=1000)
    result = compare(found, sample_random(space, seeds=seeds), by=nasbench101_table().metric("test"))
    p = result.p_value
"""
import ast
import sys
import threading

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import clear_output, publish_display_data

from evalnas import _values


class CellError(Exception):
    """A cell failed in the kernel. ename, evalue and traceback (a list of lines) are the kernel's.

    What is raised is of a class named as the error there, such as NameError."""

    def __init__(self, ename, evalue, traceback):
        super().__init__(evalue)
        self.ename, self.evalue, self.traceback = ename, evalue, traceback

    def _render_traceback_(self):
        return self.traceback  # IPython shows this: the lines of the cell, not those of the magic


class CellInterrupted(KeyboardInterrupt):
    """The cell was interrupted; jobs that it started go on."""

    def __init__(self, ename, evalue, traceback):
        super().__init__(evalue)
        self.ename, self.evalue, self.traceback = ename, evalue, traceback

    _render_traceback_ = CellError._render_traceback_


def raised(content):
    """The exception that stands for a reply's or expression's error."""
    ename = content.get("ename") or "Error"
    kind = CellInterrupted if ename == "KeyboardInterrupt" else CellError
    named = type(ename, (kind,), {"__module__": "evalnas", "__doc__": kind.__doc__}) if ename.isidentifier() else kind
    return named(ename, content.get("evalue", ""), content.get("traceback") or [f"{ename}: {content.get('evalue', '')}"])


class Screen:
    """Shows the kernel's messages in the IPython session."""

    def __init__(self, shell):
        # A terminal cannot change what it has printed: there the last state is printed at the end.
        self.live = hasattr(shell, "kernel")
        self.later = {}
        self.result = None  # the value of the cell's last expression: data and metadata
        self.lock = threading.Lock()

    def show(self, message, keep_result=False):
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            stream = sys.stderr if content["name"] == "stderr" else sys.stdout
            stream.write(content["text"])
            stream.flush()
        elif kind == "clear_output":
            clear_output(wait=content.get("wait", False))
        elif kind == "execute_result" and keep_result:
            self.result = content
        elif kind in ("display_data", "execute_result"):
            self.publish(content)
        elif kind == "update_display_data":
            if self.live:
                self.publish(content, update=True)
            else:
                self.later[content["transient"]["display_id"]] = content
        # An error comes with the reply too, and is raised then.

    def between(self, message):
        """Output of no running cell: displays that change as their jobs go on, and late text."""
        if self.live:
            self.show(message)

    def publish(self, content, update=False):
        with self.lock:
            publish_display_data(data=content["data"], metadata=content.get("metadata") or {}, transient=content.get("transient") or {}, update=update)

    def finish(self):
        """Shows what waited for the end of the cell."""
        later, self.later = self.later, {}
        for content in later.values():
            self.publish(content)


@magics_class
class EvalnasMagics(Magics):
    def __init__(self, shell):
        super().__init__(shell)
        self.screen = Screen(shell)
        self.kernel = None

    def started(self):
        """The kernel, started now if there is none or it has ended."""
        from evalnas._kernel import Kernel

        if self.kernel and (self.kernel.ended.is_set() or not self.kernel.alive()):
            self.end()
        if not self.kernel:
            self.kernel = Kernel(self.screen.between)
        return self.kernel

    def end(self):
        if self.kernel:
            self.kernel.end()
            self.kernel = None

    @magic_arguments()
    @argument("-i", "--input", action="append", default=[], metavar="NAME", help="a Python variable that the cell is to have under the same name; may be repeated")
    @argument("-o", "--output", action="append", default=[], metavar="NAME", help="a variable of the cell that Python is to have afterwards; may be repeated")
    @needs_local_scope
    @cell_magic("evalnas")
    def cell(self, line, cell, local_ns=None):
        """Run the cell in the evalnas kernel.

        The kernel is started by the first cell, in the folder where Python is, keeps what cells
        define, and ends with Python or with %unload_ext evalnas. Output is shown as it comes.
        """
        options = parse_argstring(self.cell, line)
        given = self.inputs(options.input, local_ns or {})
        for name in options.output:
            _values.check_name(name)
        if given:
            self.run(given, silent=True)
        self.run(cell)
        if options.output:
            self.shell.user_ns.update(self.values({name: f"repr({name})" for name in options.output}))

    @no_var_expand  # {x} is a set of the cells
    @line_magic("evalnas")
    def line(self, line):
        """Evaluate one expression in the evalnas kernel: %evalnas len(nasbench101())

        A plain value is returned, so that x = %evalnas ... works; what is no plain value, a table
        or a search, is shown. Statements go into a cell, %%evalnas.
        """
        if not line.strip():
            raise UsageError("%evalnas takes an expression, as in %evalnas len(nasbench101()); %%evalnas on a line of its own takes a cell")
        self.screen.result = None
        self.run(line, keep_result=True)
        shown = self.screen.result
        if shown is None:
            return None
        try:
            return self.values({"value": "repr(_)"})["value"]
        except _values.ValueTypeError:
            self.screen.publish(shown)
            return None

    def inputs(self, names, local_ns):
        """The text of a cell that defines them."""
        lines = []
        for name in names:
            _values.check_name(name)
            for space in (local_ns, self.shell.user_ns):
                if name in space:
                    lines.append(f"{name} = {_values.to_cell(name, space[name])}\n")
                    break
            else:
                raise _values.MissingError(f"-i {name}: Python has no variable of that name")
        return "".join(lines)

    def run(self, code, silent=False, keep_result=False):
        kernel = self.started()
        try:
            reply = kernel.execute(code, lambda message: self.screen.show(message, keep_result), silent=silent)
        finally:
            self.screen.finish()
        if reply["status"] != "ok":
            raise raised(reply)

    def values(self, expressions):
        """What expressions, which give texts, stand for."""
        reply = self.started().execute("", self.screen.show, silent=True, expressions=expressions)
        if reply["status"] != "ok":
            raise raised(reply)
        out = {}
        for name, answer in reply["user_expressions"].items():
            if answer["status"] != "ok":
                raise raised(answer)
            out[name] = _values.from_cell(name, ast.literal_eval(answer["data"]["text/plain"]))
        return out


def register(shell):
    if not getattr(shell, "evalnas_magics", None):
        shell.evalnas_magics = EvalnasMagics(shell)
        shell.register_magics(shell.evalnas_magics)


def unregister(shell):
    if getattr(shell, "evalnas_magics", None):
        shell.evalnas_magics.end()
        shell.evalnas_magics = None
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("evalnas", None)
