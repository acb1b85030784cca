import hashlib
import json
from pathlib import Path

import pytest

from experiments.grading import answers
from experiments.grading.__main__ import main
from experiments.grading.glue import GradingError

HEADER = {"family": "glue", "task": "cola", "metric": "matthews", "version": 1}
ROWS = [{"index": i, "label": i % 2, "prediction": i % 2, "scores": [0.1, 1e-17]} for i in range(4)]


def test_what_is_written_is_read_and_graded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.answers.jsonl"
    digest = answers.write(path, HEADER, ROWS)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert answers.read(path) == answers.Answers(HEADER, ROWS)
    assert answers.grade(answers.read(path)) == {"matthews": 1.0}
    assert [file.name for file in path.parent.iterdir()] == ["x.answers.jsonl"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    answers.write(path, HEADER, ROWS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        answers.write(path, HEADER, [{**ROWS[0], "prediction": float("nan")}])
    assert path.read_bytes() == before


def lines(*rows: object) -> str:
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 lines"),
        (lines(HEADER), "1 lines"),
        (lines(HEADER, ROWS[0], '{"index": 1, "lab'), "line 3: no JSON"),
        (lines(HEADER, "[1, 2]\n"), "line 2: list where a JSON object is due"),
        (lines(HEADER, {"index": 1, "label": 0}), "line 2: prediction missing"),
        (lines(HEADER, {**ROWS[0], "label": "yes"}), "line 2: label missing or of a wrong type"),
        (lines(HEADER, {**ROWS[0], "prediction": True}), "line 2: prediction missing or of a wrong type"),
        (lines({"family": "glue"}, ROWS[0]), "line 1: task, metric missing"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(GradingError, match=message):
        answers.read(tmp_path / "x.jsonl")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GradingError, match="cannot be read"):
        answers.read(tmp_path / "none.jsonl")


def test_an_example_answered_twice_is_refused() -> None:
    with pytest.raises(GradingError, match="1 examples are answered more than once"):
        answers.grade(answers.Answers(HEADER, [*ROWS, ROWS[0]]))


def test_command_line_grades_what_it_can_and_says_what_it_cannot(tmp_path: Path, capsys) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    answers.write(good, HEADER, ROWS)
    bad.write_text("nonsense\n", encoding="utf-8")
    assert main([str(good)]) == 0
    assert main([str(bad), str(good)]) == 1
    printed = capsys.readouterr()
    assert printed.out == 2 * f"{good}\tcola\tmatthews\t1.0\t4 answers\n"
    assert printed.err.count("bad.jsonl") == 1
