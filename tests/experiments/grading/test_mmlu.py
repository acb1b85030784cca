import subprocess
import sys

import pytest

from experiments.grading.glue import GradingError
from experiments.grading.mmlu import accuracies, score


def test_subjects_weigh_the_same_however_many_questions_they_have() -> None:
    predictions, labels = list("AACB"), list("AABB")
    subjects = ["law", "law", "law", "art"]
    assert accuracies(predictions, labels, subjects) == {"art": 1.0, "law": 2 / 3}
    assert score(predictions, labels, subjects) == {"mmlu": (1 + 2 / 3) / 2, "mmlu_questions": 3 / 4}


@pytest.mark.parametrize(
    ("predictions", "labels", "subjects", "message"),
    [
        ([], [], [], "0 predictions for 0 labels of 0 subjects"),
        (["A"], ["A", "B"], ["law", "law"], "1 predictions for 2 labels of 2 subjects"),
        (["A"], ["A"], [], "1 predictions for 1 labels of 0 subjects"),
        (["A", "E"], ["A", "B"], ["law", "law"], "answer 1: prediction 'E' is none of A, B, C, D"),
        (["A", "B"], ["A", ""], ["law", "law"], "answer 1: label '' is none of A, B, C, D"),
    ],
)
def test_answers_that_cannot_be_graded_are_refused(
    predictions: list[str], labels: list[str], subjects: list[str], message: str
) -> None:
    with pytest.raises(GradingError, match=message):
        score(predictions, labels, subjects)


def test_grading_needs_no_torch() -> None:
    code = "import sys, experiments.grading.mmlu; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
