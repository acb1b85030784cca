import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import matthews_corrcoef

from experiments.grading.glue import GradingError, accuracy, matthews, pearson, score


def test_accuracy_by_hand() -> None:
    assert accuracy([0, 1, 1, 0], [0, 1, 0, 0]) == 0.75


def test_matthews_by_hand() -> None:
    # TP 2, TN 1, FP 1, FN 1: (2·1 - 1·1) / √(3·3·2·2)
    assert matthews([1, 1, 1, 0, 0], [1, 1, 0, 0, 1]) == pytest.approx(1 / 6)


def test_pearson_by_hand() -> None:
    assert pearson([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(1)
    assert pearson([1.0, 2.0, 4.0], [3.0, 1.0, 1.0]) == pytest.approx(-24 / np.sqrt(42 * 24))


def test_measures_are_those_of_scikit_learn_and_scipy() -> None:
    generator = np.random.default_rng(0)
    labels, predictions = generator.integers(0, 2, size=(2, 500)).tolist()
    assert matthews(predictions, labels) == matthews_corrcoef(labels, predictions)
    first, second = generator.normal(size=(2, 500)).tolist()
    assert pearson(first, second) == pearsonr(first, second).statistic


@pytest.mark.parametrize("predictions", [[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0]])
@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 0]])
def test_matthews_without_information_is_zero_and_silent(predictions: list, labels: list) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert matthews(predictions, labels) == 0


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        ([2.5] * 4, [0.0, 1.0, 2.0, 3.0]),
        ([0.1 + 1e-9 * i for i in range(4)], [0.0, 1.0, 2.0, 3.0]),
        ([0.0, 1.0, 2.0, 3.0], [5.0] * 4),
        ([0.0] * 4, [0.0] * 4),
        ([1.0], [1.0]),
    ],
)
def test_pearson_of_a_constant_is_zero_and_silent(predictions: list, labels: list) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pearson(predictions, labels) == 0


@pytest.mark.parametrize(
    ("metric", "predictions", "labels", "message"),
    [
        ("f1", [1], [1], "no metric 'f1'; choose one of accuracy"),
        ("accuracy", [], [], "0 predictions for 0 labels"),
        ("accuracy", [1, 2], [1], "2 predictions for 1 labels"),
        ("pearson", [1.0, float("nan")], [1.0, 2.0], "answer 1 is not finite: nan"),
        ("pearson", [1.0, 2.0], [float("inf"), 2.0], "answer 0 is not finite"),
    ],
)
def test_bad_answers_are_refused(metric: str, predictions: list, labels: list, message: str) -> None:
    with pytest.raises(GradingError, match=message):
        score(metric, predictions, labels)


def test_grading_needs_no_torch(tmp_path) -> None:
    rows = [{"family": "glue", "task": "sst2", "metric": "accuracy"}]
    rows += [{"index": i, "label": i % 2, "prediction": 1, "scores": [0.0, 1.0]} for i in range(4)]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code = (
        "import sys; from experiments.grading.__main__ import main; assert main(sys.argv[1:]) == 0\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "answers.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\t")[1:] == ["sst2", "accuracy", "0.5", "4 answers\n"]
