"""Tables 5 and 6: which runs they hold. CoLA, VB-LoRA on query and value; rows are files of conf/ablation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from experiments.report import published, scales
from experiments.report.grid import Grid, RowKey
from experiments.report.scales import CONF

FAMILY, TASK, METHOD, TARGETS = "glue", "cola", "vblora", "qv"
PLAIN = "paper"  # the variant of Table 1's own row, which is the top-2 row of Table 5
TABLES = ("table5", "table6")
MODEL_OF_PAPER = "roberta_large"
SELECTIONS = (
    *("all", "k1", PLAIN, "k3", "k6", "noisy_k1", "noisy_k2"),
    *("gumbel_k1", "gumbel_k2", "straight_k1", "straight_k2"),
)
"""The rows of Table 5 in printed order, by their variants."""
LENGTHS = "b128,b256,b512,b1024"  # of Table 6, where a scale names no others


@dataclass(frozen=True)
class Row:
    """A row of Table 5 or 6.

    Attributes:
        variant: of its runs.
        names: what names it: selection in training and at inference, or length and number of vectors.
        printed: score and deviation as printed; None where the paper has no such row.
    """

    variant: str
    names: tuple[str, ...]
    printed: tuple[float, float] | None


def rows(table: str, scale: str) -> list[Row]:
    """The rows of a table at a scale, in order; with the paper's numbers where these are its rows."""
    printed = published.load()[table]["rows"]
    if table == "table5":
        return [
            Row(variant, (row["train"], row["infer"]), (row["score"], row["std"]))
            for variant, row in zip(SELECTIONS, printed, strict=True)
        ]
    sizes = {(row["vector_length"], row["num_vectors"]): (row["score"], row["std"]) for row in printed}
    return [_length_row(variant, sizes) for variant in _lengths(scale)]


def load(scale: str, tables: Iterable[str] = TABLES) -> Grid:
    """The runs that the tables need at a scale."""
    known = scales.find(FAMILY, scale)
    names = list(dict.fromkeys(row.variant for table in tables for row in rows(table, known.name)))
    wanted = [RowKey(model, METHOD, TARGETS, name) for model in models(known) for name in names]
    return Grid(FAMILY, known.name, wanted, [TASK], known.seeds, title(tables))


def models(scale: scales.Scale) -> list[str]:
    """The model of a scale; none where it is a user's own, as its name is not known."""
    if scale.name == "paper":
        return [MODEL_OF_PAPER]
    return [scale.model] if scale.model and not scales.has_own_name(scale) else []


def title(tables: Iterable[str]) -> str:
    """What the grid is called: Tables 5 and 6 (ablations)."""
    numbers = [table.removeprefix("table") for table in tables]
    return f"Table{'s' if len(numbers) > 1 else ''} {' and '.join(numbers)} (ablations)"


def _length_row(variant: str, sizes: dict[tuple[int, int], tuple[float, float]]) -> Row:
    options = settings(variant)
    size = options["vector_length"], options["num_vectors"]
    return Row(variant, (str(size[0]), str(size[1])), sizes.get(size))


def settings(variant: str) -> dict[str, Any]:
    """The options of VB-LoRA that a choice of conf/ablation sets."""
    options: dict[str, Any] = scales.read(CONF / "ablation" / f"{variant}.yaml")["method"]["options"]
    return options


def _lengths(scale: str) -> list[str]:
    word = scales.find(FAMILY, scale).word
    path = CONF / "scale" / f"{word}.yaml"
    given = scales.read(path)["scale"] if path.is_file() else {}
    return str(given.get("lengths", LENGTHS)).split(",")
