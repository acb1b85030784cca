"""A table as Markdown, LaTeX and in the terminal, from one description. No text can break out of its cell."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

MARKDOWN_SPECIAL = re.compile(r"[\\`*_\[<>|~&]|^[#+-]")
MARKDOWN_RULE = {"l": ":---", "r": "---:"}
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "≥": r"$\geq$",
    "–": "--",
    "°": r"$^\circ$",
}
MOST_LINES, LONGEST_LINE = 6, 120
"""Of `Table.brief`."""
GAPS = "Commands that would fill the gaps:"
LAST_LATIN = "\u017f"  # pdflatex with T1 fonts prints letters up to here, and few above


@dataclass(frozen=True)
class Cell:
    """One cell: its text, whether it is the best of its group, and the run_ids of the runs behind it."""

    text: str
    bold: bool = False
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table to be rendered.

    Attributes:
        title: one line; it names the scale where numbers are measured.
        header: names of the columns.
        alignment: "l" or "r" for each column.
        blocks: groups of rows; a rule stands between two of them.
        notes: sentences below the table, in files and on the page.
        commands: what would fill the gaps: (what is missing, shell command).
        brief: what a terminal shows below the table in place of notes and commands, at most `MOST_LINES`
            short lines; empty for the notes themselves.
    """

    title: str
    header: list[str]
    alignment: str
    blocks: list[list[list[Cell]]]
    notes: list[str] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    brief: list[str] = field(default_factory=list)


def printable(text: str) -> str:
    """The text on one line, without control characters (a terminal would obey them)."""
    return "".join(character if character.isprintable() else " " for character in text)


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return MARKDOWN_SPECIAL.sub(r"\\\g<0>", printable(text))


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is; a letter its fonts lack becomes its code point."""
    return "".join(_latex_character(character) for character in printable(text))


def markdown(table: Table) -> str:
    """The table as GitHub's Markdown."""
    lines = [f"### {escape_markdown(table.title)}", "", _markdown_row(map(escape_markdown, table.header))]
    lines.append("|" + "|".join(MARKDOWN_RULE[letter] for letter in table.alignment) + "|")
    for row in (row for block in table.blocks for row in block):
        lines.append(_markdown_row(_emphasise(cell, escape_markdown, "**{}**") for cell in row))
    lines += ["", *(f"- {escape_markdown(note)}" for note in table.notes)]
    if table.commands:
        lines += ["", GAPS, ""]
        lines += [f"- {escape_markdown(what)}: `{printable(command)}`" for what, command in table.commands]
    return "\n".join(lines).rstrip() + "\n"


def latex(table: Table) -> str:
    """The table for a document with the packages that its first line names; commands stand as comments."""
    notes = " ".join(escape_latex(note) for note in table.notes)
    lines = [
        r"% Needs \usepackage[T1]{fontenc} and \usepackage{booktabs,graphicx}.",
        r"\begin{table}",
        rf"\caption{{{escape_latex(table.title)}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{{table.alignment}}}",
        r"\toprule",
        _latex_row(map(escape_latex, table.header)),
        *(line for block in table.blocks for line in _latex_block(block)),
        r"\bottomrule",
        r"\end{tabular}}",
        rf"\par\smallskip{{\footnotesize {notes}\par}}",
        r"\end{table}",
        *(f"% {printable(what)}: {printable(command)}" for what, command in table.commands),
    ]
    return "\n".join(lines) + "\n"


def show(table: Table, console: Console) -> None:
    """Print the table and what stands below it."""
    shown = RichTable(title=Text(printable(table.title)), box=box.SIMPLE_HEAD, title_justify="left")
    for name, letter in zip(table.header, table.alignment, strict=True):
        shown.add_column(Text(printable(name)), justify="right" if letter == "r" else "left")
    for block in table.blocks:
        for row in block:
            cells = [Text(printable(cell.text), style="bold" if cell.bold else "") for cell in row]
            shown.add_row(*cells, end_section=row is block[-1])
    console.print(shown)
    for line in table.brief or table.notes:
        console.print(Text(f"- {printable(line)}"), soft_wrap=not console.is_terminal)


def _markdown_row(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _latex_row(texts: Iterable[str]) -> str:
    return " & ".join(texts) + r" \\"


def _latex_block(block: list[list[Cell]]) -> list[str]:
    rows = [_latex_row(_emphasise(cell, escape_latex, r"\textbf{{{}}}") for cell in row) for row in block]
    return [r"\midrule", *rows] if rows else []


def _emphasise(cell: Cell, escape: Callable[[str], str], form: str) -> str:
    text = escape(cell.text)
    return form.format(text) if cell.bold and text else text


def _latex_character(character: str) -> str:
    if character in LATEX_SPECIAL:
        return LATEX_SPECIAL[character]
    return character if character <= LAST_LATIN else f"[U+{ord(character):04X}]"
