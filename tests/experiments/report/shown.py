"""Reads a table that is ready to be printed."""

from experiments.report.rendering import Table


def lines(table: Table) -> dict[tuple[str, ...], list[str]]:
    """Cells by what names the line: model, row, and published or measured or what is subtracted."""
    named = 3 if table.header[2] in ("", "Minus") else 2
    rows = [[cell.text for cell in row] for block in table.blocks for row in block]
    return {tuple(row[:named]): row[named:] for row in rows}


def bold(table: Table) -> set[tuple[str, str]]:
    """Row and column of every bold cell."""
    rows = [row for block in table.blocks for row in block]
    return {
        (row[1].text, name) for row in rows for name, cell in zip(table.header, row, strict=True) if cell.bold
    }
