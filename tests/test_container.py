"""The Dockerfile, the Apptainer definition and Binder's files, without a container engine.

hadolint reads the Dockerfile. Its steps are run in a plain folder, with /opt/evalnas moved there
and JupyterLab left out; with EVALNAS_TORTURE=1 all of them in a Debian that debootstrap makes."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import unittest

import support
import yaml

CONTAINER = support.ROOT / "install" / "container"
HADOLINT = pathlib.Path(sys.prefix) / "bin" / "hadolint"
WHEELS = support.ROOT / "build" / "test-wheel"


def instructions():
    """The Dockerfile as (instruction, arguments), in their order."""
    text = (CONTAINER / "Dockerfile").read_text().replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line and not line.startswith("#")]


def of(kind):
    return [arguments for name, arguments in instructions() if name == kind]


def sections():
    """The Apptainer definition: its header, and the lines of each section."""
    header, found, at = {}, {}, None
    for line in (CONTAINER / "evalnas.def").read_text().splitlines():
        line = line.split("#", 1)[0].strip() if line.startswith("#") else line.strip()
        if line.startswith("%"):
            at = found.setdefault(line, [])
        elif line and at is None:
            key, value = line.split(":", 1)
            header[key] = value.strip()
        elif line:
            at.append(line)
    return header, found


def copied():
    """What COPY brings: pairs of a source in the checkout and its path in the image."""
    pairs = []
    for arguments in of("COPY"):
        *sources, target = arguments.split()
        pairs += [(source, target + pathlib.PurePath(source).name) for source in sources]
    return pairs


def files(source):
    """The files that a source of COPY stands for; wheels are those of the test."""
    return sorted(WHEELS.glob("evalnas-*.whl")) if source.startswith("dist/") else [support.ROOT / source]


def fill(root):
    """Does what COPY does, below root."""
    for source, target in copied():
        for file in files(source):
            into = root / target.lstrip("/") if "*" not in target else root / pathlib.PurePath(target).parent.relative_to("/") / file.name
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, into)


def steps():
    """The commands of RUN, split at &&."""
    return [shlex.split(step) for run in of("RUN") for step in run.split("&&")]


class DockerfileTest(unittest.TestCase):
    def lint(self, text):
        return subprocess.run([str(HADOLINT), "--no-color", "-"], input=text, capture_output=True, text=True, timeout=60)

    def test_hadolint_finds_nothing(self):
        run = self.lint((CONTAINER / "Dockerfile").read_text())
        self.assertEqual((run.returncode, run.stdout), (0, ""), run.stderr)
        self.assertNotEqual(self.lint("FROM debian\nRUN sudo apt-get install x\nCOPPY a b\n").returncode, 0)

    def test_what_is_copied_is_there_and_not_ignored(self):
        ignore = (CONTAINER / "Dockerfile.dockerignore").read_text().split("\n")
        self.assertIn("*", ignore)
        self.assertEqual({line[1:] for line in ignore if line.startswith("!")}, {source for source, _ in copied()})
        for source, _ in copied():
            self.assertTrue(files(source) and all(f.is_file() for f in files(source)), source)

    def test_apptainer_does_the_same(self):
        header, found = sections()
        self.assertEqual((header["Bootstrap"], header["From"]), ("docker", of("FROM")[0]))
        ours = {source: target for source, target in (line.split() for line in found["%files"])}
        self.assertEqual({s: t if "*" in s else t for s, t in ours.items()}, {s: t if "*" not in s else t.rsplit("/", 1)[0] + "/" for s, t in copied()})
        setup = "/opt/evalnas/setup"
        self.assertEqual([shlex.split(line) for line in found["%post"]], [step for step in steps() if step[0] == setup])
        self.assertEqual(found["%environment"], [f"export {of('ENV')[0]}"])
        self.assertIn("exec jupyter lab", found["%runscript"][0])
        for section in ("%post", "%runscript", "%test"):
            self.assertEqual(subprocess.run(["/bin/sh", "-n"], input="\n".join(found[section]), text=True).returncode, 0)

    def test_the_containers_pin_what_the_project_pins(self):
        pinned = set((support.ROOT / "constraints.txt").read_text().split("\n"))
        for line in (CONTAINER / "requirements.txt").read_text().splitlines():
            self.assertTrue(line.startswith("#") or line in pinned, line)


class StepsTest(unittest.TestCase):
    def test_the_python_step_in_a_plain_folder(self):
        with support.scratch_folder() as root:
            fill(root)
            there = root / "opt" / "evalnas"
            (there / "requirements.txt").write_text("# JupyterLab is left out\n")
            subprocess.run([str(there / "setup"), "python"], check=True, timeout=300, env={**os.environ, "PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin"})
            self.examine(there / "venv")
            self.assertFalse((there / "wheels").exists())
            refused = subprocess.run([str(there / "setup"), "all"], capture_output=True, text=True, env={**os.environ, "PATH": "/usr/bin:/bin"})
            self.assertEqual((refused.returncode, refused.stderr), (2, "setup: give a step: system or python\n"))

    def examine(self, venv):
        self.assertRegex(subprocess.run([str(venv / "bin" / "evalnas"), "--version"], capture_output=True, text=True, check=True).stdout, "^evalnas version ")
        spec = json.loads((venv / "share" / "jupyter" / "kernels" / "evalnas" / "kernel.json").read_text())
        program = spec["argv"][0].replace("{resource_dir}", str(venv / "share" / "jupyter" / "kernels" / "evalnas"))
        self.assertTrue(os.access(program, os.X_OK), program)

    def test_every_step_in_a_debian_folder(self):
        if os.environ.get("EVALNAS_TORTURE") != "1":
            self.skipTest("EVALNAS_TORTURE=1 runs it: it installs a Debian, five minutes")
        path = os.environ["PATH"] = f"{os.environ['PATH']}:/usr/sbin:/usr/bin:/sbin:/bin"
        missing = [tool for tool in ("debootstrap", "unshare", "chroot") if not shutil.which(tool, path=path)]
        if missing or os.getuid():
            self.skipTest(f"not at hand: {', '.join(missing) or 'root'} (Debian: apt-get install debootstrap, as root)")
        with support.scratch_folder() as root:
            root.chmod(0o755)  # it becomes the / of users other than root
            release = re.match(r"debian:(\w+)-slim", of("FROM")[0])[1]
            subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates", release, str(root)], check=True, timeout=900, stdout=subprocess.DEVNULL)
            # What this machine needs to reach its mirrors, it needs there.
            for name in ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
                if (file := pathlib.Path("/", name)).exists():
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, root / name)
            fill(root)
            script = "".join(shlex.join(step) + "\n" for step in steps())
            inside = f"mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && chroot {root} /bin/sh -euc {shlex.quote(script)}"
            subprocess.run(["unshare", "--mount", "sh", "-c", inside], check=True, timeout=1200)
            # As the user, in the folder, with the PATH that the image has.
            user = of("USER")[0]
            asked = f"cd {of('WORKDIR')[0]} && export HOME=/home/evalnas {of('ENV')[0]} && evalnas doctor --json && jupyter lab --version && command -v sbatch"
            inside = f"mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && chroot --userspec={user} {root} /bin/sh -euc {shlex.quote(asked)}"
            said = subprocess.run(["unshare", "--mount", "sh", "-c", inside], check=True, capture_output=True, text=True, timeout=120).stdout
            self.assertIn('"ok": true', said)
            self.assertIn("/usr/bin/sbatch", said)


class BinderTest(unittest.TestCase):
    def test_its_environment_names_what_is_there(self):
        """tests/run wheel begins with .binder/postBuild; here is what Binder does before."""
        folder = support.ROOT / ".binder"
        environment = yaml.safe_load((folder / "environment.yml").read_text())
        names = {re.split("[=<>]", d)[0] for d in environment["dependencies"] if isinstance(d, str)}
        self.assertEqual(names, {"python", "go", "make", "pip"})
        (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
        for line in pip:
            self.assertTrue((folder / line.split()[1]).resolve().is_file(), line)
        self.assertTrue(os.access(folder / "postBuild", os.X_OK))


if __name__ == "__main__":
    unittest.main()
