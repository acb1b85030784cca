"""The page: an overview, then for each scale its tables, claims and figures, then all runs and the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from experiments import records
from experiments.families import FAMILIES
from experiments.records import Found, RunRecord
from experiments.report import ablations, finding, grid, plan, published, tables
from experiments.report.figures import gallery
from experiments.report.figures.sources import Sources
from experiments.report.page import parts, runs
from experiments.report.page.parts import element, text
from experiments.report.paper_table import PaperTable
from experiments.report.rendering import Cell, Table
from experiments.report.tables import Sheet

PROJECT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
LEDGER = PROJECT / "docs" / "fidelity.md"
TITLE = "VB-LoRA: results"
ORDER = ("paper", "tiny", "minilm")  # of scales on the page; others follow
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class Part:
    """A scale's part of the page.

    Attributes:
        scale: its name.
        found: its records.
        sheets: its tables.
        html: them and its figures.
    """

    scale: str
    found: Found
    sheets: list[Sheet]
    html: str


def build(roots: Sequence[Path], scales: Sequence[str]) -> str:
    """The whole page as HTML.

    Args:
        roots: where records lie; the first that has a run wins.
        scales: which to show; scale paper has published numbers also without a run.
    """
    shown = [_part(roots, scale) for scale in sorted(scales, key=_order)]
    all_runs = [record for part in shown for record in part.found.records]
    main = "".join([_overview(shown), *(part.html for part in shown), _runs(all_runs), _ledger()])
    data = element("script", runs.embedded(runs.data(all_runs)), type="application/json", id="data")
    script = element("script", (HERE / "page.js").read_text(encoding="utf-8"))
    body = _header(shown) + element("main", main, id="main") + data + script
    return f'<!doctype html>\n<html lang="en">{_head()}{element("body", body)}</html>\n'


def all_scales(roots: Sequence[Path]) -> list[str]:
    """Every scale that has records, and scale paper."""
    folders = [path for root in roots if root.is_dir() for path in root.iterdir() if path.is_dir()]
    return list({"paper": None, **{path.name: None for path in folders}})


def _order(scale: str) -> tuple[int, str]:
    return (ORDER.index(scale), scale) if scale in ORDER else (len(ORDER), scale)


def _part(roots: Sequence[Path], scale: str) -> Part:
    found = records.find(roots, scale)
    claims, *others = _other_sheets(found, scale)
    sheets = [claims, *_family_sheets(found, roots, scale), *others]
    drawings = gallery.draw_all(Sources(scale, found, roots)) if _has_glue(found, scale) else []
    shown = [
        parts.table(each, f"{scale}-{sheet.name}{'-differences' if number else ''}", scale)
        for sheet in sheets
        for number, each in enumerate(sheet.parts)
    ]
    figures = [parts.figure(drawing, f"{scale}-{drawing.name}") for drawing in drawings]
    title = element("h2", text(f"Scale {scale}")) + _contents(scale, sheets, drawings)
    return Part(scale, found, sheets, element("section", title + "".join([*shown, *figures]), id=scale))


def _contents(scale: str, sheets: list[Sheet], drawings: list[gallery.Drawing]) -> str:
    """Links to the parts of a scale."""
    names = [
        (sheet.name, sheet.name.replace("table", "Table ").replace("claims", "Claims")) for sheet in sheets
    ]
    names += [(drawing.name, drawing.name.replace("figure", "Figure ")) for drawing in drawings]
    links = "".join(element("a", text(shown), href=f"#{scale}-{name}") for name, shown in names)
    return element("nav", links, cls="contents", aria_label=f"Scale {scale}")


def _family_sheets(found: Found, roots: Sequence[Path], scale: str) -> list[Sheet]:
    """Tables 1 to 4, where the scale knows the family."""
    built = [
        PaperTable(finding.only(found, roots, scale, family), scale, family)
        for family in FAMILIES
        if grid.load(scale, family).rows or _has(found, family)
    ]
    return [tables.of_family(table) for table in built]


def _other_sheets(found: Found, scale: str) -> list[Sheet]:
    """The claims, and Tables 5 to 9 where they have a line."""
    made = {name: build(found, scale, name) for name, build in tables.OTHERS.items()}
    claims = made.pop("claims")
    return [claims, *(sheet for sheet in made.values() if any(sheet.parts[0].blocks))]


def _has(found: Found, family: str) -> bool:
    return any(record.identity.family == family for record in found.records)


def _has_glue(found: Found, scale: str) -> bool:
    """Whether the scale's figures are of its own: they are drawn of GLUE's runs."""
    return _has(found, "glue") or scale == "paper"


def _head() -> str:
    return element(
        "head",
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        + element("title", text(TITLE))
        + element("style", (HERE / "page.css").read_text(encoding="utf-8")),
    )


def _header(shown: list[Part]) -> str:
    links = [("overview", "Overview"), *((part.scale, f"Scale {part.scale}") for part in shown)]
    links += [("runs", "Runs"), ("ledger", "Paper and code")]
    nav = element("nav", "".join(element("a", text(name), href=f"#{where}") for where, name in links))
    skip = element("a", "Skip to the results", href="#main", cls="skip")
    toggle = element("button", "Light or dark", type="button", id="theme")
    return skip + element("header", element("h1", text(TITLE)) + nav + toggle)


def _overview(shown: list[Part]) -> str:
    source = published.sources()["li2024"]
    about = (
        "Every number here is measured by a run whose record stands behind it (follow a number to its runs), "
        f"or published by {source}, at scale paper only. A dash has no run."
    )
    lines = [line for part in shown for line in _progress(part)]
    table = Table(
        title="What is done",
        header=["Scale", "Table", "Done", "Failed", "Missing"],
        alignment="llrrr",
        blocks=[lines],
    )
    content = element("h2", "Overview") + element("p", text(about)) + parts.table(table, "done", "")
    return element("section", content, id="overview")


def _progress(part: Part) -> list[list[Cell]]:
    """How many runs of each table's grid there are; of a scale without a grid, all."""
    grids = [grid.load(part.scale, family) for family in FAMILIES]
    grids += [ablations.load(part.scale)]
    lines = []
    for wanted in grids:
        jobs = plan.jobs(part.found, wanted)
        done, failed = sum(len(job.done) for job in jobs), sum(len(job.failed) for job in jobs)
        missing = sum(len(job.missing) for job in jobs)
        if jobs:
            counts = [str(done), str(failed), str(missing)]
            lines.append([Cell(part.scale), Cell(wanted.title), *map(Cell, counts)])
    return lines or [_without_grid(part)]


def _without_grid(part: Part) -> list[Cell]:
    done = sum(record.outcome is not None for record in part.found.records)
    failed = sum(record.status == "failed" for record in part.found.records)
    return [
        Cell(part.scale),
        Cell("all runs; no grid is fixed"),
        Cell(str(done)),
        Cell(str(failed)),
        Cell(""),
    ]


def _runs(found: list[RunRecord]) -> str:
    """The list of runs, which the script fills; without it, how many there are."""
    search = (
        '<label for="search">Runs whose name, status or error has all of these words</label>'
        '<input id="search" type="search" autocomplete="off" spellcheck="false">'
    )
    inner = element("h2", "Runs") + search
    inner += element("p", f"{len(found)} runs.", id="count", role="status")
    inner += element("div", "", id="list", cls="wide", tabindex="0", role="region", aria_label="Runs")
    inner += element("div", "", id="detail")
    return element("section", inner, id="runs")


def _ledger() -> str:
    """Where paper, released code and this project differ."""
    if not LEDGER.is_file():
        return ""
    shown = (
        MarkdownIt("commonmark", {"html": False}).enable("table").render(LEDGER.read_text(encoding="utf-8"))
    )
    return element("section", shown, id="ledger", cls="prose")
