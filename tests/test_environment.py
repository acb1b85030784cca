"""`make env`: what the lock holds, which Pythons are taken, where torch comes from. Nothing is installed."""

import importlib.metadata
import importlib.util
import re
from types import ModuleType

import pages
import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = pages.PROJECT
LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
PYPROJECT = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
PYTHONS = ["3.11", "3.12", "3.13"]
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]


def load() -> ModuleType:
    """The script, which is in no package."""
    spec = importlib.util.spec_from_file_location("environment", PROJECT / "tools" / "environment.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


environment = load()


def pins(python: str, platform: str, machine: str) -> dict[str, str]:
    """Name -> version of what the lock installs there."""
    lines = [Requirement(line.rstrip(" \\")) for line in LOCK.splitlines() if re.match(r"[a-z]", line)]
    there = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "platform_system": platform.capitalize(),
        "platform_machine": machine,
    }
    chosen = [line for line in lines if line.marker is None or line.marker.evaluate(there)]
    assert len({line.name for line in chosen}) == len(chosen)
    return {line.name: str(line.specifier).removeprefix("==") for line in chosen}


def test_every_package_of_the_lock_is_pinned_by_hash() -> None:
    lock = environment.entries(LOCK)
    assert len(lock) > 150
    pin = re.compile(r"^\S.*==\S.* \\\n    --hash=sha256:[0-9a-f]{64}\b", re.MULTILINE)
    wrong = [
        name for name, each in lock.items() if len(pin.findall(each)) != len(re.findall(r"(?m)^\S", each))
    ]
    assert wrong == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), MACHINES)
def test_lock_pins_what_pyproject_asks_for(python: str, platform: str, machine: str) -> None:
    project = pages.project()["project"]
    extras = project["optional-dependencies"]
    needs = [*project["dependencies"], *(need for names in extras.values() for need in names)]
    there = pins(python, platform, machine)
    wrong = [
        str(need)
        for need in map(Requirement, needs)
        if not need.specifier.contains(there.get(canonicalize_name(need.name), "0"))
    ]
    assert wrong == []


def test_lock_is_complete_here() -> None:
    """Nothing is resolved when it is installed, so what its packages need must be in it."""
    lock = environment.entries(LOCK)
    missing = set()
    for name in lock:
        try:
            needs = map(Requirement, importlib.metadata.requires(name) or [])
        except importlib.metadata.PackageNotFoundError:  # for another platform, or CUDA's
            continue
        missing |= {canonicalize_name(need.name) for need in needs if need.marker is None} - set(lock)
    assert missing == set()


def test_cuda_is_in_the_lock_for_linux_alone() -> None:
    def cuda(platform: str, machine: str) -> list[str]:
        return [name for name in pins("3.12", platform, machine) if name.startswith(environment.CUDA)]

    assert "nvidia-cudnn-cu13" in cuda("linux", "x86_64") and cuda("darwin", "arm64") == []


def test_pythons_of_pyproject_makefile_workflow_and_readme_agree() -> None:
    allowed = SpecifierSet(pages.project()["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}")] == PYTHONS
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert " ".join(f"python{python}" for python in PYTHONS) in makefile
    workflow = (PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "[" + ", ".join(f'"{python}"' for python in PYTHONS) + "]" in workflow
    text = "Python {}, {} or {}".format(*PYTHONS)
    for page in ("README.md", "docs/index.md", "docs/CONTRIBUTING.md", "docs/troubleshooting.md"):
        assert text in (PROJECT / page).read_text(encoding="utf-8"), page


@pytest.mark.parametrize("minor", [10, 14])
def test_other_pythons_are_refused_by_a_message_with_those_that_will_do(minor: int) -> None:
    assert environment.refusal((3, minor), PYPROJECT) == (
        f"Python 3.11, 3.12 or 3.13 is needed, and this is 3.{minor}: make PYTHON=/path/to/python3.13"
    )


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_supported_pythons_are_not_refused(minor: int) -> None:
    assert environment.refusal((3, minor), PYPROJECT) is None


def test_settings_of_pip_become_variables_of_uv() -> None:
    listed = (
        ":env:.find-links='/wheels more'\n"
        "global.find-links='/ignored'\n"
        "global.index-url='https://mirror/simple'\n"
        "install.extra-index-url='\\nhttps://a/simple\\nhttps://b/simple'\n"
        "global.timeout='60'\n"
    )
    variables = environment.with_settings_of_pip({"UV_FIND_LINKS": "mine", "HOME": "/"}, listed)
    assert variables == {
        "HOME": "/",
        "UV_FIND_LINKS": "mine",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_INDEX": "https://a/simple https://b/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    assert environment.with_settings_of_pip({}, listed)["UV_FIND_LINKS"] == "/wheels,more"
    assert environment.with_settings_of_pip({"A": "b"}, "") == {"A": "b"}


class Indexes:
    """Stands for an installer: which requirements are found, with which options."""

    def __init__(self, *found: str, by_uv: bool = True) -> None:
        self.found, self.by_uv = found, by_uv

    def pytorch_org(self, cpu: bool) -> tuple[str, ...]:
        return (f"--torch-backend={'cpu' if cpu else 'auto'}",) if self.by_uv else ()

    def build(self, requirement: str, *options: str) -> str | None:
        for found in self.found:
            place, _, build = found.partition(" ")
            asked = place == ("pytorch.org" if options else "pip")
            if asked and requirement in (f"torch=={build}", "torch==2.0"):
                return build
        return None


@pytest.mark.parametrize(
    ("found", "cpu", "build", "options"),
    [
        (["pytorch.org 2.0+cu130", "pip 2.0"], False, "2.0+cu130", ("--torch-backend=auto",)),
        (["pytorch.org 2.0+cpu", "pip 2.0"], True, "2.0+cpu", ("--torch-backend=cpu",)),
        (["pytorch.org 2.0+cpu", "pip 2.0+cpu"], True, "2.0+cpu", ()),
        (["pip 2.0"], False, "2.0", ()),
        (["pip 2.0+cpu"], False, "2.0+cpu", ()),
    ],
)
def test_torch_comes_from_pytorch_org_or_else_from_the_indexes(
    found: list[str], cpu: bool, build: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.sys, "platform", "linux")
    assert environment.choose_build(Indexes(*found), "2.0", cpu) == (build, options)


def test_unreachable_pytorch_org_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment.sys, "platform", "linux")
    environment.choose_build(Indexes("pip 2.0"), "2.0", cpu=False)
    environment.choose_build(Indexes("pip 2.0", by_uv=False), "2.0", cpu=False)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("pytorch.org cannot be reached") and line.endswith("CUDA (gigabytes)")


def test_cpu_build_that_cannot_be_had_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "platform", "linux")
    with pytest.raises(SystemExit, match=r"^CPU=1: pip's indexes lack torch 2\.0\+cpu"):
        environment.choose_build(Indexes("pip 2.0"), "2.0", cpu=True)


def test_macos_takes_the_only_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "platform", "darwin")
    assert environment.choose_build(Indexes(), "2.0", cpu=True) == ("2.0", ())


def test_parts_of_the_lock_keep_their_hashes(tmp_path) -> None:
    python = tmp_path / "bin" / "python"
    *_, path = environment.hashed(python, lambda name: not name.startswith(("torch", *environment.CUDA)))
    part = environment.entries((tmp_path / "part.lock").read_text(encoding="utf-8"))
    assert path == str(tmp_path / "part.lock") and "torch" not in part and "numpy" in part
    assert all(entry == environment.entries(LOCK)[name] for name, entry in part.items())
