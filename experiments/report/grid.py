"""Which runs a table needs at a scale, and the commands that make them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from experiments.families import FAMILIES
from experiments.report import published, scales
from experiments.report.names import table_name
from experiments.report.scales import CONF, Scale

# Scales whose whole grid a table shows: the paper's rows, or those of an experiment of conf/. Elsewhere it
# shows the rows that there are.
OF_THE_PAPER = ("tiny", "paper")
EXPERIMENTS = {"minilm": "minilm", "e2e-small": "e2e_small", "math-small": "math_small"}
ABLATIONS = frozenset(path.stem for path in (CONF / "ablation").glob("*.yaml"))
"""The variants that are rows of Tables 5 and 6."""


class RowKey(NamedTuple):
    """A row of a table: what its runs share beside task and seed."""

    model: str
    method: str
    targets: str
    variant: str = "paper"


# What tiny rows are measured against: the backbone as it is (with a head, the head alone), one that was never
# pretrained, and full fine-tuning where the paper has none.
CONTROLS = {
    "glue": (RowKey("tiny_roberta", "head", "none"), RowKey("tiny_scratch", "vblora", "qv")),
    "e2e": (
        RowKey("tiny_gpt2", "none", "none"),
        RowKey("tiny_gpt2_scratch", "vblora", "all"),
        RowKey("tiny_gpt2_scratch", "full", "full"),
    ),
    "instruct": (
        RowKey("tiny_llama", "none", "none"),
        RowKey("tiny_llama_scratch", "vblora", "all"),
        RowKey("tiny_llama", "full", "full"),
    ),
    "math": (
        RowKey("tiny_llama", "none", "none"),
        RowKey("tiny_llama_scratch", "vblora", "all"),
        RowKey("tiny_llama_scratch", "full", "full"),
    ),
}


@dataclass(frozen=True)
class Grid:
    """The runs of a table at one scale: rows x tasks x seeds. `title` is what the table is called."""

    family: str
    scale: str
    rows: list[RowKey]
    tasks: list[str]
    seeds: list[int]
    title: str


def printed_models(family: str) -> list[str]:
    """The models of a family's table, in printed order."""
    return list(dict.fromkeys(row.model for row in published.rows(FAMILIES[family].table)))


def printed_rows(family: str, model: str = "") -> list[tuple[str, str]]:
    """Method and targets of the rows printed for a model, in order.

    A model that the paper does not have takes those of the first one.
    """
    models = printed_models(family)
    pattern = model if model in models else models[0]
    rows = [row for row in published.rows(FAMILIES[family].table) if row.model == pattern]
    return list(dict.fromkeys((row.method, row.targets) for row in rows))


def load(name: str, family: str = scales.PLAIN_FAMILY) -> Grid:
    """The grid of a family at a scale; without rows where the scale has no fixed grid.

    Args:
        name: of the scale, short or as its records' folder: small or e2e-small.
        family: a key of FAMILIES.
    """
    scale = scales.find(family, name)
    wanted = Grid(family, scale.name, [], list(FAMILIES[family].tasks), scale.seeds, table_name(family))
    if scale.name in EXPERIMENTS and scale.model:
        return _of_experiment(wanted, scale)
    if scale.name not in OF_THE_PAPER:
        return wanted
    models = printed_models(family) if scale.name == "paper" else [scale.model]
    rows = [RowKey(model, *row) for model in models for row in printed_rows(family, model)]
    rows += [row for row in CONTROLS[family] if scale.name == "tiny" and row not in rows]
    return replace(wanted, rows=rows)


def _of_experiment(wanted: Grid, scale: Scale) -> Grid:
    """The rows and tasks that the scale's experiment sweeps over."""
    path = CONF / "experiment" / f"{EXPERIMENTS[scale.name]}.yaml"
    axes = scales.read(path)["hydra"]["sweeper"]["params"]
    rows = [RowKey(scale.model, *row_parts(choice)) for choice in axes["row"].split(",")]
    return replace(wanted, rows=rows, tasks=axes["task"].split(","))


def run_id(family: str, row: RowKey, task: str, seed: int) -> str:
    """The run_id of one run of the grid."""
    variant = "" if row.variant == "paper" else f"-{row.variant}"
    return f"{family}/{task}/{row.model}/{row.method}-{row.targets}{variant}/seed{seed}"


def row_choice(method: str, targets: str) -> str:
    """The name in conf/row of a method and its targets."""
    return method if targets in ("full", "none") else f"{method}_{targets}"


def row_parts(choice: str) -> tuple[str, str]:
    """Method and targets of a name in conf/row: the inverse of `row_choice`."""
    whole = {"full": "full", "head": "none", "none": "none"}
    method, _, targets = choice.rpartition("_")
    return (choice, whole[choice]) if choice in whole else (method, targets)


def command(family: str, name: str, row: RowKey, tasks: Iterable[str], seeds: Sequence[int]) -> str:
    """The shell command that makes the runs of a row; what the records do not tell is left to fill in.

    A variant of the user's own has no command here: its settings were words on a command line.
    """
    scale = scales.find(family, name)
    runs = f"task={','.join(tasks)} seed={','.join(map(str, seeds))}"
    ablation = row.variant in ABLATIONS
    if row.variant not in ("paper", "released") and not ablation:
        what = f"{row.method} {row.targets}, variant {row.variant}"
        return f"# {what}: the command of its other runs, with {runs}"
    own = scales.has_own_name(scale)
    model = f"model.name={row.model}" if own else f"model={row.model}"
    words = [f"scale={scale.word}", model, f"row={row_choice(row.method, row.targets)}", runs]
    words += [f"variant={row.variant}"] if row.variant == "released" else []
    words += [f"ablation={row.variant}"] if ablation else []
    words += ["tuned=TABLE"] if own else []
    words += scales.asked_folders(scale, "" if own else row.model)
    return " ".join(["python -m experiments.run -m", *words])
