"""Tests of experiments/report/rendering.py: nothing in a cell may break out of it."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from experiments.report import rendering
from experiments.report.rendering import Cell, Table

HOSTILE = (
    "a|b\nc `x` *y* <script> [z](w) \\input{/etc/passwd} $x_1^2$ 50% & # ~ {} \x1b[31mred\u202e 中 [bold]"
)


def table(text: str = "plain") -> Table:
    rows = [[Cell(text), Cell("1.0", bold=True)], [Cell("other"), Cell("0.5 ± 0.1 (3)")]]
    return Table(
        f"Title {text}", [text, "Score"], "lr", [rows, [[Cell("last"), Cell("–")]]], [text], [(text, "ls -l")]
    )


def test_markdown_has_one_line_for_each_row() -> None:
    lines = rendering.markdown(table()).splitlines()
    assert lines[2:7] == [
        "| plain | Score |",
        "|:---|---:|",
        "| plain | **1.0** |",
        "| other | 0.5 ± 0.1 (3) |",
        "| last | – |",
    ]
    assert lines[-1] == "- plain: `ls -l`"


def test_hostile_text_stays_in_its_markdown_cell() -> None:
    text = rendering.markdown(table(HOSTILE))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
    assert "\x1b" not in text and "\u202e" not in text
    assert not re.search(r"(?<!\\)[<*`]", rows[2].replace("**1.0**", ""))


def test_hostile_text_stays_in_its_latex_cell() -> None:
    text = rendering.latex(table(HOSTILE))
    row = next(line for line in text.splitlines() if r"\textbf{1.0}" in line)
    assert len(re.findall(r"(?<!\\)&", row)) == 1
    assert not re.search(r"\\input|(?<!\\)%|(?<!\\)#|(?<!\\)_", row)
    assert "[U+4E2D]" in row


def test_latex_has_rules_between_blocks() -> None:
    text = rendering.latex(table())
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]
    assert r"0.5 $\pm$ 0.1 (3) \\" in text


def test_terminal_shows_text_as_it_is_and_obeys_none() -> None:
    out = io.StringIO()
    rendering.show(table(HOSTILE), Console(file=out, force_terminal=True, width=300))
    assert "[bold]" in out.getvalue()
    assert "\x1b[31mred" not in out.getvalue()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path) -> None:
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}\begin{document}"
    body = rendering.latex(table(HOSTILE)) + rendering.latex(table())
    (tmp_path / "t.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
