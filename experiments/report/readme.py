"""The measured Table 1 in README.md: made from the project's own records, between two comments."""

import re
from dataclasses import replace
from pathlib import Path

from experiments import records
from experiments.report import rendering, table1_notes, table1_text
from experiments.report.table1 import Table1


class ReadmeError(Exception):
    """README.md has no place for the table, or there are no records to fill it."""


def part(reference: Path, scale: str) -> str:
    """The scores of Table 1 as Markdown, without title and gaps, from the records under `reference`.

    Raises:
        ReadmeError: there is no finished run.
    """
    table = Table1(records.find([reference], scale), scale)
    if not table.cells.by_row:
        raise ReadmeError(f"{reference / scale} holds no finished run; the table is made from records only")
    scores = replace(table1_text.scores(table), notes=table1_notes.scores(table), commands=[])
    title, text = rendering.markdown(scores).split("\n\n", 1)
    return f"Scale {scale}:{title.partition(':')[2]}.\n\n{text}"


def filled(text: str, scale: str, table: str) -> str:
    """README's text with the table between its comments; a missing second comment is added.

    Raises:
        ReadmeError: the first comment is missing.
    """
    start, end = f"<!-- table1:{scale} -->", f"<!-- /table1:{scale} -->"
    if start not in text:
        raise ReadmeError(f"README.md has no line {start}, below which the table stands")
    between = rf"{re.escape(start)}(?:.*?{re.escape(end)})?"
    return re.sub(between, lambda _: f"{start}\n{table}{end}", text, count=1, flags=re.DOTALL)
