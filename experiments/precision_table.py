"""The table of `experiments.precision`: for every row and task, each precision's bytes, score and changes."""

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.records import parse_run_id

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "storing.md"
KEPT = Path("results/precision")
PLACE = re.compile(r"<!-- precision:(\S+) -->\n.*?<!-- /precision:\1 -->", re.DOTALL)
LORA_RANK = 8  # as in the paper's tables
HEADS = (
    *(
        "Row",
        "Task",
        "Stored as",
        "Bytes",
        "Without head",
        "Score",
        "Its largest change",
        "Spread of the seeds",
    ),
    *("Predictions changed", "Largest change of an output"),
)
Run = Mapping[str, Any]


def line(run: Run) -> str:
    """One run in one line, while they are measured."""
    scores = ", ".join(f"{name} {form['score']:.4f}" for name, form in run["forms"].items())
    return f"{run['run_id']}: {run['metric']} {run['trained']:.4f} as trained, {scores}"


def table(found: Mapping[str, Any]) -> str:
    """All runs as Markdown, the seeds of a row and task together."""
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in found["runs"]:
        identity = parse_run_id(run["run_id"])
        variant = "" if identity.variant == "paper" else f", {identity.variant}"
        groups[f"{identity.method} {identity.targets}{variant}", identity.task].append(run)
    lines = [f"| {' | '.join(HEADS)} |", f"|:---|:---|:---|{'---:|' * (len(HEADS) - 3)}"]
    for (row, task), runs in groups.items():
        lines += [f"| {' | '.join([row, task, *cells])} |" for cells in _rows(runs)]
    return "\n".join([*lines, "", _said(found)])


def _rows(runs: Sequence[Run]) -> Iterator[list[str]]:
    """The cells of each form of one row and task; PEFT's files are only weighed."""
    sizes, trained = runs[0]["num_bytes"], [run["trained"] for run in runs]
    spread = f"{100 * statistics.stdev(trained):.2f}" if len(trained) > 1 else "–"
    none = ["–"] * 5
    yield [f"LoRA, rank {LORA_RANK}, by PEFT", f"{sizes['lora_with_head']:,}", f"{sizes['lora']:,}", *none]
    yield ["VB-LoRA, by PEFT", f"{max(run['num_bytes']['peft_vblora'] for run in runs):,}", "–", *none]
    for name in runs[0]["forms"]:
        forms = [run["forms"][name] for run in runs]
        moved = max(abs(form["score"] - score) for form, score in zip(forms, trained, strict=True))
        yield [
            name,
            f"{max(form['bytes'] for form in forms):,}",
            f"{sizes[name]:,}",
            f"{100 * statistics.median(form['score'] for form in forms):.2f} ({len(forms)})",
            f"{100 * moved:.2f}",
            spread,
            _changed(forms),
            f"{max(form['largest_change'] for form in forms):.1g}",
        ]


def _changed(forms: Sequence[Mapping[str, Any]]) -> str:
    """Of all seeds' predictions; of a regression there is no such count."""
    if any(form["num_changed"] is None for form in forms):
        return "–"
    return f"{sum(f['num_changed'] for f in forms)} of {sum(f['num_predictions'] for f in forms):,}"


def _said(found: Mapping[str, Any]) -> str:
    versions = found["versions"]
    return (
        "Bytes: of the whole file, head included. Score: median of the seeds, x100 (number of seeds);"
        " its largest change is that of one seed against the adapter as trained, the spread is their"
        " sample standard deviation. PEFT's files were weighed, not asked."
        f" torch {versions['torch']}, peft {versions['peft']}, commit {str(found['git_commit'])[:7]}."
    )


def filled(page: str, root: Path) -> str:
    """A page with every table of `PLACE` made anew.

    Raises:
        FileNotFoundError: nothing was measured at that scale.
    """

    def made(place: re.Match[str]) -> str:
        scale = place[1]
        found = json.loads((root / f"{scale}.json").read_text(encoding="utf-8"))
        return f"<!-- precision:{scale} -->\n{table(found)}\n<!-- /precision:{scale} -->"

    return PLACE.sub(made, page)


def fill_page() -> None:
    """Make the page's tables anew from the project's own results."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), PROJECT / KEPT), encoding="utf-8")
