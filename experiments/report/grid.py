"""Which runs a table needs at a scale, and the commands that make them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from experiments.report import published

CONF = Path(__file__).resolve().parents[2] / "conf"
FAMILY = "glue"
# Scales whose whole grid a table shows; elsewhere it shows the rows that there are.
MODELS = {"tiny": ("tiny_roberta",), "paper": ("roberta_base", "roberta_large")}
EXPERIMENTS = {"minilm": "minilm"}  # scales whose grid is the experiment of that name, and its model
PATTERN_MODEL = "roberta_base"  # its rows of Table 1 are the grid of every model that the paper does not have


class RowKey(NamedTuple):
    """A row of a table: what its runs share beside task and seed."""

    model: str
    method: str
    targets: str
    variant: str = "paper"


# What tiny rows are measured against: the head alone, and a backbone that was never pretrained.
CONTROLS = {"tiny": (RowKey("tiny_roberta", "head", "none"), RowKey("tiny_scratch", "vblora", "qv"))}


@dataclass(frozen=True)
class Grid:
    """The runs of Table 1 at one scale: rows x tasks x seeds."""

    scale: str
    rows: list[RowKey]
    tasks: list[str]
    seeds: list[int]


def printed_rows(model: str = PATTERN_MODEL) -> list[tuple[str, str]]:
    """Method and targets of the rows that Table 1 prints for a model, in order."""
    return [(row.method, row.targets) for row in published.rows("table1") if row.model == model]


def load(scale: str) -> Grid:
    """The grid of a scale; without rows where the scale has no fixed grid."""
    if scale in EXPERIMENTS:
        return _of_experiment(scale, EXPERIMENTS[scale])
    models = MODELS.get(scale, ())
    rows = [RowKey(model, *row) for model in models for row in printed_rows(model) or printed_rows()]
    return Grid(scale, [*rows, *CONTROLS.get(scale, ())], published.columns("table1"), seeds(scale))


def _of_experiment(scale: str, model: str) -> Grid:
    """The rows and tasks that the experiment named like the scale sweeps over."""
    text = (CONF / "experiment" / f"{scale}.yaml").read_text(encoding="utf-8")
    axes = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    rows = [RowKey(model, *row_parts(choice)) for choice in axes["row"].split(",")]
    return Grid(scale, rows, axes["task"].split(","), seeds(scale))


def seeds(scale: str) -> list[int]:
    """The seeds that conf/scale/<scale>.yaml sets for a whole grid; none for a scale without such a file."""
    path = CONF / "scale" / f"{scale}.yaml"
    if not path.is_file():
        return []
    text = str(yaml.safe_load(path.read_text(encoding="utf-8"))["scale"]["seeds"])
    return [int(part) for part in text.split(",")]


def run_id(row: RowKey, task: str, seed: int) -> str:
    """The run_id of one run of the grid."""
    variant = "" if row.variant == "paper" else f"-{row.variant}"
    return f"{FAMILY}/{task}/{row.model}/{row.method}-{row.targets}{variant}/seed{seed}"


def row_choice(method: str, targets: str) -> str:
    """The name in conf/row of a method and its targets."""
    return method if targets in ("full", "none") else f"{method}_{targets}"


def row_parts(choice: str) -> tuple[str, str]:
    """Method and targets of a name in conf/row: the inverse of `row_choice`."""
    whole = {"full": "full", "head": "none"}
    method, _, targets = choice.rpartition("_")
    return (choice, whole[choice]) if choice in whole else (method, targets)


def command(scale: str, row: RowKey, tasks: Iterable[str], wanted: Sequence[int]) -> str:
    """The shell command that makes the runs of a row; what the records do not tell is left to fill in.

    A variant of the user's own has no command here: its settings were words on a command line.
    """
    runs = f"task={','.join(tasks)} seed={','.join(map(str, wanted))}"
    if row.variant not in ("paper", "released"):
        what = f"{row.method} {row.targets}, variant {row.variant}"
        return f"# {what}: the command of its other runs, with {runs}"
    model = f"model.name={row.model}" if scale == "local" else f"model={row.model}"
    words = [f"scale={scale}", model, f"row={row_choice(row.method, row.targets)}", runs]
    words += [f"variant={row.variant}"] if row.variant == "released" else []
    words += ["tuned=TABLE"] if scale == "local" else []
    words += ["model.path=FOLDER", "data.root=FOLDER"] if scale in ("minilm", "local") else []
    return " ".join(["python -m experiments.run -m", *words])
