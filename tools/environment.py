"""Make the environment from requirements.lock: `make env`, or `python tools/environment.py --help`.

uv installs, or pip alone; both make the same environment. The lock is complete, so nothing is resolved, and
every wheel must have one of its hashes.

torch is the exception. Each backend has a wheel of its own, at pytorch.org and under the same version, while
the lock holds the hashes of PyPI's wheels. So torch's build is chosen first. PyPI's is checked like the rest,
and the lock has its CUDA libraries too. Any other build is pinned by its full version (2.13.0+cpu), without a
hash: the index that has it is trusted, and its CUDA libraries are those that it pins itself.

This file uses the standard library alone and runs on older versions of Python, which it refuses in one line.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LOCK = PROJECT / "requirements.lock"
CUDA = ("cuda-", "nvidia-", "triton")  # how the names of CUDA's packages begin
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
# uv reads none of pip's settings. These become variables of uv, with what separates several values there.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "proxy": ("ALL_PROXY", ""),
    "cert": ("SSL_CERT_FILE", ""),
}


class Pip:
    """pip of an environment."""

    def __init__(self, python: Path) -> None:
        """Use the pip of this interpreter."""
        self._pip = [str(python), "-m", "pip"]

    def pytorch_org(self, cpu: bool) -> tuple[str, ...]:
        """Options that take torch from pytorch.org. Without `cpu` none: pip cannot tell which CUDA fits."""
        return ("--index-url", CPU_WHEELS) if cpu else ()

    def build(self, requirement: str, *options: str) -> str | None:
        """The full version of torch that meets a requirement, None if there is none."""
        words = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report=-", "--retries=1"]
        done = captured([*self._pip, "install", *words, requirement, *options])
        return json.loads(done.stdout)["install"][0]["metadata"]["version"] if done.returncode == 0 else None

    def install(self, *words: str) -> None:
        """Install; pip compiles what it installs."""
        run([*self._pip, "install", "--disable-pip-version-check", *words])

    def check(self) -> None:
        """Fail unless every package has what it needs."""
        run([*self._pip, "check"])


class Uv:
    """uv of an environment, with the settings of that environment's pip."""

    def __init__(self, python: Path) -> None:
        """Install uv by the lock's hashes."""
        Pip(python).install("--quiet", *hashed(python, lambda name: name == "uv"))
        listed = captured([str(python), "-m", "pip", "config", "list"]).stdout
        self._environment = with_settings_of_pip(os.environ, listed)
        self._uv, self._python = str(python.with_name("uv")), f"--python={python}"

    def pytorch_org(self, cpu: bool) -> tuple[str, ...]:
        """Options that take torch from pytorch.org: for the driver that uv finds, or for the CPU."""
        return ("--torch-backend=cpu" if cpu else "--torch-backend=auto",)

    def build(self, requirement: str, *options: str) -> str | None:
        """The full version of torch that meets a requirement, None if there is none."""
        words = ["-", "--quiet", "--no-header", "--no-deps", self._python, *options]
        done = captured(
            [self._uv, "pip", "compile", *words], {"UV_HTTP_RETRIES": "1", **self._environment}, requirement
        )
        match = re.search(r"^torch==(\S+)", done.stdout, re.MULTILINE)
        return match[1] if match else None

    def install(self, *words: str) -> None:
        """Install and compile: without bytecode, Python starts slowly wherever it may not write any."""
        run([self._uv, "pip", "install", "--compile-bytecode", self._python, *words], self._environment)

    def check(self) -> None:
        """Fail unless every package has what it needs."""
        run([self._uv, "pip", "check", self._python], self._environment)


def captured(
    words: list[str], environment: Mapping[str, str] | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command for its output."""
    return subprocess.run(
        words, input=given, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )


def run(words: list[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a command and end with its status if it fails, since it has said why."""
    print("$", *words, flush=True)
    status = subprocess.run(words, cwd=PROJECT, env=environment, check=False).returncode
    if status:
        sys.exit(status)


def with_settings_of_pip(environment: Mapping[str, str], listed: str) -> dict[str, str]:
    """Variables for uv: those given, then what `pip config list` says."""
    settings = dict(line.split("=", 1) for line in listed.splitlines() if "=" in line)
    variables = dict(environment)
    for name, (variable, separator) in SETTINGS.items():
        places = (f"{section}.{name}" for section in (":env:", "install", "global"))
        value = next((settings[place] for place in places if place in settings), None)
        if value is not None and variable not in environment:
            words = str(ast.literal_eval(value))
            variables[variable] = separator.join(words.split()) if separator else words
            if name == "extra-index-url":  # pip takes the best of all indexes; the hashes make that safe
                variables.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return variables


def refusal(version: tuple[int, int], pyproject: str) -> str | None:
    """Why a version of Python will not do; None if it will."""
    match = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', pyproject, re.MULTILINE)
    assert match
    first, end = int(match[1]), int(match[2])
    if (3, first) <= version < (3, end):
        return None
    *most, last = [f"3.{minor}" for minor in range(first, end)]
    needed, given = f"Python {', '.join(most)} or {last}", ".".join(map(str, version))
    return f"{needed} is needed, and this is {given}: make PYTHON=/path/to/python{last}"


def entries(lock: str) -> dict[str, str]:
    """The lock's packages by name, each with its hashes; a package may have a version for each Python."""
    found: dict[str, str] = {}
    for entry in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        name = entry.split("==")[0]
        found[name] = found.get(name, "") + entry
    return found


def hashed(python: Path, wanted: Callable[[str], bool]) -> tuple[str, ...]:
    """Options that install the wanted packages of the lock by their hashes."""
    part = python.parents[1] / "part.lock"
    lock = entries(LOCK.read_text(encoding="utf-8"))
    part.write_text("".join(entry for name, entry in lock.items() if wanted(name)), encoding="utf-8")
    return "--require-hashes", "--no-deps", "-r", str(part)


def choose_build(tool: Pip | Uv, version: str, cpu: bool) -> tuple[str, tuple[str, ...]]:
    """The full version of torch to install, and the options that find it."""
    if sys.platform != "linux":  # there is one build, PyPI's
        return version, ()
    if cpu and (build := tool.build(f"torch=={version}+cpu")):
        return build, ()
    options = tool.pytorch_org(cpu)
    if options and (build := tool.build(f"torch=={version}", *options)):
        return build, options
    if cpu:
        sys.exit(
            f"CPU=1: pip's indexes lack torch {version}+cpu, and pytorch.org cannot be reached or lacks it;"
            " set PIP_FIND_LINKS to a folder with its wheel, or leave CPU=1 out: PyPI's build needs no GPU"
        )
    build = tool.build(f"torch=={version}") or version  # where it is missing, its installation says so
    if options:
        size = "" if "+" in build else " with CUDA (gigabytes)"
        print(f"pytorch.org cannot be reached or lacks torch {version}: pip's indexes give {build}{size}")
    return build, ()


def make_venv(folder: Path) -> Path:
    """Make the folder, anew if it is another Python's, and return its interpreter."""
    same = (folder / "lib" / f"python3.{sys.version_info[1]}").is_dir()
    run([sys.executable, "-m", "venv", *([] if same else ["--clear"]), str(folder)])
    return folder / "bin" / "python"


def install(tool: Pip | Uv, python: Path, cpu: bool) -> None:
    """Install the lock, torch in the build that was chosen, and this project."""
    match = re.match(r"torch==([\w.]+)", entries(LOCK.read_text(encoding="utf-8"))["torch"])
    assert match
    build, options = choose_build(tool, match[1], cpu)
    if build == match[1]:
        tool.install(*hashed(python, lambda name: True))
    else:
        tool.install(*hashed(python, lambda name: name != "torch" and not name.startswith(CUDA)))
        tool.install(f"torch=={build}", *options)
    tool.install("--no-deps", "--no-build-isolation", "--editable", ".")
    tool.check()


def main() -> None:
    """Make the environment, or complete it."""
    parser = argparse.ArgumentParser(description="Make the environment from requirements.lock.")
    parser.add_argument("folder", type=Path, nargs="?", default=PROJECT / ".venv")
    parser.add_argument("--cpu", action="store_true", help="take torch's build for CPUs")
    parser.add_argument("--installer", choices=["uv", "pip"], default="uv")
    given = parser.parse_args()
    problem = refusal(sys.version_info[:2], (PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    if problem:
        sys.exit(problem)
    python = make_venv(given.folder.absolute())
    install(Uv(python) if given.installer == "uv" else Pip(python), python, given.cpu)


if __name__ == "__main__":
    main()
