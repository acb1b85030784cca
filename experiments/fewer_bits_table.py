"""The table of `experiments.fewer_bits`: bytes, score and changes of every row, task and precision."""

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.records import parse_run_id
from experiments.report.names import TASKS, row_name

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "storing.md"
KEPT = PROJECT / "results" / "precision"  # the project's own, which the page quotes
PLACE = re.compile(r"<!-- precision:(\S+) -->\n.*?<!-- /precision:\1 -->", re.DOTALL)
LORA_RANK = 8  # as in the paper's tables
HEADS = (
    *(
        "Row",
        "Task",
        "Stored as",
        "Bytes",
        "Without head",
        "Products",
        "Score",
        "Its largest change",
        "Spread",
    ),
    *("Predictions changed", "Largest change of an output"),
)
Run = Mapping[str, Any]


def line(run: Run) -> str:
    """One run in one line, while they are measured."""
    kind = next(iter(run["trained"]))
    scores = ", ".join(f"{name} {form['answers'][kind]['score']:.4f}" for name, form in run["forms"].items())
    return f"{run['run_id']}: {run['metric']} {run['trained'][kind]:.4f} as trained, {scores}"


def table(found: Mapping[str, Any]) -> str:
    """All runs as Markdown, the seeds of a row and task together."""
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in found["runs"]:
        identity = parse_run_id(run["run_id"])
        row = row_name(identity.method, identity.targets, identity.variant)
        groups[row, TASKS.get(identity.task, identity.task)].append(run)
    lines = [f"| {' | '.join(HEADS)} |", f"|:---|:---|:---|---:|---:|:---|{'---:|' * (len(HEADS) - 6)}"]
    for (row, task), runs in groups.items():
        lines += [f"| {' | '.join([row, task, *cells])} |" for cells in _rows(runs)]
    return "\n".join([*lines, "", *_sums(found["runs"]), _said(found)])


def _rows(runs: Sequence[Run]) -> Iterator[list[str]]:
    """The cells of each form of one row and task; PEFT's files are only weighed."""
    sizes, none = runs[0]["num_bytes"], ["–"] * 6
    yield [f"LoRA, rank {LORA_RANK}, by PEFT", f"{sizes['lora_with_head']:,}", f"{sizes['lora']:,}", *none]
    yield ["VB-LoRA, by PEFT", f"{max(run['num_bytes']['peft_vblora'] for run in runs):,}", "–", *none]
    for name in runs[0]["forms"]:
        size = f"{max(run['forms'][name]['bytes'] for run in runs):,}"
        for kind in runs[0]["trained"]:
            yield [name, size, f"{sizes[name]:,}", kind, *_answers(runs, name, kind)]


def _answers(runs: Sequence[Run], name: str, kind: str) -> list[str]:
    """Score, its largest change, spread, and changes of predictions and outputs."""
    trained = [run["trained"][kind] for run in runs]
    answers = [run["forms"][name]["answers"][kind] for run in runs]
    moved = max(abs(answer["score"] - score) for answer, score in zip(answers, trained, strict=True))
    return [
        f"{100 * statistics.median(answer['score'] for answer in answers):.2f} ({len(answers)})",
        f"{100 * moved:.2f}",
        f"{100 * statistics.stdev(trained):.2f}" if len(trained) > 1 else "–",
        _changed(answers),
        f"{max(answer['largest_change'] for answer in answers):.1g}",
    ]


def _changed(answers: Sequence[Mapping[str, Any]]) -> str:
    """Of all seeds' predictions; of a regression there is no such count."""
    if any(answer["num_changed"] is None for answer in answers):
        return "–"
    return f"{sum(a['num_changed'] for a in answers)} of {sum(a['num_predictions'] for a in answers):,}"


def _sums(runs: Sequence[Run]) -> Iterator[str]:
    """Predictions of all classifications together that a form changes."""
    classes = [
        run
        for run in runs
        if run["forms"]["exact"]["answers"][next(iter(run["trained"]))]["num_changed"] is not None
    ]
    for kind in classes[0]["trained"] if classes else ():
        shares = []
        for name in classes[0]["forms"]:
            answers = [run["forms"][name]["answers"][kind] for run in classes]
            share = sum(a["num_changed"] for a in answers) / sum(a["num_predictions"] for a in answers)
            shares.append(f"{name} {_changed(answers)} ({100 * share:.2f} %)")
        yield f"All classifications, products in {kind}: {', '.join(shares)}.\n"


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
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), KEPT), encoding="utf-8")
