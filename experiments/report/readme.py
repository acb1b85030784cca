"""Measured tables in README.md: made from the project's own records, each between two comments."""

import re
from dataclasses import replace
from pathlib import Path

from experiments.families import FAMILIES
from experiments.report import finding, rendering, table_notes, table_text
from experiments.report.paper_table import PaperTable

PLACE = re.compile(r"<!-- (table\d):([\w-]+) -->")
"""The comment above a table: which, and of which scale."""


class ReadmeError(Exception):
    """README.md has no place for the table, or there are no records to fill it."""


def refreshed(text: str, reference: Path) -> str:
    """Fill every place of README's text with its table.

    Raises:
        ReadmeError: a place names a scale without a finished run.
    """
    families = {facts.table: family for family, facts in FAMILIES.items()}
    for table, scale in PLACE.findall(text):
        family = families[table]
        text = filled(text, scale, part(reference, scale, family), family)
    return text


def part(reference: Path, scale: str, family: str = "glue") -> str:
    """The scores of a family's table as Markdown, without title and gaps, from the records under `reference`.

    Raises:
        ReadmeError: there is no finished run.
    """
    table = PaperTable(finding.find([reference], scale, family), scale, family)
    if not table.cells.by_row:
        raise ReadmeError(
            f"{reference / scale} holds no finished run of {family}; the table is made from records only"
        )
    scores = replace(table_text.scores(table), notes=table_notes.scores(table), commands=[])
    title, text = rendering.markdown(scores).split("\n\n", 1)
    return f"Scale {scale}:{title.partition(':')[2]}.\n\n{text}"


def filled(text: str, scale: str, table: str, family: str = "glue") -> str:
    """README's text with the table between its comments; a missing second comment is added.

    Raises:
        ReadmeError: the first comment is missing.
    """
    place = f"{FAMILIES[family].table}:{scale}"
    start, end = f"<!-- {place} -->", f"<!-- /{place} -->"
    if start not in text:
        raise ReadmeError(f"README.md has no line {start}, below which the table stands")
    between = rf"{re.escape(start)}(?:.*?{re.escape(end)})?"
    return re.sub(between, lambda _: f"{start}\n{table}{end}", text, count=1, flags=re.DOTALL)
