"""The project's pages: their tables and figures made anew from the project's own results."""

from pathlib import Path

from benchmarks import drawing, results

PAGES = ("README.md", "docs/beside-peft.md", "docs/speed.md", "docs/storing.md", "docs/sweeps.md")
FIGURES = Path("docs/figures")


def fill() -> None:
    """Write the tables into the pages, and draw the figures of each machine that they name."""
    machines = set()
    for name in PAGES:
        path = results.PROJECT / name
        text = path.read_text(encoding="utf-8")
        machines |= {place[2] for place in results.PLACE.finditer(text)}
        path.write_text(results.filled(text), encoding="utf-8")
    for machine in machines:
        drawing.draw_all(results.KEPT / machine, results.PROJECT / FIGURES / machine)
