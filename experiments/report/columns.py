"""The columns of Tables 1 to 4: which score of which task stands in each, and how it is written.

A run of GLUE fills one column, a run of generated text several. Scores of a record are in their own units:
fractions, correlations, a rating from 1 to 10; a table prints shares and correlations x100.
"""

import math
from dataclasses import dataclass

from experiments.families import FAMILIES
from experiments.grading.metrics import TASK_METRICS
from experiments.records import RunRecord
from experiments.report import judgements
from experiments.report.names import TASKS

EPOCHS = {"best": "scores", "last": "last_scores"}
ROUNDING = 1e-9  # a mean of ones may end a little above 1


@dataclass(frozen=True)
class Measure:
    """A kind of score.

    Attributes:
        low, high: between which it lies in a record.
        factor: what a table multiplies it with.
        digits: that a table prints after the point.
    """

    low: float
    high: float
    factor: int = 1
    digits: int = 2

    def holds(self, value: float) -> bool:
        """Whether a score lies where it can."""
        return self.low - ROUNDING <= value <= self.high + ROUNDING


@dataclass(frozen=True)
class Column:
    """One column of scores.

    Attributes:
        key: its name in results/published.yaml and in CSV files.
        title: its head.
        task: whose runs fill it.
        score: the name among the scores of a record.
        measure: its kind.
        printed: the published column that it is compared with; empty for none.
        further: shown only where a run has it.
    """

    key: str
    title: str
    task: str
    score: str
    measure: Measure
    printed: str = ""
    further: bool = False


SHARE = Measure(0, 1, factor=100, digits=1)
FINE_SHARE = Measure(0, 1, factor=100, digits=2)  # as Table 4 prints it
CORRELATION = Measure(-1, 1, factor=100, digits=1)
RATING = Measure(1, 10)
FROM_ZERO = Measure(0, math.inf)
MEASURES = {
    **{"accuracy": SHARE, "matthews": CORRELATION, "pearson": CORRELATION},
    **{"bleu": SHARE, "nist": FROM_ZERO, "nist_perl": FROM_ZERO, "meteor": SHARE, "rouge_l": SHARE},
    **{"cider": FROM_ZERO, "mt_bench": RATING, "answered": SHARE, "mmlu_0": SHARE, "mmlu_5": SHARE},
    **{f"{test}{rule}": FINE_SHARE for test in ("gsm8k", "math") for rule in ("", "_released", "_exact")},
    "log_likelihood": Measure(-math.inf, 0),
}
"""By the name of a score in a record."""
OPTIONAL = ("meteor", "rouge_l", "cider")  # by Java, so a grading may lack them


def _glue(task: str) -> Column:
    return Column(task, TASKS[task], task, TASK_METRICS[task], MEASURES[TASK_METRICS[task]], printed=task)


def _text(task: str, score: str, title: str, printed: str = "", further: bool = False) -> Column:
    return Column(score, title, task, score, MEASURES[score], printed, further)


COLUMNS: dict[str, list[Column]] = {
    "glue": [_glue(task) for task in FAMILIES["glue"].tasks],
    "e2e": [
        _text("e2e", "bleu", "BLEU", "bleu"),
        _text("e2e", "nist", "NIST", "nist"),
        _text("e2e", "meteor", "METEOR", "meteor"),
        _text("e2e", "rouge_l", "ROUGE-L", "rouge_l"),
        _text("e2e", "cider", "CIDEr", "cider"),
        _text("e2e", "nist_perl", "NIST, Perl", further=True),
    ],
    "instruct": [
        _text("alpaca", "mt_bench", "MT-Bench", "mt_bench"),
        _text("alpaca", "mmlu_0", "MMLU, 0-shot", further=True),
        _text("alpaca", "mmlu_5", "MMLU, 5-shot", further=True),
    ],
    "math": [
        _text("metamath", "gsm8k", "GSM8K", "gsm8k"),
        _text("metamath", "math", "MATH", "math"),
        _text("metamath", "gsm8k_released", "GSM8K, released rule", "gsm8k"),
        _text("metamath", "math_released", "MATH, released rule", "math"),
        _text("metamath", "gsm8k_exact", "GSM8K, exact", further=True),
        _text("metamath", "math_exact", "MATH, exact", further=True),
    ],
}
"""By family, in printed order."""


@dataclass(frozen=True)
class Score:
    """A score of one run in the units of a table, and the judge model that gave it; empty for none."""

    value: float
    judge: str = ""


def score(record: RunRecord, column: Column, epoch: str = "best") -> Score | None:
    """What a finished run has for a column; None where it has nothing.

    What was graded with the run counts before what a judge model said of its answers later.
    """
    factor = column.measure.factor
    value = (record.outcome or {})[EPOCHS[epoch]].get(column.score)
    if value is not None:
        return Score(factor * value)
    judgement = judgements.of(record) if column.score == judgements.SCORE else None
    if judgement is None or judgement.rating is None:
        return None
    return Score(factor * judgement.rating, judgement.judge)
