"""What the dashboards show, as plain data: every key is one that runs log (see `experiments.tracking`).

`views` draws it with wandb-workspaces. A test holds the keys against those of real runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.families import FAMILIES, is_generative
from experiments.report.columns import COLUMNS, OPTIONAL
from experiments.tracking import FOOTPRINT

TABLE_KEYS = "tables/{}"  # of a run that holds tables: tables/table1
VALIDATION_TEXT = "log_likelihood"  # what a language model is measured by while it trains


@dataclass(frozen=True)
class Curve:
    """Lines over the steps: of the keys given, or of all that a pattern matches."""

    title: str
    keys: Sequence[str] = ()
    pattern: str = ""
    logarithmic: bool = False


@dataclass(frozen=True)
class Bars:
    """A number of the summary, a bar for each cell: the mean of its seeds and their standard error."""

    title: str
    key: str


@dataclass(frozen=True)
class Scatter:
    """Two numbers of the summary against each other, a point for each run."""

    title: str
    x: str
    y: str


@dataclass(frozen=True)
class Pictures:
    """Images of the runs side by side."""

    title: str
    key: str


Panel = Curve | Bars | Scatter | Pictures


def scores(family: str, task: str) -> dict[str, str]:
    """The scores of a task that a table prints and every run has, with their titles."""
    columns = [each for each in COLUMNS[family] if each.task == task and not each.further]
    if is_generative(family):
        return {each.score: each.title for each in columns if each.score not in OPTIONAL}
    return {each.score: each.score for each in columns}


def compare(family: str, tasks: Sequence[str]) -> list[Panel]:
    """How the cells of some tasks compare, and how they got there."""
    found = {name: title for task in tasks for name, title in scores(family, task).items()}
    watched = [VALIDATION_TEXT] if is_generative(family) else list(found)
    return [
        *(Bars(f"{title}, best epoch", f"best/{name}") for name, title in found.items()),
        *(Curve(f"{name} on held-out examples", [f"eval/{name}"]) for name in watched),
        *(Scatter(f"{title} by size", "stored_params", f"best/{name}") for name, title in found.items()),
    ]


TRAINING: list[Panel] = [
    Curve("loss", ["train/loss"], logarithmic=True),
    Curve("norm of all gradients, before clipping", ["train/grad_norm"], logarithmic=True),
    Curve("norm of each group's gradients", pattern="train/grad_norm/.*", logarithmic=True),
    Curve("learning rate of each group", pattern="train/lr/.*"),
]
COST: list[Panel] = [
    Curve("tokens a second of training, without padding", ["train/tokens_per_second"]),
    Curve("most bytes held", ["train/peak_bytes"]),
    Bars("seconds of training", "train_seconds"),
    Bars("stored parameters, without the head", "stored_params"),
    Bars("stored bytes, without the head", "stored_bytes"),
]
SELECTIONS: list[Panel] = [Pictures("vectors that the sub-vectors selected", FOOTPRINT)]


def sections(family: str) -> dict[str, list[Panel]]:
    """All that a family's runs show."""
    scored = compare(family, FAMILIES[family].tasks)
    return {"Scores": scored, "Training": TRAINING, "Cost": COST, "Selections": SELECTIONS}


def keys(panels: Sequence[Panel]) -> tuple[set[str], set[str]]:
    """The keys that panels show, and the patterns."""
    found: set[str] = set()
    patterns: set[str] = set()
    for panel in panels:
        if isinstance(panel, Curve):
            found |= set(panel.keys)
            patterns |= {panel.pattern} - {""}
        elif isinstance(panel, Scatter):
            found |= {panel.x, panel.y}
        else:
            found.add(panel.key)
    return found, patterns
