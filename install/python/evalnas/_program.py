"""Where the program is, and asking it."""
import functools
import importlib.metadata
import os
import pathlib
import shutil


class ProgramError(RuntimeError):
    """The program is not where it should be, or cannot be run here."""


@functools.cache
def program():
    """The path of the program that belongs to this package.

    $EVALNAS_PROGRAM names another; else it is the one that was installed with the package,
    else the first on the PATH (where the package is used from its sources).
    """
    named = os.environ.get("EVALNAS_PROGRAM")
    if named:
        found = shutil.which(named)
        if not found:
            raise ProgramError(f"EVALNAS_PROGRAM={named} is not a program; give the path of evalnas, or unset it")
        return found
    # pip's list of what it installed is right in every scheme: environments, --user, --target.
    try:
        files = importlib.metadata.files("evalnas") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("evalnas", "evalnas.exe") and file.parent.name.lower() in ("bin", "scripts"):
            path = pathlib.Path(os.path.abspath(file.locate()))
            if path.is_file():
                return str(path)
    found = shutil.which("evalnas")
    if not found:
        raise ProgramError("the program evalnas is neither installed with this package nor on the PATH; install the wheel again, or set EVALNAS_PROGRAM to its path")
    return found
