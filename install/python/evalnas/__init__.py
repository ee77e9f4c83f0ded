"""evalnas beside Python: the program's results as pandas data frames, its cells in IPython.

    frames = evalnas.load("study")          # results, events, rankings
    %load_ext evalnas                       # then %%evalnas and %evalnas
    evalnas.program()                       # the path of the program itself

Importing this loads neither pandas nor Jupyter.
"""
from evalnas._program import ProgramError, program
from evalnas._load import Frames, LoadError, LoadWarning, load

__all__ = ["Frames", "LoadError", "LoadWarning", "ProgramError", "load", "program", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell):
    """What %load_ext evalnas calls."""
    from evalnas import _magic

    _magic.register(shell)


def unload_ipython_extension(shell):
    """What %unload_ext evalnas calls: ends the kernel."""
    from evalnas import _magic

    _magic.unregister(shell)
