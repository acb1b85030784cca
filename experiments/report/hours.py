"""How long a run takes: as the paper prints it at scale paper, elsewhere as finished runs took."""

import statistics
from dataclasses import dataclass

from experiments.records import RunRecord
from experiments.report import published
from experiments.report.grid import Grid, RowKey


@dataclass(frozen=True)
class Timing:
    """The times that the paper prints for a family.

    Attributes:
        table: where.
        by: what its rows tell apart beside the model: "targets" of VB-LoRA, or "method".
        instead: the printed row that stands in for one that is not.
        why: how a stand-in was chosen.
    """

    table: str
    by: str
    instead: dict[str, str]
    why: str


TIMES = {
    "glue": Timing(
        "Table 7",
        "targets",
        {"full": "all", "none": "qv"},
        "They stand for every method with the same targets, those of `all` for full fine-tuning too.",
    ),
    "e2e": Timing(
        "Table 8", "targets", {"full": "all", "qv": "all"}, "They stand for every method and its targets."
    ),
    "instruct": Timing(
        "Table 9", "method", {"vera": "vblora"}, "LoRA has its own; VB-LoRA's stand for VeRA."
    ),
}
"""None is printed for math."""


def of(row: RowKey, task: str, wanted: Grid, found: dict[str, RunRecord]) -> tuple[float | None, str]:
    """Published at scale paper; elsewhere the median of this task's finished runs. And who measured that."""
    if wanted.scale == "paper":
        return _published(wanted.family, row, task)
    done = [
        r for r in found.values() if r.outcome and (r.identity.task, r.identity.model) == (task, row.model)
    ]
    seconds = [float(record.circumstances.get("total_seconds", 0.0)) for record in done]
    return (statistics.median(seconds) / 3600, "finished runs here") if seconds else (None, "")


def _published(family: str, row: RowKey, task: str) -> tuple[float | None, str]:
    timing = TIMES.get(family)
    if timing is None:
        return None, ""
    key: str = getattr(row, timing.by)
    timed = timing.instead.get(key, key)
    hours = published.run_hours(family, row.model, timed, task)
    if hours is None:
        return None, ""
    own = row.method == "vblora" or timed == row.method
    stand_in = f"VB-LoRA {timed}" if timing.by == "targets" else "VB-LoRA"
    return hours, timing.table if own else f"{timing.table}, {stand_in}"


def note(wanted: Grid) -> str:
    """Where the hours of a plan come from."""
    timing = TIMES.get(wanted.family)
    if wanted.scale != "paper":
        return (
            "Hours: median of the finished runs of the same task and model here; no published time applies."
        )
    if timing is None:
        return "GPU hours: the paper prints none for this table."
    whose = "for VB-LoRA on its GPU" if timing.by == "targets" else "on its GPU"
    return f"GPU hours: the paper's {timing.table}, {whose}. {timing.why}"
