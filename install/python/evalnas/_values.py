"""Plain values between Python and the cells: None, truth values, numbers, texts, lists, tuples,
dicts, sets and ranges, and what is one of these in NumPy and pandas. Both languages write them
nearly alike, so they travel as text."""
import ast
import keyword
import math

ALLOWED = "None, bool, int, float, str, bytes, list, tuple, dict, set and range, NumPy's numbers and arrays, and pandas' Series and Index"

# The kernel takes a cell of at most this many bytes, brackets at most so deep.
MOST_TEXT = 1 << 20
DEEPEST = 60


class Brief:
    """IPython shows the message alone: the lines of this package would say nothing."""

    def _render_traceback_(self):
        return [f"{type(self).__name__}: {self}"]


class ValueTypeError(Brief, TypeError):
    """A value has no counterpart in the other language."""


class MissingError(Brief, NameError):
    """There is no variable of that name in Python."""


class VariableNameError(Brief, ValueError):
    """What was given is no name."""


def check_name(name):
    if not name.isidentifier() or keyword.iskeyword(name):
        raise VariableNameError(f"{name!r} is not a name of a variable; give names, as in -i seeds -o best")
    return name


def to_cell(name, value):
    """The text of a value in a cell; name is for the error."""
    text = _write(name, value, 0)
    size = len(text.encode())
    if size > MOST_TEXT - 1000:
        raise ValueTypeError(f"{name} takes {size:,} bytes as text and a cell takes {MOST_TEXT:,}: pass less of it, or write a file that a command reads")
    return text


def _write(where, value, depth):
    if depth > DEEPEST:
        raise ValueTypeError(f"{where} is nested deeper than {DEEPEST} levels, or holds itself; pass a flatter value")
    kind = type(value)
    if value is None or kind is bool:
        return repr(value)
    if isinstance(value, int) and kind.__str__ is int.__str__ and kind.__repr__ is int.__repr__:
        return repr(value)
    if kind is float:
        return repr(value) if math.isfinite(value) else f'float("{value!r}")'
    if kind is str:
        return _text(where, value)
    if kind is bytes:
        return 'b"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\x{b:02x}" for b in value) + '"'
    if kind is range:
        return repr(value)
    if isinstance(value, (list, tuple)):
        items = [_write(f"{where}[{i}]", item, depth + 1) for i, item in enumerate(value)]
        if isinstance(value, list):
            return f"[{', '.join(items)}]"
        return f"({', '.join(items)}{',' * (len(items) == 1)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_write(f'a key of {where}', k, depth + 1)}: {_write(f'{where}[{k!r}]', v, depth + 1)}" for k, v in value.items()) + "}"
    if isinstance(value, (set, frozenset)):
        return "set([" + ", ".join(_write(f"an item of {where}", item, depth + 1) for item in sorted(value, key=lambda v: (type(v).__name__, v))) + "])"
    plain = _plain(value)
    if plain is not value:
        return _write(where, plain, depth + 1)
    raise ValueTypeError(f"{where} is a {kind.__module__}.{kind.__qualname__}, which cells do not know; allowed are {ALLOWED}{_hint(kind)}")


def _plain(value):
    """What NumPy and pandas make of their values, else the value itself. Neither is imported: a
    value of theirs has been made by them."""
    module, _, _ = type(value).__module__.partition(".")
    if module == "numpy" and hasattr(value, "dtype"):
        if value.dtype.kind in "biufUSO":  # not dates, complex numbers and records
            return value.tolist()
    elif module == "pandas" and type(value).__name__ in ("Series", "Index", "RangeIndex") and hasattr(value, "tolist"):
        if value.isna().any() and getattr(value.dtype, "kind", "O") != "f":
            raise ValueTypeError(f"a pandas {type(value).__name__} with missing values cannot be passed as {value.dtype}: fill them (.fillna), drop them (.dropna) or make it float")
        return value.tolist()
    return value


def _hint(kind):
    if kind.__name__ == "DataFrame":
        return "; pass its columns, as in losses = frame.loss"
    if "date" in kind.__name__.lower() or "time" in kind.__name__.lower():
        return "; pass it as text, or as a number of seconds"
    return ""


def _text(where, value):
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as fault:
        raise ValueTypeError(f"{where} is a text with half a surrogate pair at {fault.start}, which UTF-8 does not have; take it out") from None
    return _quoted(value)


def _quoted(value):
    out = []
    for letter in value:
        if letter in '"\\':
            out.append("\\" + letter)
        elif letter < " " or letter == "\x7f":
            out.append(f"\\u{ord(letter):04x}")
        else:
            out.append(letter)
    return '"' + "".join(out) + '"'


def from_cell(name, text):
    """The value of what repr(...) gave in a cell."""
    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        said = text if len(text) <= 80 else text[:77] + "..."
        raise ValueTypeError(f"{name} is {said} in the cells, which has no counterpart in Python; what can be taken out are {ALLOWED.split(', NumPy')[0]}: take its numbers, as in -o values after values = [...]") from None


def _read(node):
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id="nan"):
            return math.nan
        case ast.Name(id="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_read(operand)
        case ast.List(elts=items):
            return [_read(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_read(item) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {_read(k): _read(v) for k, v in zip(keys, values)}
        case ast.Call(func=ast.Name(id="set"), args=[ast.List(elts=items)]):
            return {_read(item) for item in items}
        case ast.Call(func=ast.Name(id="set"), args=[]):
            return set()
        case ast.Call(func=ast.Name(id="range"), args=numbers):
            return range(*(_read(n) for n in numbers))
    raise ValueError(node)
