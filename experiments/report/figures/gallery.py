"""All figures of a scale: each drawn of the runs it needs, with a caption, or the command that makes them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from experiments.families import FAMILIES
from experiments.records import Found
from experiments.report import ablations, grid, scales
from experiments.report.ablation_table import AblationTable
from experiments.report.figures import selections, sizes, style, usage
from experiments.report.figures.sources import Run, Sources
from experiments.report.grid import RowKey
from experiments.report.names import MODELS
from experiments.report.paper_table import PaperTable

# What the paper says that each figure shows: Li et al. 2024, as results/published.yaml has its tables.
PAPER = {
    "figure1": "The paper: CoLA with RoBERTa-large, for VB-LoRA, VeRA, Tied-LoRA and LoRA.",
    "figure3": "The paper: 96 sub-vectors over a bank of 90, for k = 1, 2, 3 and noisy top-2.",
    "figure4": "The paper: RoBERTa-large on CoLA, bank 30, rank 2, length 1024: 192 sub-vectors.",
    "figure5": "The paper: the footprint of its Figure 3 for each five of 30 epochs.",
    "figure6": "The paper: first, middle and last 8 of 24 layers, vectors sorted by norm.",
    "figure7": "The paper: the same sums by query and value, A and B.",
    "figure8": "The paper: Gemma-7B on MetaMathQA, bank 2048: used 29 to 70 times, most 40 to 55.",
    "figure9": "The paper: bank vectors and sub-vectors by t-SNE.",
}
PANELS = {"k = 1": "k1", "k = 2": "paper", "k = 3": "k3", "noisy top-2": "noisy_k2"}
MEASURED = (
    "Counted for at most 96 sub-vectors, evenly spread over all: what every composition in training selected."
)


@dataclass(frozen=True)
class Drawing:
    """One figure of the paper at one scale.

    Attributes:
        name: "figure1", "figure3" to "figure9".
        title: what it shows.
        figure: None where there is no run to draw it of.
        caption: scale, runs and numbers behind it, and what the paper's shows.
        command: what makes the runs that it needs.
    """

    name: str
    title: str
    figure: Figure | None
    caption: str
    command: str


@dataclass(frozen=True)
class OfOneRun:
    """A figure that is drawn of one run: which rows may serve, the first that has a footprint."""

    title: str
    draw: Callable[[Run], Figure]
    rows: Callable[[Sources], list[tuple[str, str, RowKey]]]


def _plain(sources: Sources) -> list[tuple[str, str, RowKey]]:
    return [("glue", "cola", RowKey(sources.model(), "vblora", "qv"))]


def _longest(sources: Sources) -> list[tuple[str, str, RowKey]]:
    """At scale paper the figure's own settings; elsewhere the longest sub-vectors that Table 6 has there."""
    lengths = ablations.rows("table6", sources.scale)
    variant = "figure4" if sources.scale == "paper" else lengths[-1].variant
    return [("glue", "cola", RowKey(sources.model(), "vblora", "qv", variant))]


def _largest(sources: Sources) -> list[tuple[str, str, RowKey]]:
    """Mathematical reasoning, as in the paper; where a scale has none, CoLA."""
    model = "gemma_7b" if sources.scale == "paper" else scales.find("math", sources.scale).model
    return [
        ("math", "metamath", RowKey(model, "vblora", "all")),
        ("glue", "cola", RowKey(sources.model(), "vblora", "all")),
        *_plain(sources),
    ]


ONE_RUN = {
    "figure4": OfOneRun("Vectors selected first, last, and both", selections.first_and_last, _longest),
    "figure5": OfOneRun("The footprint by period of training", selections.by_period, _plain),
    "figure6": OfOneRun("Use of the bank by depth", usage.by_depth, _plain),
    "figure7": OfOneRun("Use of the bank by module and matrix", usage.by_module, _plain),
    "figure8": OfOneRun("How often bank vectors are used", usage.histogram, _largest),
    "figure9": OfOneRun("Bank vectors and sub-vectors in two dimensions", usage.positions, _plain),
}


def draw_all(sources: Sources) -> list[Drawing]:
    """Every figure of the scale, in order.

    Raises:
        AdapterFileError: a footprint cannot be read.
    """
    with style.applied():
        of_several = [_sizes(sources), _during_training(sources)]
        return [*of_several, *(_of_one_run(sources, name, wanted) for name, wanted in ONE_RUN.items())]


def pictures(found: Found, scale: str, family: str, ablation: bool = False) -> dict[str, Figure]:
    """Draw score against stored parameters for a family's table, or for Tables 5 and 6, by file name.

    Args:
        found: the records.
        scale: name of the scale.
        family: whose table.
        ablation: Tables 5 and 6 in place of the family's own.
    """
    with style.applied():
        if ablation:
            built = [AblationTable(found, scale, name) for name in ablations.TABLES]
            drawn = {
                f"{table.name}-{model}": sizes.of_ablation(table, model)
                for table in built
                for model in table.by_model
            }
        else:
            table = PaperTable(found, scale, family)
            models = dict.fromkeys(row.model for row in table.rows)
            drawn = {f"{FAMILIES[family].table}-{model}": sizes.of_family(table, model) for model in models}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def write(drawings: list[Drawing], folder: Path) -> list[Path]:
    """Write the figures that could be drawn. Returns their paths."""
    made = [drawing for drawing in drawings if drawing.figure is not None]
    return [path for each in made if each.figure for path in style.write(each.figure, folder, each.name)]


def _sizes(sources: Sources) -> Drawing:
    table, model = PaperTable(sources.found, sources.scale), sources.model()
    caption = (
        f"Scale {sources.scale}, {MODELS.get(model, model)}: {table.cells.center} over the seeds of each row "
        "of Table 1 with query and value (qv) or all layers, and the sample standard deviation as a bar; "
        f"stored parameters without the head, on a logarithmic axis. {sizes.counts(table, model)}"
    ).rstrip()
    command = grid.command("glue", sources.scale, RowKey(model, "vblora", "qv"), ["cola"], [0])
    figure = sizes.of_family(table, model)
    return Drawing(
        "figure1", "Score against stored parameters", figure, _caption("figure1", caption), command
    )


def _during_training(sources: Sources) -> Drawing:
    rows = {title: RowKey(sources.model(), "vblora", "qv", name) for title, name in PANELS.items()}
    found = {title: sources.run("glue", "cola", row) for title, row in rows.items()}
    runs = {title: run for title, run in found.items() if run is not None}
    missing = ",".join(rows[title].variant for title in rows if title not in runs)
    lacking = f" Without a run: {missing}." if missing and runs else ""
    about = " ".join(f"{title}: {run.about}." for title, run in runs.items())
    command = grid.command("glue", sources.scale, rows["k = 1"], ["cola"], [0]).replace(
        "=k1", "=k1,k3,noisy_k2"
    )
    figure = selections.during_training(runs) if runs else None
    caption = f"Scale {sources.scale}, n = 1 run a panel. {about}{lacking} {MEASURED}"
    return Drawing(
        "figure3", "Selection footprints of training", figure, _caption("figure3", caption), command
    )


def _of_one_run(sources: Sources, name: str, wanted: OfOneRun) -> Drawing:
    choices = wanted.rows(sources)
    run = next((run for choice in choices if (run := sources.run(*choice))), None)
    family, task, row = choices[0]
    command = grid.command(family, sources.scale, row, [task], [0])
    if run is None:
        return Drawing(name, wanted.title, None, _caption(name, f"Scale {sources.scale}."), command)
    caption = f"Scale {sources.scale}, n = 1 run, {run.about}."
    return Drawing(name, wanted.title, wanted.draw(run), _caption(name, caption), command)


def _caption(name: str, text: str) -> str:
    return f"{text} {PAPER[name]}"
