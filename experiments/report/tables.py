"""Table 1 as files: results/tables/<scale>/table1.{md,tex,csv}, and table1-last.* for the last epoch."""

from pathlib import Path

from experiments.report import rendering, table1_text
from experiments.report.rendering import Table
from experiments.report.table1 import Table1


def paths(root: Path, scale: str, epoch: str) -> dict[str, Path]:
    """Where the files of a scale lie, by kind."""
    name = "table1" if epoch == "best" else f"table1-{epoch}"
    return {kind: root / scale / f"{name}.{kind}" for kind in ("md", "tex", "csv")}


def parts(table: Table1) -> list[Table]:
    """What is printed: the scores, and the differences where there are some."""
    differences = table1_text.differences(table)
    return [table1_text.scores(table), *([differences] if differences.blocks else [])]


def texts(table: Table1) -> dict[str, str]:
    """The contents of the files, by kind; the same for the same records."""
    shown = parts(table)
    return {
        "md": "\n".join(rendering.markdown(each) for each in shown),
        "tex": "\n".join(rendering.latex(each) for each in shown),
        "csv": table1_text.data(table),
    }


def write(root: Path, table: Table1) -> list[Path]:
    """Write the files. Returns their paths."""
    contents = texts(table)
    written = paths(root, table.scale, table.cells.epoch)
    for kind, path in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents[kind], encoding="utf-8")
    return list(written.values())
