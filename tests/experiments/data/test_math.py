import gzip
import json
from pathlib import Path

import pytest

from experiments.data import math
from experiments.data.examples import DataError, Prompted

GSM8K = {
    "question": "How many clips?",
    "answer": "May: 48/2 = <<48/2=24>>24.\nBoth: $<<24+48=72>>72.\n#### 72",
}
LARGE = {"question": "How much?", "answer": "It is <<2*725000=1450000>>1450000.\n#### 1,450,000"}
MATH = {"problem": "Find $x$.", "level": "Level 1", "solution": "So $x=\\boxed{\\frac{1}{2}}$."}
BARE_BOX = {"problem": "Find $y$.", "solution": "First \\boxed{3}, then $y=\\boxed 2$."}
META = {"type": "GSM_Rephrased", "query": "How many?", "response": "Two. The answer is: 2"}
META_MATH = {"type": "MATH_AnsAug", "query": "Find it.", "response": "Look.\nThe answer is: \\frac12"}


def lines(*rows: dict[str, str]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, rows in {"gsm8k": (GSM8K, LARGE), "math": (MATH, BARE_BOX)}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_bytes(lines(*rows))
        (tmp_path / name / "test.jsonl.gz").write_bytes(gzip.compress(lines(*rows)))
    (tmp_path / "MetaMathQA-395K.json").write_text(
        json.dumps([META, META_MATH, META], indent=1), encoding="utf-8"
    )
    return tmp_path


def test_gsm8k_is_learned_without_calculator_marks_and_with_metamaths_ending(root: Path) -> None:
    first, second = math.local_splits(root, "gsm8k")["train"]
    target = "May: 48/2 = 24.\nBoth: $72.\nThe answer is: 72"
    assert first == Prompted("How many clips?", target, ("72",), "gsm8k")
    assert second.references == ("1,450,000",)
    assert second.target.endswith("\nThe answer is: 1,450,000")


def test_math_is_learned_with_the_last_boxed_answer_at_its_end(root: Path) -> None:
    first, second = math.local_splits(root, "math")["train"]
    target = "So $x=\\boxed{\\frac{1}{2}}$.\nThe answer is: \\frac{1}{2}"
    assert first == Prompted("Find $x$.", target, ("\\frac{1}{2}",), "math")
    assert second.references == ("2",)


def test_metamath_is_learned_as_it_is_and_knows_the_set_it_was_made_from(root: Path) -> None:
    first, second, third = math.local_splits(root)["train"]
    assert first == Prompted("How many?", "Two. The answer is: 2", ("2",), "gsm8k") == third
    assert (second.group, second.references) == ("math", ("\\frac12",))


def test_both_test_sets_are_answered_gsm8k_first(root: Path) -> None:
    test = math.local_splits(root, "gsm8k")["test"]
    assert [(example.group, example.references) for example in test] == [
        ("gsm8k", ("72",)),
        ("gsm8k", ("1,450,000",)),
        ("math", ("\\frac{1}{2}",)),
        ("math", ("2",)),
    ]


def test_only_the_first_examples_are_read(root: Path) -> None:
    rows = [META, META_MATH, {"type": "GSM_SV"}]  # the third row is bad, and past the end
    (root / "MetaMathQA-395K.json").write_text(json.dumps(rows), encoding="utf-8")
    assert len(math.local_splits(root, num_train=2)["train"]) == 2
    with pytest.raises(DataError, match="line 1: query, response missing"):
        math.local_splits(root, num_train=None)


def test_held_out_examples_leave_the_training_set_and_are_the_same_every_time(root: Path) -> None:
    rows = [{**META, "query": str(i)} for i in range(20)]
    (root / "MetaMathQA-395K.json").write_text(json.dumps(rows), encoding="utf-8")
    splits = math.local_splits(root, num_train=10, held_out=3)
    train, held = ([int(example.source) for example in splits[name]] for name in ("train", "validation"))
    assert sorted(train + held) == list(range(10)) and len(held) == 3
    assert train == sorted(train) and held == sorted(held)
    assert math.local_splits(root, num_train=10, held_out=3) == splits
    assert math.local_splits(root)["validation"] == []


def test_released_test_files_and_jsonl_are_read_too(root: Path) -> None:
    before = math.local_splits(root, "gsm8k")
    for name in ("gsm8k", "math"):
        (root / name / "test.jsonl.gz").unlink()
    (root / "gsm8k_test.jsonl").write_bytes(lines(GSM8K, LARGE))
    released = [{"instruction": row["problem"], "output": row["solution"]} for row in (MATH, BARE_BOX)]
    (root / "MATH_test.jsonl").write_bytes(lines(*released))
    assert math.local_splits(root, "gsm8k") == before
    (root / "MetaMathQA-395K.json").rename(root / "other.json")
    (root / "MetaMathQA-395K.jsonl.gz").write_bytes(gzip.compress(lines(META)))
    assert len(math.local_splits(root)["train"]) == 1


def test_description_names_every_file_that_is_read(root: Path) -> None:
    described = math.describe(root, "gsm8k")
    assert described["train_set"] == "gsm8k"
    assert list(described["files"]) == ["gsm8k/train.jsonl", "gsm8k/test.jsonl.gz", "math/test.jsonl.gz"]
    before = described["files"]["gsm8k/train.jsonl"]
    (root / "gsm8k" / "train.jsonl").write_bytes(lines(GSM8K))
    assert math.describe(root, "gsm8k")["files"]["gsm8k/train.jsonl"] != before


def test_a_missing_training_set_is_not_replaced_by_another(root: Path) -> None:
    (root / "MetaMathQA-395K.json").unlink()
    with pytest.raises(DataError, match=r"no MetaMathQA-395K\.json .* choose data\.train_set=gsm8k or math"):
        math.local_splits(root)
    with pytest.raises(DataError, match="no training set 'metamathqa' .* one of metamath, gsm8k, math"):
        math.local_splits(root, "metamathqa")


BAD = {
    "no mark": ("gsm8k", {**GSM8K, "answer": "72"}, "line 2: the answer ends in '72', where ####"),
    "no number": ("gsm8k", {**GSM8K, "answer": "#### about 7"}, "line 2: the answer ends in '#### about 7'"),
    "no answer": ("gsm8k", {"question": "?"}, "line 2: answer missing or of a wrong type"),
    "no box": ("math", {**MATH, "solution": "So $x=2$."}, r"line 2: the solution has no \\boxed"),
    "open box": ("math", {**MATH, "solution": "\\boxed{2"}, r"line 2: the solution has no \\boxed"),
    "other fields": ("math", {"question": "?"}, "line 2: problem, solution missing"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_row_is_named_by_file_and_line(which: str, root: Path) -> None:
    name, row, message = BAD[which]
    path = root / name / "train.jsonl"
    path.write_bytes(lines(GSM8K if name == "gsm8k" else MATH, row))
    with pytest.raises(DataError, match=message) as error:
        math.local_splits(root, name)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(("number", "held_out"), [(0, 0), (-1, 0), (2, 2), (2, -1)])
def test_numbers_that_leave_nothing_to_learn_are_refused(number: int, held_out: int, root: Path) -> None:
    with pytest.raises(DataError, match="choose"):
        math.local_splits(root, num_train=number, held_out=held_out)


def test_official_files_have_their_official_numbers(shared_data: Path) -> None:
    splits = math.local_splits(shared_data, "gsm8k", num_train=None)
    assert len(splits["train"]) == 7_473
    groups = [example.group for example in splits["test"]]
    assert (groups.count("gsm8k"), groups.count("math")) == (1_319, 5_000)
    assert not any("<<" in example.target for example in splits["train"])
    learned = math.local_splits(shared_data, "math", num_train=None)["train"]
    assert len(learned) == 7_500
    assert sum(example.references == ("",) for example in learned) == 2  # their \boxed{} is empty
