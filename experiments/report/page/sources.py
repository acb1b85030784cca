"""What a page is made of, so that it is not made again of the same."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.report import grid

PROJECT = Path(__file__).resolve().parents[3]
CODE = ("experiments/report", "conf", "results/published.yaml", "docs/fidelity.md")
"""What a page depends on beside the records; of a clone."""
HEAD_BYTES = 2_000
"""In so many first bytes of a page stands its stamp."""


def all_scales(roots: Sequence[Path]) -> list[str]:
    """Every scale that has records, and those that have a grid to be run."""
    folders = [path.name for root in roots if root.is_dir() for path in root.iterdir() if path.is_dir()]
    return list(dict.fromkeys([*grid.OF_THE_PAPER, *grid.EXPERIMENTS, *folders]))


def stamp(roots: Sequence[Path], scales: Sequence[str]) -> str:
    """Digits over the names, sizes and times of all files that the page of some scales is made of."""
    total = hashlib.sha256(" ".join(scales).encode())
    for path in sorted({*_files(roots), *_files(PROJECT / place for place in CODE)}):
        facts = path.stat()
        total.update(f"{path} {facts.st_size} {facts.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return total.hexdigest()[:32]


def is_current(page: Path, roots: Sequence[Path], scales: Sequence[str]) -> bool:
    """Whether a page is there that was made of these files as they are now."""
    try:
        with page.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return stamp(roots, scales).encode() in head


def _files(places: Iterator[Path] | Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_file():
            yield place
        else:
            yield from (path for path in place.rglob("*") if path.is_file() and path.suffix != ".pyc")
