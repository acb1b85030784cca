"""Pieces of HTML: tables, figures and notes. Every text is escaped here, and nowhere else put together."""

import base64
import io
from collections.abc import Iterable
from html import escape

from experiments.report.figures import style
from experiments.report.figures.gallery import Drawing
from experiments.report.rendering import Cell, Table, printable

LONG = 40  # characters of a cell, from which its lines break


def text(value: object) -> str:
    """A text as HTML shows it, on one line."""
    return escape(printable(str(value)))


def element(name: str, content: str, **attributes: str | bool) -> str:
    """An element around content that is HTML already; attributes are texts. `cls` stands for class."""
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    return f"<{name}{given}>{content}</{name}>"


def table(shown: Table, name: str, scale: str) -> str:
    """A table that sorts by its columns, group by group, with its notes and what would fill its gaps."""
    head = "".join(_head(title, letter) for title, letter in zip(shown.header, shown.alignment, strict=True))
    bodies = "".join(
        element("tbody", "".join(_row(row, shown.alignment, scale) for row in block))
        for block in shown.blocks
    )
    inner = element("caption", text(shown.title)) + element("thead", element("tr", head)) + bodies
    scrolled = element("div", element("table", inner, cls="sorts"), cls="wide", tabindex="0", role="region",
                       aria_label=shown.title)  # fmt: skip
    return element("section", scrolled + notes(shown.notes) + gaps(shown.commands), id=name, cls="sheet")


def notes(lines: Iterable[str]) -> str:
    """Sentences below a table."""
    found = "".join(element("li", text(line)) for line in lines)
    return element("ul", found, cls="notes") if found else ""


def gaps(commands: list[tuple[str, str]]) -> str:
    """What is missing, folded away."""
    if not commands:
        return ""
    lines = "".join(
        element("li", text(what) + " " + element("code", text(command))) for what, command in commands
    )
    count = f"{len(commands)} gaps, and the commands that would fill them"
    return element("details", element("summary", text(count)) + element("ul", lines), cls="gaps")


def figure(drawing: Drawing, name: str) -> str:
    """A figure with its caption; one without a run says what would make it."""
    number = drawing.name.removeprefix("figure")
    title = element("strong", text(f"Figure {number}: {drawing.title}."))
    caption = element("figcaption", f"{title} {text(drawing.caption)}")
    if drawing.figure is None:
        gap = f"No run to be drawn of. {element('code', text(drawing.command))}"
        return element("figure", element("p", gap, cls="gap") + caption, id=name)
    image = f'<img alt="{text(drawing.title)}" src="{_picture(drawing)}">'
    return element("figure", image + caption, id=name)


def _picture(drawing: Drawing) -> str:
    assert drawing.figure is not None
    out = io.BytesIO()
    with style.applied():
        drawing.figure.savefig(out, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def _head(title: str, letter: str) -> str:
    inner = element("button", text(title), type="button") if title else ""
    return element("th", inner, scope="col", cls="num" if letter == "r" else "")


def _row(row: list[Cell], alignment: str, scale: str) -> str:
    return element(
        "tr", "".join(_cell(cell, letter, scale) for cell, letter in zip(row, alignment, strict=True))
    )


def _cell(cell: Cell, letter: str, scale: str) -> str:
    inner = element("b", text(cell.text)) if cell.bold else text(cell.text)
    if cell.runs:
        asked = " ".join(f"{scale}/{run}" for run in cell.runs)
        inner = element(
            "a", inner, href="#runs", data_runs=asked, title=f"{len(cell.runs)} runs behind this number"
        )
    kinds = {"num": letter == "r", "gap": cell.text == "–", "long": len(cell.text) > LONG}
    return element("td", inner, cls=" ".join(name for name, holds in kinds.items() if holds))


def _attribute(key: str, value: str | bool) -> str:
    if value is False or value == "":
        return ""
    name = "class" if key == "cls" else key.replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
