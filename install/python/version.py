"""The wheel's version, from that of the program in $EVALNAS_VERSION, which is what `git describe`
says: a tag, a tag with the commits since, or a commit alone. PyPA's rules know no such thing as
v1.2-5-gabcdef-dirty, so it becomes 1.2.post5+gabcdef.dirty."""
import os
import re


def public(described):
    found = re.fullmatch(r"(?:v?(\d+(?:\.\d+)*)(?:-(\d+)-(g[0-9a-f]+))?|([0-9a-f]+|unversioned|dev))(-dirty)?", described)
    if not found:
        raise ValueError(f"EVALNAS_VERSION={described!r} is not what git describe says, such as v1.2, v1.2-5-gabcdef, abcdef or these with -dirty")
    release, commits, commit, alone, dirty = found.groups()
    version = (release or "0") + (f".post{commits}" if commits else "")
    if alone and alone not in ("unversioned", "dev"):
        commit = f"g{alone}"
    local = ".".join(part for part in (commit, dirty and "dirty") if part)
    return f"{version}+{local}" if local else version


__version__ = public(os.environ.get("EVALNAS_VERSION") or "unversioned")
