"""Code blocks of the documentation's pages, and copies of the project in which they are carried out."""

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEXT_PART = "...\n"  # between two places of one file in a diff
COPIED = ("benchmarks/", "conf/", "experiments/", "scripts/", "tests/", "vblora/", "results/published.yaml")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: "python", "sh", "yaml", "diff", "text", "console", …
        title: the file that it is, or in which a diff is made; "" for none.
        text: what stands in it.
    """

    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """All blocks of a page of docs/, in their order."""
    found = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    return [Block(language, title, text) for language, title, text in found]


def tracked(new: bool = True) -> list[str]:
    """Files of the project: in git, or if wanted new and not ignored. Only git knows them."""
    if shutil.which("git") is None or not (PROJECT / ".git").exists():
        pytest.skip("no git, or an archive in place of a clone")
    words = ["git", "-c", f"safe.directory={PROJECT}", "ls-files", "-z"]  # the clone may be another user's
    words += ["--cached", "--others", "--exclude-standard"] if new else []
    listed = subprocess.run(words, cwd=PROJECT, capture_output=True, check=True).stdout
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]


def copy(folder: Path, names: tuple[str, ...] = COPIED) -> Path:
    """Copy the project's code into a folder."""
    for name in tracked():
        if name.startswith((*names, "pyproject.toml")) and (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    return folder


def carry_out(page: str, folder: Path) -> list[Path]:
    """Write the files of a page's titled blocks into a copy, and make its diffs. Returns what was written."""
    written = []
    for block in blocks(page):
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            text = edited(path.read_text(encoding="utf-8"), block) if block.language == "diff" else block.text
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def edited(text: str, block: Block) -> str:
    """Make a diff without line numbers: what it takes out or keeps must stand in the text, once."""
    for part in block.text.split(NEXT_PART):
        lines = part.splitlines(keepends=True)
        old = "".join(line[1:] or "\n" for line in lines if line[0] in " -\n")
        new = "".join(line[1:] or "\n" for line in lines if line[0] in " +\n")
        assert text.count(old) == 1, f"{block.title} has not, or not once:\n{old}"
        text = text.replace(old, new)
    return text


def commands(page: str) -> list[str]:
    """Every command of a page's shell blocks, continued lines joined, comments left out."""
    text = "".join(block.text for block in blocks(page) if block.language == "sh").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def titles(page: str, folder: Path) -> list[Path]:
    """The files that a page writes or changes, in a copy; each once."""
    return list(dict.fromkeys(folder / block.title for block in blocks(page) if block.title))


def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
