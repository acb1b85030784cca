"""MMLU's score: accuracy within each subject, then the mean over subjects, however many questions each has.

    predictions ["A", "C", "B"], labels ["A", "C", "D"], subjects ["law", "law", "art"]
    law 2/2, art 0/1: mmlu = (1 + 0) / 2 = 0.5, while 2 of 3 questions are right

Source: the released instruction code, which is QLoRA's; Hendrycks et al. 2021 print the mean over questions.
"""

from collections import defaultdict
from collections.abc import Sequence

from experiments.grading.glue import GradingError

LETTERS = ("A", "B", "C", "D")
GROUP = "mmlu_"  # how the names of its test sets begin; the number of exemplars follows


def score(predictions: Sequence[str], labels: Sequence[str], subjects: Sequence[str]) -> dict[str, float]:
    """`mmlu`, the mean over subjects; `mmlu_questions`, the mean over questions; both as fractions.

    Raises:
        GradingError: there is no answer, numbers do not match, or a label or prediction is none of A to D.
    """
    _check(predictions, labels, subjects)
    by_subject = accuracies(predictions, labels, subjects)
    right = sum(map(str.__eq__, predictions, labels))
    return {
        "mmlu": sum(by_subject.values()) / len(by_subject),
        "mmlu_questions": right / len(labels),
    }


def accuracies(
    predictions: Sequence[str], labels: Sequence[str], subjects: Sequence[str]
) -> dict[str, float]:
    """The share of right answers of each subject, by its name in alphabetical order."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for prediction, label, subject in zip(predictions, labels, subjects, strict=True):
        found[subject].append(prediction == label)
    return {subject: sum(found[subject]) / len(found[subject]) for subject in sorted(found)}


def _check(predictions: Sequence[str], labels: Sequence[str], subjects: Sequence[str]) -> None:
    if not predictions or not len(predictions) == len(labels) == len(subjects):
        raise GradingError(
            f"{len(predictions)} predictions for {len(labels)} labels of {len(subjects)} subjects named; "
            "each question needs all three"
        )
    for what, letters in {"prediction": predictions, "label": labels}.items():
        odd = [i for i, letter in enumerate(letters) if letter not in LETTERS]
        if odd:
            raise GradingError(f"answer {odd[0]}: {what} {letters[odd[0]]!r} is none of {', '.join(LETTERS)}")
