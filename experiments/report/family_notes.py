"""What the notes below a table say of its family's scores: units, graders, judges, runs without a score."""

from collections import defaultdict
from collections.abc import Callable

from experiments.records import RunRecord
from experiments.report import cells, columns, judgements
from experiments.report.judgements import Judgement
from experiments.report.names import MODELS, row_name
from experiments.report.paper_table import PaperTable

CELLS = {
    "glue": ", x100: Matthews correlation for CoLA, Pearson for STS-B, accuracy for the others. Avg. is "
    "the mean of the cells.",
    "e2e": ": BLEU, METEOR and ROUGE-L x100, NIST and CIDEr as they are.",
    "instruct": ": MT-Bench is the mean rating of the answers, from 1 to 10; MMLU is the mean of the "
    "subjects' accuracy, x100.",
    "math": ": accuracy, x100.",
}
"""What a cell is, after its centre and spread."""
NIST = (
    "BLEU and NIST are those of the E2E challenge's Python scorer, which the published numbers come from; "
    "NIST, Perl is the challenge's Perl scorer's (docs/fidelity.md, E8)."
)
RULES = (
    "GSM8K and MATH are graded by math-verify behind this project's extraction of the answer; released rule: "
    "as the released code grades, whose faults are known (docs/fidelity.md, A7 to A9); exact: equal text."
)
PUBLISHED_RULE = (
    "The published numbers were graded by the released rule, as far as is known: the columns of that rule "
    "compare like with like."
)

BRIEF = {
    "glue": "x100: Matthews for CoLA, Pearson for STS-B, accuracy elsewhere; {} epoch of each run.",
    "e2e": "BLEU, METEOR and ROUGE-L x100; NIST and CIDEr as they are.",
    "instruct": "MT-Bench: mean rating, 1 to 10; MMLU: accuracy, x100.",
    "math": "Accuracy, x100, by math-verify; by the released rule and by equal text in the columns named so.",
}
"""What a cell is, in one line for a terminal."""


def brief(table: PaperTable) -> str:
    """The family's one line, with what its scores lack or who gave them."""
    line = BRIEF[table.family].format(table.cells.epoch)
    more = {"e2e": _without_java, "instruct": _raters}.get(table.family)
    return " ".join([line, *(more(table) if more else [])])


def of(table: PaperTable) -> list[str]:
    """The family's own sentences, which name what this table's runs have and lack."""
    notes = _NOTES.get(table.family)
    return notes(table) if notes else []


def _without_java(table: PaperTable) -> list[str]:
    """Which runs were graded without Java, in one sentence."""
    lacking: dict[str, list[RunRecord]] = defaultdict(list)
    for run in _finished(table):
        scores = (run.outcome or {})["scores"]
        missing = [table.title(name) for name in columns.OPTIONAL if name not in scores]
        lacking[", ".join(missing)].append(run)
    without = [f"{_runs(runs)} without {names}" for names, runs in sorted(lacking.items()) if names]
    return [f"Graded without Java: {'; '.join(without)}."] if without else []


def _e2e(table: PaperTable) -> list[str]:
    forms = sorted({str(run.config["data"].get("text_form") or "plain") for run in _finished(table)})
    return [
        NIST,
        *([f"References: {' and '.join(forms)}."] if forms else []),
        *_without_java(table),
    ]


def _raters(table: PaperTable) -> list[str]:
    """Who rated MT-Bench's answers, and how many nobody rated, in one sentence."""
    judges = {judgement.judge for run in _finished(table) if (judgement := judgements.of(run))}
    by_rule = any(judgements.SCORE in (run.outcome or {})["scores"] for run in _finished(table))
    raters = [*(["a rule, not a model"] if by_rule else []), *sorted(judges)]
    return [f"Rated by {'; '.join(raters)}."] if raters else ["No answers are rated yet: make judge."]


def _instruct(table: PaperTable) -> list[str]:
    ruled, waiting = [], []
    judged: dict[str, list[tuple[RunRecord, Judgement]]] = defaultdict(list)
    for run in _finished(table):
        judgement = judgements.of(run)
        if judgements.SCORE in (run.outcome or {})["scores"]:
            ruled.append(run)
        elif judgement:
            judged[judgement.judge].append((run, judgement))
        else:
            waiting.append(run)
    notes = [f"MT-Bench: {_runs(ruled)} rated by a rule, not by a model."] if ruled else []
    notes += [_judged(table, judge, of_judge) for judge, of_judge in sorted(judged.items())]
    if len(judged) + bool(ruled) > 1:
        notes.append(
            "Ratings of different judges are not comparable: they are not subtracted, and none is bold."
        )
    if waiting:
        notes.append(f"MT-Bench: the answers of {_runs(waiting)} are not rated yet; make judge rates them.")
    if table.has_published:
        notes.append("The published ratings are GPT-4's.")
    return notes


def _judged(table: PaperTable, judge: str, of_judge: list[tuple[RunRecord, Judgement]]) -> str:
    """Who rated which rows and when."""
    rated = {cells.row_of(run) for run, _ in of_judge}
    rows = [f"{MODELS.get(row.model, row.model)} {row_name(*row[1:])}" for row in table.rows if row in rated]
    days = sorted({judgement.day for _, judgement in of_judge})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    invalid = sum(judgement.num_invalid for _, judgement in of_judge)
    runs = _runs([run for run, _ in of_judge])
    return (
        f"MT-Bench: {runs} rated by {judge}, {when}, {invalid} invalid ratings left out: {'; '.join(rows)}."
    )


def _math(table: PaperTable) -> list[str]:
    return [RULES, *([PUBLISHED_RULE] if table.has_published else [])]


def _finished(table: PaperTable) -> list[RunRecord]:
    """The runs that stand in the table."""
    return [run for run in table.kept if run.outcome is not None]


def _runs(runs: list[RunRecord]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"


_NOTES: dict[str, Callable[[PaperTable], list[str]]] = {"e2e": _e2e, "instruct": _instruct, "math": _math}
