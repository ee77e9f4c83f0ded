"""Puts the program and the kernelspec into the wheel.

The program goes where the environment's commands are, and is the command `evalnas` itself: no
Python starts before it. The kernelspec finds it from its own folder, by {resource_dir}, which
Jupyter replaces: the environment may lie anywhere, be moved, and need not be on the PATH.

`make wheel` builds the program for each platform and says by the environment what to pack."""
import json
import os
import pathlib
import tempfile

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What GOOS/GOARCH is called in the name of a wheel. The program is static: it runs with any C
# library, and with the systems that Go supports.
TAGS = {
    "linux/amd64": "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    "linux/arm64": "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    "darwin/amd64": "macosx_12_0_x86_64",
    "darwin/arm64": "macosx_12_0_arm64",
    "windows/amd64": "win_amd64",
    "windows/arm64": "win_arm64",
}
KERNELS = "share/jupyter/kernels/evalnas"


class PackProgram(BuildHookInterface):
    def initialize(self, version, build_data):
        platform = asked("EVALNAS_PLATFORM", "GOOS/GOARCH of the program")
        if platform not in TAGS:
            raise ValueError(f"EVALNAS_PLATFORM={platform} is not known; wheels are built for {', '.join(TAGS)}")
        windows = platform.startswith("windows/")
        program = asked_path("EVALNAS_BINARY", "the program, built for that platform")
        spec = asked_path("EVALNAS_KERNELSPEC", "the kernelspec's folder, as evalnas install writes it")

        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{TAGS[platform]}"
        build_data["shared_scripts"][str(program)] = "evalnas.exe" if windows else "evalnas"
        for logo in sorted(spec.glob("logo-*")):
            build_data["shared_data"][str(logo)] = f"{KERNELS}/{logo.name}"
        self.folder = tempfile.TemporaryDirectory()
        build_data["shared_data"][self.kernel_json(spec, windows)] = f"{KERNELS}/kernel.json"
        for name in ("LICENSE", "NOTICE"):
            build_data["force_include"][str(pathlib.Path(self.root, "..", "..", name).resolve(strict=True))] = f"evalnas/{name}"

    def kernel_json(self, spec, windows):
        """Writes the kernelspec's text with the program found from the kernelspec's folder."""
        text = json.loads((spec / "kernel.json").read_text(encoding="utf-8"))
        up = [".."] * len(KERNELS.split("/"))
        text["argv"][0] = "\\".join(["{resource_dir}", *up, "Scripts", "evalnas.exe"]) if windows else "/".join(["{resource_dir}", *up, "bin", "evalnas"])
        file = pathlib.Path(self.folder.name, "kernel.json")
        file.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
        file.chmod(0o644)
        return str(file)

    def finalize(self, version, build_data, artifact_path):
        self.folder.cleanup()


def asked(variable, what):
    value = os.environ.get(variable)
    if not value:
        raise ValueError(f"{variable} is not set: it is to say {what}; `make wheel` at the top of the repository sets it, and builds the wheel")
    return value


def asked_path(variable, what):
    path = pathlib.Path(asked(variable, what))
    if not path.exists():
        raise ValueError(f"{variable}={path} is not there: it is to be {what}")
    return path.resolve()
