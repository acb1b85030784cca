"""Answers to GSM8K and MATH -> three verdicts each -> scores.

    rows = [{"index": 0, "group": "gsm8k", "references": ["72"], "prediction": "… The answer is: 72"}, …]
    graded = grade(rows, workers=2)
    graded.scores()    {"gsm8k": 0.69, "gsm8k_released": 0.69, "gsm8k_exact": 0.66, "math": …}

Most answers are decided here by their text; only formulas go to the workers, which may be killed over one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from experiments.grading.glue import GradingError
from experiments.grading.math import extraction, pool, proper, released

GROUPS = ("gsm8k", "math")
RULES = ("proper", "released", "exact")
LIMIT_SECONDS = 5.0

_INTEGER = re.compile(r"\s*-?\d[\d,]*\s*")


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one answer.

    Attributes:
        index, group, reference: from its row.
        answer: as `proper` found it in the text; None if it found none.
        proper, released, exact: right or not by each rule; an undecided answer is wrong.
        status: "graded", or why a comparison has no end: "timed out", "crashed".
    """

    index: int
    group: str
    reference: str
    answer: str | None
    proper: bool
    released: bool
    exact: bool
    status: str

    @property
    def differs(self) -> bool:
        """Whether `proper` and `released` judge it differently."""
        return self.proper != self.released


@dataclass(frozen=True)
class Graded:
    """Verdicts in the rows' order."""

    verdicts: list[Verdict]

    def scores(self) -> dict[str, float]:
        """The share of right answers: by `proper` under the group's name, else under "<group>_<rule>"."""
        found: dict[str, float] = {}
        for group, members in self._groups().items():
            for rule in RULES:
                share = sum(getattr(verdict, rule) for verdict in members) / len(members)
                found[group if rule == "proper" else f"{group}_{rule}"] = share
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """By group: answers, those that `proper` and `released` judge differently, those left undecided."""
        return {
            group: {
                "num_answers": len(members),
                "num_differ": sum(verdict.differs for verdict in members),
                "num_timeouts": sum(verdict.status == pool.TIMED_OUT for verdict in members),
                "num_crashes": sum(verdict.status == pool.CRASHED for verdict in members),
                "num_without_answer": sum(verdict.answer is None for verdict in members),
            }
            for group, members in self._groups().items()
        }

    def _groups(self) -> dict[str, list[Verdict]]:
        found: dict[str, list[Verdict]] = {}
        for verdict in self.verdicts:
            found.setdefault(verdict.group, []).append(verdict)
        return found


def grade(
    rows: Iterable[Mapping[str, Any]], workers: int = 2, limit_seconds: float = LIMIT_SECONDS
) -> Graded:
    """Every answer by every rule; the same for any number of workers.

    Args:
        rows: with index, group ("gsm8k" or "math"), references (one gold answer) and prediction.
        workers: processes at a time.
        limit_seconds: of processor time for one answer. One that needs more is wrong by the rules that were
            still to decide, and costs no more than that.

    Raises:
        GradingError: an argument or a row is not as described, or two rows have one index.
        PoolError: no worker can be started.
    """
    if workers < 1 or not limit_seconds > 0:
        raise GradingError(
            f"{workers} workers with {limit_seconds} s each; choose at least 1 and more than 0 s"
        )
    rows = list(rows)
    _check(rows)
    drafts = [_by_text(row) for row in rows]
    open_drafts = [draft for draft in drafts if draft.undecided]
    with tqdm(total=len(rows), desc="grading", unit="answer", disable=None) as bar:
        bar.update(len(rows) - len(open_drafts))
        with pool.Pool(workers, limit_seconds) as processes:
            tasks = [pool.Task(draft.undecided) for draft in open_drafts]
            outcomes = processes.run(tasks, bar.update)
    for draft, outcome in zip(open_drafts, outcomes, strict=True):
        draft.verdicts |= outcome.equal
        draft.status = outcome.status
    return Graded([draft.finished() for draft in drafts])


@dataclass
class _Draft:
    """A row's verdicts so far, and by rule the two texts that only algebra can compare."""

    row: Mapping[str, Any]
    answer: str | None
    verdicts: dict[str, bool]
    undecided: dict[str, tuple[str, str]]
    status: str = pool.GRADED

    def finished(self) -> Verdict:
        decided = {rule: self.verdicts.get(rule, False) for rule in RULES}
        reference, index, group = self.row["references"][0], self.row["index"], self.row["group"]
        return Verdict(index, group, reference, self.answer, **decided, status=self.status)


def _by_text(row: Mapping[str, Any]) -> _Draft:
    text, reference = row["prediction"], row["references"][0]
    answer, published = extraction.proper_answer(text), extraction.published_answer(text)
    draft = _Draft(row, answer, {"exact": published is not None and _bare(published) == _bare(reference)}, {})
    if row["group"] == "gsm8k":
        draft.verdicts["proper"] = answer is not None and proper.gsm8k(answer, reference)
        marked = extraction.after_marker(text)
        draft.verdicts["released"] = marked is not None and released.gsm8k(marked, reference)
        return draft
    if answer is not None:
        _note(draft, "proper", proper.by_text(answer, reference), answer, reference)
    if published is not None:
        _note(draft, "released", released.by_text(published, reference), published, reference)
    return draft


def _note(draft: _Draft, rule: str, verdict: bool | None, *texts: str) -> None:
    if verdict is None:
        draft.undecided[rule] = (texts[0], texts[1])
    else:
        draft.verdicts[rule] = verdict


def _bare(text: str) -> str:
    """For rule `exact`: without white space and dollar signs around it, and otherwise as it is."""
    return text.strip().strip("$").strip()


def _check(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        raise GradingError("no answers; a file of answers holds at least one")
    for place, row in enumerate(rows):
        problem = _problem(row)
        if problem:
            raise GradingError(f"answer {place}: {problem}; write it as experiments.grading.answers shows")
    indices = [row["index"] for row in rows]
    if len(set(indices)) < len(indices):
        raise GradingError(f"{len(indices) - len(set(indices))} examples are answered more than once")


def _problem(row: Mapping[str, Any]) -> str:
    """What is wrong with a row; empty if nothing is."""
    group, references = row.get("group"), row.get("references")
    if group not in GROUPS:
        return f"group is {group!r}, not {' or '.join(GROUPS)}"
    if type(row.get("index")) is not int or not isinstance(row.get("prediction"), str):
        return "index must be a whole number and prediction a text"
    if not isinstance(references, list | tuple) or list(map(type, references)) != [str]:
        return f"references is {references!r}, not one gold answer as a text"
    if group == "gsm8k" and not _INTEGER.fullmatch(references[0]):
        return f"the gold answer is {references[0]!r}, where GSM8K has a whole number"
    return ""
