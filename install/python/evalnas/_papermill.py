"""What papermill loads: the translator of parameters for cells in Starlark.

Papermill has an entry point for engines and none for translators. It loads all engines while it is
imported, before it looks at a notebook, so the translator is registered by loading this one, which
is papermill's own engine under another name. Then neither -k nor -l is needed:

    papermill notebook.ipynb out.ipynb -p budget 100
"""
from papermill.engines import NBClientEngine
from papermill.translators import PythonTranslator, papermill_translators


class StarlarkTranslator(PythonTranslator):
    """Literals are Python's: True, False, None, numbers, texts, lists and dicts."""

    @classmethod
    def codify(cls, parameters, comment="Parameters"):
        # Not Python's, which has black write the cell where it is installed.
        return "\n".join([cls.comment(comment), *(cls.assign(name, cls.translate(value)) for name, value in parameters.items())]) + "\n"


papermill_translators.register("starlark", StarlarkTranslator)


class Engine(NBClientEngine):
    """papermill --engine evalnas: the same as without it."""
