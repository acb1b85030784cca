import gzip
import json
import re
from pathlib import Path

import datasets
import pytest

from experiments.data import instruct
from experiments.data.examples import DataError, Prompted

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = [{"instruction": f"Do {i}.", "input": "", "output": f"Done {i}"} for i in range(20)]
QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Write.", "Again."], "reference": ["x", "y"]},
    {"question_id": 101, "category": "math", "turns": ["1 + 1?"]},
]


def world(root: Path, rows: object = ROWS, questions: list[dict] = QUESTIONS) -> Path:
    for folder in ("alpaca", "mt_bench"):
        (root / folder).mkdir()
    (root / "alpaca" / "alpaca_data_cleaned.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (root / "mt_bench" / "question.jsonl").write_text(
        "".join(json.dumps(q) + "\n" for q in questions), encoding="utf-8"
    )
    return root


def test_instruction_input_and_output_become_source_context_and_target(tmp_path: Path) -> None:
    rows = [{"instruction": "Translate.", "input": "chat", "output": "cat"}, ROWS[0]]
    splits = instruct.local_splits(world(tmp_path, rows))
    assert splits["train"] == [
        Prompted("Translate.", context="chat", target="cat"),
        Prompted("Do 0.", target="Done 0"),
    ]
    assert splits["validation"] == []


def test_a_question_keeps_its_second_turn_id_and_category(tmp_path: Path) -> None:
    facts = {"question_id": "81", "category": "writing", "turn_2": "Again."}
    assert instruct.local_splits(world(tmp_path))["test"] == [
        Prompted("Write.", group="mt_bench", facts=facts),
        Prompted("1 + 1?", group="mt_bench", facts={"question_id": "101", "category": "math"}),
    ]


def test_held_out_examples_are_those_of_the_released_split(tmp_path: Path) -> None:
    """Parity with datasets' own split; another seed, or the last rows drawn, failed."""
    splits = instruct.local_splits(world(tmp_path), held_out=6)
    theirs = datasets.Dataset.from_list(ROWS).train_test_split(test_size=6, shuffle=True, seed=42)
    assert [example.target for example in splits["validation"]] == theirs["test"]["output"]
    assert {example.target for example in splits["train"]} == set(theirs["train"]["output"])
    places = [int(example.source[3:-1]) for example in splits["train"]]
    assert places == sorted(places)


@pytest.mark.parametrize("held_out", [-1, 20, 21])
def test_a_number_of_held_out_examples_that_does_not_fit_is_refused(held_out: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"held_out is {held_out}; choose 0 to 19 of the 20 examples"):
        instruct.local_splits(world(tmp_path), held_out=held_out)


def test_empty_outputs_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*ROWS[:3], {**ROWS[3], "output": ""}, {**ROWS[4], "output": " \n"}]
    splits = instruct.local_splits(world(tmp_path, rows))
    assert [example.target for example in splits["train"]] == ["Done 0", "Done 1", "Done 2"]
    assert instruct.describe(tmp_path)["num_empty_left_out"] == 2


def test_leaving_out_empty_rows_does_not_change_which_are_held_out() -> None:
    rows = [Prompted(f"Do {i}.", target="x" if i % 2 else "") for i in range(40)]
    full = [Prompted(f"Do {i}.", target="x") for i in range(40)]
    drawn = [example.source for example in instruct.split(full, 10)["validation"]]
    odd = [source for source in drawn if int(source[3:-1]) % 2]
    assert [example.source for example in instruct.split(rows, 10)["validation"]] == odd


def test_the_uncleaned_set_is_read_only_when_asked_for(tmp_path: Path) -> None:
    (world(tmp_path) / "alpaca" / "alpaca_data_cleaned.json").rename(tmp_path / "alpaca" / "alpaca_data.json")
    with pytest.raises(DataError, match=r"no alpaca_data_cleaned\.json or .* put the cleaned Alpaca there"):
        instruct.local_splits(tmp_path)
    assert len(instruct.local_rows(tmp_path, "uncleaned")) == 20
    assert instruct.describe(tmp_path, "uncleaned")["edition"] == "uncleaned"
    with pytest.raises(DataError, match="no edition 'raw' of Alpaca; choose one of cleaned, uncleaned"):
        instruct.files(tmp_path, "raw")


def test_a_part_stands_in_for_the_cleaned_set_and_is_named_as_one(tmp_path: Path) -> None:
    folder = world(tmp_path) / "alpaca"
    assert instruct.describe(tmp_path)["partial_train"] is False
    lines = "".join(json.dumps(row) + "\n" for row in ROWS[:2]).encode()
    (folder / "alpaca_cleaned_first2.jsonl.gz").write_bytes(gzip.compress(lines))
    assert len(instruct.local_rows(tmp_path)) == 20
    (folder / "alpaca_data_cleaned.json").unlink()
    assert len(instruct.local_rows(tmp_path)) == 2
    found = instruct.describe(tmp_path)
    assert found["partial_train"] is True
    assert set(found["files"]) == {"alpaca_cleaned_first2.jsonl.gz", "question.jsonl"}
    (folder / "alpaca_cleaned_first9.json").touch()
    with pytest.raises(DataError, match="several parts: alpaca_cleaned_first2.*leave one"):
        instruct.files(tmp_path)


BAD_ROWS = {
    "no output": ({"instruction": "Do.", "input": ""}, "line 2: output missing or of a wrong type"),
    "input is null": ({**ROWS[0], "input": None}, "line 2: input missing or of a wrong type"),
    "no instruction": ({**ROWS[0], "instruction": " "}, "line 2: an empty instruction"),
}


@pytest.mark.parametrize("which", BAD_ROWS)
def test_a_bad_example_is_named_with_file_and_line(which: str, tmp_path: Path) -> None:
    row, message = BAD_ROWS[which]
    with pytest.raises(DataError, match=re.escape("alpaca_data_cleaned.json: ") + message):
        instruct.local_splits(world(tmp_path, [row]))


BAD_QUESTIONS = {
    "three turns": ({**QUESTIONS[0], "turns": ["a", "b", "c"]}, "line 1: turns of question 81 are not"),
    "no turn": ({**QUESTIONS[0], "turns": []}, "line 1: turns of question 81 are not"),
    "empty turn": ({**QUESTIONS[0], "turns": ["a", ""]}, "line 1: turns of question 81 are not"),
    "id as text": ({**QUESTIONS[0], "question_id": "81"}, "line 1: question_id missing or of a wrong type"),
    "id twice": (QUESTIONS[1], "question 101 stands twice"),
}


@pytest.mark.parametrize("which", BAD_QUESTIONS)
def test_a_bad_question_is_named(which: str, tmp_path: Path) -> None:
    question, message = BAD_QUESTIONS[which]
    with pytest.raises(DataError, match=r"question\.jsonl: " + message):
        instruct.local_splits(world(tmp_path, questions=[question, QUESTIONS[1]]))


def test_a_missing_file_of_questions_is_named(tmp_path: Path) -> None:
    (world(tmp_path) / "mt_bench" / "question.jsonl").unlink()
    with pytest.raises(DataError, match=r"mt_bench: no question\.jsonl"):
        instruct.local_splits(tmp_path)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A local folder that `datasets` reads as it reads the hub's."""
    (tmp_path / "alpaca_data_cleaned.json").write_text(json.dumps(ROWS), encoding="utf-8")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return str(tmp_path)


def test_the_hub_gives_the_same_rows_as_its_file(repository: str) -> None:
    assert instruct.hub_rows(COMMIT, repository) == [
        Prompted(row["instruction"], target=row["output"]) for row in ROWS
    ]


def test_a_hub_without_the_columns_and_a_hub_out_of_reach_are_named(repository: str) -> None:
    with pytest.raises(DataError, match=f"{instruct.REPOSITORY} at revision {COMMIT} cannot be read"):
        instruct.hub_rows(COMMIT)
    Path(repository, "alpaca_data_cleaned.json").write_text(
        '[{"instruction": "a", "text": "b"}]', encoding="utf-8"
    )
    with pytest.raises(DataError, match=f"no column input, output at {COMMIT}"):
        instruct.hub_rows(COMMIT, repository)


def test_real_alpaca_has_the_official_numbers_of_rows(shared_data: Path) -> None:
    cleaned, uncleaned = (instruct.local_rows(shared_data, edition) for edition in ("cleaned", "uncleaned"))
    assert (len(cleaned), instruct.num_empty(cleaned)) == (5000, 0)
    assert (len(uncleaned), instruct.num_empty(uncleaned)) == (52002, 28)
    splits = instruct.split(uncleaned, 1024)
    assert len(splits["train"]) + len(splits["validation"]) == 52002 - 28
    assert cleaned[0].source == uncleaned[0].source == "Give three tips for staying healthy."


def test_real_mt_bench_has_eighty_questions_of_two_turns(shared_data: Path) -> None:
    found = instruct.questions(shared_data)
    assert len(found) == 80
    assert all(question.facts["turn_2"] for question in found)
    assert [question.facts["question_id"] for question in found] == [str(i) for i in range(81, 161)]
    assert len({question.facts["category"] for question in found}) == 8
