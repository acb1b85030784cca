"""Answers to instructions: how many there are, MMLU's letters, and ratings where right answers are known.

MT-Bench has no right answers: a judge model rates it later (`experiments.judging`). The synthetic questions
have, and are rated by rule.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from experiments.grading import mmlu
from experiments.grading.rule_judge import rating


def grade(header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`answered`: share of answers that are not empty; `mt_bench`: mean rating by rule; `mmlu_<shots>`."""
    groups: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    scores: dict[str, float] = {}
    for group, members in groups.items():
        if group.startswith(mmlu.GROUP):
            columns = ([row[key] for row in members] for key in ("prediction", "references", "subject"))
            predictions, references, subjects = columns
            scores[group] = mmlu.score(predictions, [reference[0] for reference in references], subjects)[
                "mmlu"
            ]
        else:
            scores |= _ratings(members)
    return scores


def _ratings(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    scores = {"answered": fmean(bool(row["prediction"].strip()) for row in rows)}
    if all(row["references"] for row in rows):
        scores["mt_bench"] = fmean(rating(row["prediction"], row["references"]) for row in rows)
    return scores
