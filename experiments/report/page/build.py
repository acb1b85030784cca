"""The page: what is measured, scale by scale; what is not, a line a scale; then all runs and the ledger."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from matplotlib.figure import Figure

from experiments.records import RunRecord
from experiments.report import published
from experiments.report.figures import style
from experiments.report.page import parts, runs, sources
from experiments.report.page.parts import Part
from experiments.report.rendering import printable

PROJECT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
LEDGER = PROJECT / "docs" / "fidelity.md"
TITLE = "VB-LoRA: results of an independent reproduction"
ORDER = ("paper", "minilm", "e2e-small", "math-small", "tiny")  # from the paper's setting to the furthest


def build(roots: Sequence[Path], scales: Sequence[str]) -> str:
    """The whole page as HTML.

    Args:
        roots: where records lie; the first holds the user's own.
        scales: which to show.
    """
    stamp = sources.stamp(roots, scales)  # before anything is read
    made = [parts.part(roots, scale) for scale in sorted(scales, key=_rank)]
    made.sort(key=lambda part: not part.found.from_first_root)  # the user's own scales first
    return render(made, [record for part in made for record in part.found.records], stamp)


def render(made: Sequence[Part], found: Sequence[RunRecord], stamp: str = "") -> str:
    """The page of some parts and of the runs that it lists; every text in it is escaped."""
    page = environment().get_template("page.html")
    return page.render(
        title=TITLE,
        stamp=stamp,
        paper=published.sources()["li2024"],
        measured=[part for part in made if part.measured],
        unmeasured=[part for part in made if not part.measured],
        runs=found,
        ledger=_ledger(),
        data=Markup(runs.embedded(runs.data(found))),
        **{kind: Markup((HERE / f"page.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js")},
    )


def _rank(scale: str) -> tuple[int, str]:
    return (ORDER.index(scale) if scale in ORDER else len(ORDER), scale)


def environment() -> Environment:
    """The templates, which escape every value."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    made.filters["image"] = _image
    return made


def _printable(value: object) -> str:
    """What a template shows of a value, before it is escaped."""
    text = value if isinstance(value, str) else str(value)
    return text if isinstance(text, Markup) or text.isprintable() else printable(text)


def _image(figure: Figure) -> Markup:
    """The URL of a figure, which holds it."""
    out = io.BytesIO()
    with style.applied():
        figure.savefig(out, format="svg", metadata={"Date": None})
    return Markup("data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode())


def _ledger() -> Markup:
    """Where paper, released code and this project differ; a clone has the file."""
    text = LEDGER.read_text(encoding="utf-8") if LEDGER.is_file() else ""
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
