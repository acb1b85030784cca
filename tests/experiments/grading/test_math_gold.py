import json
from pathlib import Path
from typing import Any

import pytest

from experiments.data import math as data
from experiments.grading.math import gold, rewriting
from experiments.grading.math.scoring import grade

RECORD = Path(__file__).resolve().parents[3] / gold.RECORD
GSM8K = [{"question": "?", "answer": f"So.\n#### {number}"} for number in ("72", "1,450,000")]
MATH = [
    {"problem": "?", "solution": f"So $\\boxed{{{answer}}}$."}
    for answer in ("\\frac{1}{2}", "", "x^2+1", "2,\\!000", "(1, 2)", "3, -1", "30^\\circ.", "\\text{east}")
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, rows in {"gsm8k": GSM8K, "math": MATH}.items():
        (tmp_path / name).mkdir()
        for split in ("train", "test"):
            (tmp_path / name / f"{split}.jsonl").write_text(
                "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
            )
    return tmp_path


def test_gold_answers_are_graded_in_every_form_and_exceptions_have_reasons(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "record" / "math.json"
    assert gold.main(["--root", str(root), "--out", str(path), "--workers", "1"]) == 0
    record = json.loads(path.read_text(encoding="utf-8"))
    assert set(record) == {"command", "date", "versions", "limit_seconds", "sets"}
    assert list(record["sets"]) == ["gsm8k/test", "gsm8k/train", "math/test", "math/train"]
    gsm8k = record["sets"]["gsm8k/test"]["forms"]["as written"]
    assert (gsm8k["num_answers"], gsm8k["num_proper"], gsm8k["num_released"]) == (2, 2, 1)
    assert [e["reason"] for e in gsm8k["exceptions"]] == [
        "the published rule ends a number at its second separator"
    ]
    math = record["sets"]["math/test"]["forms"]
    assert (math["as written"]["num_answers"], math["as written"]["num_proper"]) == (8, 7)
    assert {e["rule"]: e["reason"] for e in math["as written"]["exceptions"] if e["index"] == 1} == {
        "proper": "the solution's \\boxed{} is empty, so there is nothing to be equal to"
    }
    assert math["plus 1 minus 1"]["num_proper"] == math["plus 1 minus 1"]["num_answers"] > 0
    assert math["one more"]["num_proper"] == 0 < math["one more"]["num_answers"]
    assert "math/test    one more                        as it should be: 3 of 3" in capsys.readouterr().out


def test_missing_data_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gold.main(["--root", str(tmp_path), "--out", str(tmp_path / "x.json")]) == 1
    assert "no gsm8k/test.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


FORMS = [
    (rewriting.other_separators, "1,450,000", "1450000"),
    (rewriting.other_separators, "2,\\!000", "2000"),
    (rewriting.other_separators, "12345", "12,345"),
    (rewriting.other_separators, "72", None),
    (rewriting.other_numeral, "\\frac{3}{4}", "0.75"),
    (rewriting.other_numeral, "-\\frac{1}{3}", "-1/3"),
    (rewriting.other_numeral, "0.05", "1/20"),
    (rewriting.other_numeral, "-\\frac{1}{20}", "-0.05"),
    (rewriting.other_expression, "x+1", "(x+1)+1-1"),
    (rewriting.other_expression, "(1,2)", None),
    (rewriting.other_order, "1, 2", "2, 1"),
    (rewriting.other_order, "2,\\!000", None),
    (rewriting.swapped, "\\left( 1, 2 \\right)", "( 2,1)"),
    (rewriting.swapped, "(1,1)", None),
    (rewriting.next_number, "\\frac{1}{2}", "3/2"),
    (rewriting.next_expression, "5", None),
]


@pytest.mark.parametrize(("write", "reference", "answer"), FORMS)
def test_forms_write_what_they_say(write: Any, reference: str, answer: str | None) -> None:
    written = write(reference)
    assert written is None if answer is None else written.replace(" ", "") == answer.replace(" ", "")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def test_the_committed_record_has_proper_right_on_every_gold_answer_or_a_reason(
    record: dict[str, Any],
) -> None:
    for name, number in {
        "gsm8k/test": 1_319,
        "gsm8k/train": 7_473,
        "math/test": 5_000,
        "math/train": 7_500,
    }.items():
        forms = record["sets"][name]["forms"]
        assert forms["as written"]["num_answers"] == number
        for form, counts in forms.items():
            exceptions = [e for e in counts["exceptions"] if e["rule"] in ("proper", "formula")]
            said = counts.get("num_proper", counts.get("num_formula"))
            wrong = counts["num_answers"] - said if counts["right_is"] else said
            assert wrong == len(exceptions), (name, form)
            assert all(e["reference"] == "" and "empty" in e["reason"] for e in exceptions), (name, form)
    assert record["sets"]["math/test"]["forms"]["as written"]["num_proper"] == 5_000


def test_the_committed_record_is_of_the_official_files(record: dict[str, Any], shared_data: Path) -> None:
    for name, found in record["sets"].items():
        path = shared_data / name.split("/")[0] / found["file"]
        assert data.sha256(path) == found["sha256"]


def test_gold_answers_of_the_official_test_sets_are_right_again(shared_data: Path) -> None:
    examples = data.local_splits(shared_data, "gsm8k", num_train=1)["test"]
    rows = [
        {"index": i, "group": example.group, "references": example.references, "prediction": example.target}
        for i, example in enumerate(examples)
    ]
    assert all(verdict.proper for verdict in grade(rows, workers=1).verdicts)
