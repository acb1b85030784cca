"""Tables 7 to 9: settings as configured here, published ones at scale paper, measured time and memory."""

import csv
import io
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from experiments.families import FAMILIES
from experiments.records import Found
from experiments.report import cells, grid, published, scales
from experiments.report.grid import RowKey
from experiments.report.names import METHODS, MODELS, TASKS
from experiments.report.rendering import Cell, Table
from experiments.report.table_text import GAP

MIB = 2**20
FAMILY = {"table7": "glue", "table8": "e2e", "table9": "instruct"}
# Whose settings a table gives, and the targets whose time and memory it has.
ROWS: dict[str, dict[str, tuple[str, ...]]] = {
    "table7": {"vblora": ("qv", "all")},
    "table8": {"vblora": ("all",)},
    "table9": {"lora": ("all",), "vblora": ("all",)},
}
Settings = Mapping[str, Any]
"""Of one run, as its record has them: group -> setting -> value; what is not set may be left out."""
SETTINGS: dict[str, tuple[str, Callable[[Settings], Any]]] = {
    "optimizer": ("Optimizer", lambda run: _optimizer(run["optim"])),
    "schedule": ("Learning rate schedule", lambda run: run["optim"].get("schedule")),
    "warmup_ratio": (
        "Warm-up, part of all steps",
        lambda run: run["optim"].get("warmup_ratio") if run["optim"].get("warmup_steps") is None else None,
    ),
    "warmup_steps": ("Warm-up, steps", lambda run: run["optim"].get("warmup_steps")),
    "label_smoothing": ("Label smoothing", lambda run: run["optim"].get("label_smoothing") or None),
    "batch_size": ("Batch size", lambda run: run["optim"].get("batch_size")),
    "epochs": ("Epochs", lambda run: run["optim"].get("epochs")),
    "max_length": ("Tokens at most", lambda run: run["data"].get("max_length")),
    "rank": ("Rank r", lambda run: _option(run, "rank", "r")),
    "num_vectors": ("Vectors in the bank h", lambda run: _option(run, "num_vectors")),
    "vector_length": ("Vector length b", lambda run: _option(run, "vector_length")),
    "topk": ("Vectors mixed k", lambda run: _option(run, "topk")),
    "head_lr": ("Learning rate, head", lambda run: run["optim"].get("head_lr")),
    "bank_lr": ("Learning rate, bank", lambda run: run["optim"].get("bank_lr")),
    "logits_lr": ("Learning rate, logits", lambda run: run["optim"].get("logits_lr")),
    "adapter_lr": ("Learning rate, adapter", lambda run: run["optim"].get("adapter_lr")),
}
"""By their names in results/published.yaml: what a table calls them, and where a run has them."""
FIELDS = ("table", "scale", "model", "method", "targets", "task", "quantity", "published", "here", "n")


@dataclass(frozen=True)
class Line:
    """One quantity of one model and method over the tasks of the table.

    Attributes:
        model, method, targets: whose; without targets where these do not matter.
        quantity: what, with its unit.
        published, here: texts by task; here is configured or measured.
        counts: runs behind a measured value, by task.
    """

    model: str
    method: str
    targets: str
    quantity: str
    published: Mapping[str, str]
    here: Mapping[str, str]
    counts: Mapping[str, int]


class SettingsTable:
    """Table 7, 8 or 9 at one scale.

    Attributes:
        name: "table7" to "table9".
        scale: whose settings and runs.
        tasks: the columns.
        lines: in order.
    """

    def __init__(self, found: Found, scale: str, name: str) -> None:
        """Read the configuration, and what the scale's records measured."""
        self.name, self.family = name, FAMILY[name]
        self.known = scales.find(self.family, scale)
        self.scale = self.known.name
        self.runs = cells.by_task(found.records)
        self.wanted = grid.load(self.scale, self.family)
        models = list(dict.fromkeys(row.model for row in self.wanted.rows))
        self.models = grid.printed_models(self.family) if self.scale == "paper" else models[:1]
        self.tasks = self.wanted.tasks
        self.lines = [line for model in self.models for line in self._of_model(model)]

    @property
    def is_measured(self) -> bool:
        """Whether a finished run stands behind one of the lines."""
        return any(line.counts for line in self.lines)

    def _of_model(self, model: str) -> Iterator[Line]:
        for method, targets in ROWS[self.name].items():
            for key, (quantity, _) in SETTINGS.items():
                printed = self._printed(model, method).get(key)
                by_task: dict[str, Any] = (
                    printed if isinstance(printed, dict) else dict.fromkeys(self.tasks, printed)
                )
                here = {task: _text(self._setting(model, method, targets, task, key)) for task in self.tasks}
                shown = {task: _text(by_task.get(task)) for task in self.tasks}
                if any(value != GAP for value in [*here.values(), *shown.values()]):
                    yield Line(model, method, "", quantity, shown, here, {})
            for each in targets:
                yield from self._measured(RowKey(model, method, each))

    def _setting(self, model: str, method: str, targets: tuple[str, ...], task: str, key: str) -> Any:
        runs = self.runs.get((RowKey(model, method, targets[0]), self.family, task))
        if runs:  # what was run; to compose it again takes Hydra a quarter of a second
            return SETTINGS[key][1](runs[0].config)
        row = grid.row_choice(method, targets[0])
        return SETTINGS[key][1](configured(self.known.word, model, row, task))

    def _printed(self, model: str, method: str) -> Mapping[str, Any]:
        """The published settings, at scale paper."""
        if self.scale != "paper":
            return {}
        found: Mapping[str, Any] = published.load()["settings"][self.name].get(model, {}).get(method, {})
        return found

    def _measured(self, row: RowKey) -> Iterator[Line]:
        key = row.method if self.name == "table9" else row.targets
        printed = published.load()["times"][self.family].get(row.model, {}).get(key, {})
        printed = printed if self.scale == "paper" else {}
        times = {task: str(printed.get(task, GAP)) for task in self.tasks}
        memory = dict.fromkeys(self.tasks, _text(printed.get("gpu_memory_mib")))
        seconds, counts = self._median(row, "train_seconds")
        peaks, _ = self._median(row, "peak_bytes")
        yield Line(*row[:3], "Training time", times, {t: _duration(v) for t, v in seconds.items()}, counts)
        mib = {task: f"{value / MIB:,.0f}" for task, value in peaks.items()}
        yield Line(*row[:3], "Peak memory, MiB", memory, mib, counts)

    def _median(self, row: RowKey, key: str) -> tuple[dict[str, float], dict[str, int]]:
        """The median of a circumstance over a row's finished runs, by task, and how many runs."""
        found = {}
        for task in self.tasks:
            runs = self.runs.get((row, self.family, task), [])
            values = [float(run.circumstances[key]) for run in runs if run.circumstances.get(key)]
            if values:
                found[task] = values
        return {t: statistics.median(v) for t, v in found.items()}, {t: len(v) for t, v in found.items()}

    def devices(self) -> list[str]:
        """What the measured runs computed on."""
        asked = {RowKey(line.model, line.method, line.targets) for line in self.lines if line.targets}
        runs = [run for (row, _, _), found in self.runs.items() if row in asked for run in found]
        return sorted({str(run.circumstances.get("device")) for run in runs})


@cache
def configured(scale: str, model: str, row: str, task: str) -> Settings:
    """The configuration of a run of the grid, unchecked: its folders need not be there."""
    from experiments import composing  # here, as Hydra takes a while to import

    words = [f"scale={scale}", f"model={model}", f"row={row}", f"task={task}"]
    composing.register()
    composed = composing.composed_from(words, return_hydra_config=True)
    return asdict(composing.read(composed)[0])


def table(built: SettingsTable) -> Table:
    """The table to print. A line says both where published and configured agree."""
    number, family = built.name.removeprefix("table"), FAMILIES[built.family]
    title = f"Table {number} (settings of {family.title}), scale {built.scale}: configured and measured"
    return Table(
        title=title,
        header=["Model", "Row", "Quantity", "", *(TASKS[task] for task in built.tasks)],
        alignment="llll" + "r" * len(built.tasks),
        blocks=[[row for line in _of(built, model) for row in _rows(built, line)] for model in built.models],
        notes=_notes(built),
        brief=["Measured: median of the finished runs (their number). The rest: docs/reading-the-tables.md"],
    )


def data(built: SettingsTable) -> str:
    """CSV: one line for each quantity and task."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    for line in built.lines:
        whose = {"table": built.name, "scale": built.scale, "model": line.model, "method": line.method}
        for task in built.tasks:
            values = {"published": line.published.get(task, GAP), "here": line.here.get(task, GAP)}
            shown = {name: "" if value == GAP else value for name, value in values.items()}
            about = {"targets": line.targets, "task": task, "quantity": line.quantity}
            writer.writerow({**whose, **about, **shown, "n": line.counts.get(task, "")})
    return out.getvalue()


def _of(built: SettingsTable, model: str) -> list[Line]:
    return [line for line in built.lines if line.model == model]


def _rows(built: SettingsTable, line: Line) -> list[list[Cell]]:
    kinds = {"published": line.published, "measured" if line.targets else "configured": line.here}
    if line.published == line.here:
        kinds = {"both": line.here}
    elif not line.targets and set(line.published.values()) == {GAP} or built.scale != "paper":
        del kinds["published"]  # nothing is printed for it
    name = " ".join([METHODS[line.method], *([line.targets] if line.targets else [])])
    whose = [MODELS.get(line.model, line.model), name, line.quantity]
    return [[*map(Cell, whose), Cell(kind), *_values(built, line, kind, of)] for kind, of in kinds.items()]


def _values(built: SettingsTable, line: Line, kind: str, values: Mapping[str, str]) -> list[Cell]:
    counts = {task: f" ({line.counts[task]})" for task in line.counts} if kind == "measured" else {}
    return [Cell(values.get(task, GAP) + counts.get(task, "")) for task in built.tasks]


def _notes(built: SettingsTable) -> list[str]:
    devices = built.devices()
    return [
        "Measured: median over finished runs (their number): seconds in training without evaluation, and the "
        "most memory, on a GPU what was allocated, else the whole process."
        + (f" Measured on: {', '.join(devices)}." if devices else ""),
        "Published times and memory are of the paper's own GPUs."
        if built.scale == "paper"
        else "Published settings stand beside those of scale paper only: models and data are others here.",
    ]


def _optimizer(optim: Settings) -> str:
    return "AdamW, paged" if optim.get("optimizer") == "paged_adamw" else "AdamW"


def _option(run: Settings, *names: str) -> Any:
    """The method's option that has one of these names."""
    options = run["method"].get("options", {})
    return next((options[name] for name in names if name in options), None)


def _text(value: Any) -> str:
    """A setting as printed: 0.004 and 4e-3 are one."""
    if value is None:
        return GAP
    return f"{value:g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    """As the paper writes it: 2.5h, 27m; shorter ones in seconds."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f}h"
    return f"{seconds / 60:.1f}m" if seconds >= 60 else f"{seconds:.1f}s"
