"""What is released: the library alone, with its real dependencies, under one version."""

import email
import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pages
import pytest
from packaging.requirements import Requirement

import vblora

PROJECT = pages.PROJECT
DEPENDENCIES = {"torch", "safetensors", "numpy", "jaxtyping"}
BUILT_FROM = ("vblora/", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "MANIFEST.in")
# What a user of the library alone does: attach, train, save, load, and the command line.
USE = """
import sys, torch, vblora
from vblora.__main__ import main

model = torch.nn.Sequential()
model.add_module("query", torch.nn.Linear(32, 32))
base = model(torch.ones(1, 32))
config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=["query"])
adapter = vblora.attach(model, config)
optimizer = torch.optim.AdamW(adapter.param_groups(bank_lr=1e-2, logits_lr=1e-2))
for _ in range(3):
    model(torch.ones(1, 32)).square().sum().backward()
    optimizer.step()
vblora.save(model, "adapter")
trained = model(torch.ones(1, 32))
vblora.detach(model)
assert torch.equal(model(torch.ones(1, 32)), base)
vblora.load(model, "adapter")
assert torch.equal(model(torch.ones(1, 32)), trained) and not torch.equal(trained, base)
vblora.merge(model)
with vblora.Store("users.vblora", "a") as store:
    store.save(model, "anna")
for words in (["inspect", "adapter"], ["verify", "adapter"], ["list", "users.vblora"]):
    assert main(words) == 0
for name in ("experiments", "transformers", "hydra", "datasets", "peft", "benchmarks"):
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(f"{name} can be imported here, so nothing is shown")
print(vblora.__version__)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive, built without a network of a fresh copy."""
    source = pages.copy(tmp_path_factory.mktemp("source"), ("",))
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(source / "dist")]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def requirements(names: set[str]) -> set[str]:
    """Distributions that these need, with those that they need; extras are left out."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        found.add(name)
        needs = map(Requirement, importlib.metadata.requires(name) or [])
        todo += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def link(names: set[str], folder: Path) -> None:
    """Put these distributions of this environment into a folder, without copying them."""
    for name in names:
        files = importlib.metadata.files(name) or []
        tops = {file.parts[0]: file for file in files if file.parts[0] not in ("..", "__pycache__")}
        for top, file in tops.items():
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment: the wheel, and what its metadata asks for. Nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = only(folder, "lib/python*/site-packages")
    with zipfile.ZipFile(only(built, "*.whl")) as wheel:
        wheel.extractall(packages)
        about = email.message_from_bytes(wheel.read(f"vblora-{vblora.__version__}.dist-info/METADATA"))
    asked = [Requirement(text) for text in about.get_all("Requires-Dist", [])]
    link(requirements({need.name for need in asked if need.marker is None}), packages)
    return folder / "bin" / "python"


def test_version_has_one_source(built: Path) -> None:
    """The package says it; the wheel, the archive and the changelog's newest release say the same."""
    version = vblora.__version__
    assert only(built, "*.whl").name == f"vblora-{version}-py3-none-any.whl"
    assert only(built, "*.tar.gz").name == f"vblora-{version}.tar.gz"
    assert "version" not in pages.project()["project"]
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert newest and newest[1] == version


def test_wheel_holds_the_library_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(only(built, "*.whl")) as wheel:
        names = wheel.namelist()
    info = f"vblora-{vblora.__version__}.dist-info"
    modules = {name for name in pages.tracked() if re.fullmatch(r"vblora/\w+\.py", name)}
    assert {name for name in names if not name.startswith(info)} == {*modules, "vblora/py.typed"}
    assert f"{info}/licenses/LICENSE" in names and f"{info}/entry_points.txt" in names


def test_wheel_asks_for_its_real_dependencies_alone(built: Path) -> None:
    with zipfile.ZipFile(only(built, "*.whl")) as wheel:
        about = email.message_from_bytes(wheel.read(f"vblora-{vblora.__version__}.dist-info/METADATA"))
    asked = [Requirement(text) for text in about.get_all("Requires-Dist", [])]
    assert {need.name for need in asked if need.marker is None} == DEPENDENCIES
    assert about["License-Expression"] == "MIT" and about["Requires-Python"]


def test_archive_holds_what_the_wheel_is_built_from(built: Path) -> None:
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        files = [member.name.partition("/")[2] for member in archive if member.isfile()]
    made = ("PKG-INFO", "setup.cfg", "pyproject.toml", "vblora.egg-info/")
    assert [name for name in files if not name.startswith((*BUILT_FROM, *made))] == []
    assert {"vblora/bank.py", "LICENSE", "README.md", "CHANGELOG.md"} <= set(files)


def test_library_works_with_its_dependencies_alone(environment: Path, tmp_path: Path) -> None:
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    words = [str(environment), "-I", "-c", USE]
    done = subprocess.run(words, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == vblora.__version__


def test_console_script_is_the_command_line(built: Path) -> None:
    with zipfile.ZipFile(only(built, "*.whl")) as wheel:
        text = wheel.read(f"vblora-{vblora.__version__}.dist-info/entry_points.txt").decode()
    assert text.split() == ["[console_scripts]", "vblora", "=", "vblora.__main__:main"]
