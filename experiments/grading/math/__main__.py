"""Grade files of math answers: `python -m experiments.grading.math FILE`.

Prints a table, and below it every answer that `proper` and `released` judge differently.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from experiments.grading import answers
from experiments.grading.glue import GradingError
from experiments.grading.math.pool import GRADED, PoolError
from experiments.grading.math.scoring import LIMIT_SECONDS, RULES, Graded, Verdict, grade

_SHOWN_CHARACTERS = 80
_COLUMNS = "{:<8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}"


def main(arguments: list[str] | None = None) -> int:
    """Grade, print, and write verdicts if asked; 1 if a file could not be graded."""
    options = _parser().parse_args(arguments)
    try:
        graded = grade(_rows(options.file), options.workers, options.limit)
    except (GradingError, PoolError) as error:
        print(error if str(options.file) in str(error) else f"{options.file}: {error}", file=sys.stderr)
        return 1
    print(table(graded))
    for verdict in graded.verdicts:
        if verdict.differs or verdict.status != GRADED:
            print(line(verdict))
    if options.out is not None:
        lines = [json.dumps(dataclasses.asdict(verdict)) + "\n" for verdict in graded.verdicts]
        options.out.write_text("".join(lines), encoding="utf-8")
    return 0


def table(graded: Graded) -> str:
    """A line a group: answers, the share that each rule calls right, and the counts of the record."""
    scores = graded.scores()
    lines = [_COLUMNS.format("", "answers", *RULES, "differ", "timed out", "crashed")]
    for group, count in graded.counts().items():
        shares = [scores[group if rule == "proper" else f"{group}_{rule}"] for rule in RULES]
        percents = [f"{share:.2%}" for share in shares]
        rest = [count[name] for name in ("num_differ", "num_timeouts", "num_crashes")]
        lines.append(_COLUMNS.format(group, count["num_answers"], *percents, *rest))
    return "\n".join(lines)


def line(verdict: Verdict) -> str:
    """An answer beside its reference, and who calls it right."""
    answer, reference = (_short(text) for text in (verdict.answer, verdict.reference))
    right = ", ".join(rule for rule in RULES if getattr(verdict, rule)) or "none"
    state = "" if verdict.status == GRADED else f"  {verdict.status}"
    return f"{verdict.group} {verdict.index}: {answer} for {reference}; right by: {right}{state}"


def _rows(path: Path) -> list[answers.Row]:
    saved = answers.read(path)
    if saved.header["family"] != "math":
        raise GradingError(f"{path}: family is {saved.header['family']!r}; a file of math answers is due")
    return saved.rows


def _short(text: str | None) -> str:
    if text is None:
        return "(no answer)"
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return repr(shown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.grading.math",
        description="Verdicts on saved math answers by three rules.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="…answers.jsonl beside a record")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at a time (2)")
    help_limit = f"seconds of processor time for an answer ({LIMIT_SECONDS:g})"
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, metavar="SECONDS", help=help_limit)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write every verdict, one JSON object a line"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
