"""The site's pages do what they say: their steps are carried out, their code runs, their messages exist."""

import ast
import functools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pages
import pytest
from small_world import make, overrides

from experiments import composing
from experiments.records import Found
from experiments.report import ablations, grid, plan

PROJECT, DOCS = pages.PROJECT, pages.DOCS
Copies = Callable[[str], Path]
adding = pytest.mark.parametrize("page", ["adding-a-method.md", "adding-a-task.md"])
LEAST_LETTERS, LEAST_WORDS = 12, 3  # of a message's own text: less could be any message


def run(words: list[str], folder: Path) -> str:
    """A command in a copy of the project, which must succeed."""
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """A copy of the project in which a page is carried out, made once."""

    @functools.cache
    def of(page: str) -> Path:
        folder = pages.copy(tmp_path_factory.mktemp("copy"))
        pages.carry_out(page, folder)
        return folder

    return of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


@adding
def test_code_of_a_page_passes_the_linters(page: str, copies: Copies) -> None:
    folder = copies(page)
    code = [str(path) for path in pages.titles(page, folder) if path.suffix == ".py"]
    run(["python", "-m", "ruff", "check", *code], folder)
    run(["python", "-m", "ruff", "format", "--check", *code], folder)


@adding
def test_tests_of_a_page_pass(page: str, copies: Copies) -> None:
    """Its own, and of the shared ones those of what was added."""
    folder = copies(page)
    new = "lora_fa" if page == "adding-a-method.md" else "wnli or pinned"
    tests = [str(path) for path in pages.titles(page, folder) if path.name.startswith("test_")]
    run(["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", new, *tests], folder)


def test_added_method_runs(copies: Copies, world: Path, tmp_path: Path) -> None:
    """Two epochs on a small model, with the settings of the tiny one."""
    words = [*overrides(world, tmp_path, "lora_fa"), "tuned=lora_fa/tiny_roberta", "tracker=none"]
    out = run(["python", "-m", "experiments.run", *words], copies("adding-a-method.md"))
    assert "success " in out and list(tmp_path.rglob("seed0.json"))


def test_added_task_passes_its_check(copies: Copies) -> None:
    """At tiny with the tuned tables' line for all tasks; at paper it is refused, as the page says."""
    code = """
from experiments.composing import load
from experiments.config import ConfigError
load(["row=vblora_qv", "task=wnli"])
try:
    load(["row=vblora_qv", "task=wnli", "scale=paper"])
except ConfigError as error:
    print(error)
"""
    refused = run(["python", "-c", code], copies("adding-a-task.md"))
    assert "optim.head_lr: method vblora needs it" in refused


@adding
@pytest.mark.slow
def test_every_command_of_a_page_runs(page: str, copies: Copies) -> None:
    """As it stands there, at scale tiny, the backbone's pretraining included."""
    folder = copies(page)
    if (PROJECT / ".cache" / "backbones").is_dir():
        shutil.copytree(PROJECT / ".cache" / "backbones", folder / ".cache" / "backbones")
    for command in pages.commands(page):
        run(shlex.split(command), folder)


def test_code_of_start_here_runs() -> None:
    (block,) = [block for block in pages.blocks("index.md") if block.language == "python"]
    names: dict = {}
    exec(block.text, names)
    assert len(names["adapter"].sites) == 2


def test_walk_through_a_run_gives_what_the_page_says(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a small model, whose sizes are others."""
    load = composing.load
    monkeypatch.setattr(composing, "load", lambda words: load(overrides(world, tmp_path)))
    (block,) = [block for block in pages.blocks("how-a-run-flows.md") if block.language == "python"]
    exec(block.text, {})
    out = capsys.readouterr().out
    assert re.findall(r"^(?:bank|logits|head|head_no_decay)\b", out, re.MULTILINE) == [
        "bank", "logits", "head", "head_no_decay"
    ]  # fmt: skip
    assert "BertForSequenceClassification" in out and "'stored_params': 144" in out


def test_files_named_on_the_walk_are_those_of_the_run() -> None:
    """What the page says of the tiny run: its name, and the table's 576 parameters."""
    from experiments.config import run_id

    page = (DOCS / "how-a-run-flows.md").read_text(encoding="utf-8")
    cfg = composing.load(["row=vblora_qv", "task=cola"])
    options = cfg.method.options
    assert f"# {run_id(cfg)}" in page
    assert (options["num_vectors"], options["vector_length"]) == (16, 16) and "16 × 16 = 256" in page
    named = re.findall(r"`((?:conf|experiments)/[\w./]+)`", page)
    assert [name for name in named if not (PROJECT / name).exists()] == []


def test_costs_at_paper_scale_are_those_of_the_plan() -> None:
    page = (DOCS / "paper-scale.md").read_text(encoding="utf-8")
    lines = re.findall(r"`make reproduce-(\w+) SCALE=paper` \| (\S+) \| (\S+) \| ([\d,]+ MiB) \|", page)
    assert len(lines) == 5
    for family, runs, hours, disk in lines:
        wanted = ablations.load("paper") if family == "ablations" else grid.load("paper", family)
        totals, _, sizes, *_ = plan.plan(Found([], []), wanted).notes
        known = re.search(r"known: ([\d.]+) in all", totals)
        assert totals.startswith(f"{runs} runs:") and sizes.startswith(f"Disk: {disk} =")
        assert known and hours == (f"{float(known[1]):,.2f}" if float(known[1]) else "–")


def templates() -> Iterator[re.Pattern[str]]:
    """Every text of the code as a pattern, its inserted values open; only those with words of their own."""
    for folder in ("vblora", "experiments", "tools"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
                own = "".join(text for text in texts if isinstance(text, str))
                if sum(map(str.isalpha, own)) >= LEAST_LETTERS and len(own.split()) >= LEAST_WORDS:
                    yield re.compile(".*".join(re.escape(t) if isinstance(t, str) else "" for t in texts))


def quoted() -> list[str]:
    """The messages of the troubleshooting page that are this project's."""
    found = [block for block in pages.blocks("troubleshooting.md") if block.language == "text"]
    return [line for block in found for line in block.text.splitlines()]


def test_messages_of_troubleshooting_stand_in_the_code() -> None:
    """A message was printed with values in it and may be cut off; what the code writes must be in it."""
    known, makefile = list(templates()), (PROJECT / "Makefile").read_text(encoding="utf-8")
    lost = [
        line
        for line in quoted()
        if not any(pattern.search(line) for pattern in known) and line not in makefile
    ]
    assert len(quoted()) > 70 and lost == []
