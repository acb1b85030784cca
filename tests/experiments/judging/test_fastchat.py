import json
from pathlib import Path

import pytest

from experiments.data.examples import DataError
from experiments.judging import fastchat
from tests.experiments.judging.bench import PROMPTS, QUESTIONS, REFERENCES, bench, fastchat_answers, lines


def test_questions_prompts_and_references_are_read(tmp_path: Path) -> None:
    files = bench(tmp_path)
    found = fastchat.questions(files.questions)
    assert list(found) == [81, 101, 111, 131]
    assert found[101] == fastchat.Question(101, "reasoning", ("Who is first?", "Who is last?"))
    prompts = fastchat.templates(files.prompts)
    assert {name: one.text for name, one in prompts.items()} == PROMPTS  # the pairwise one is left out
    assert prompts["single-v1"].system == "You judge."
    assert fastchat.read_answers(files.references) == {i: tuple(turns) for i, turns in REFERENCES.items()}


def test_answers_are_written_as_fastchat_writes_them_and_read_again(tmp_path: Path) -> None:
    turns = {101: ("Ann — é.",), 81: ("a", "b")}
    written = fastchat.answer_lines(turns, "my/model", 12.5)
    fastchat.write_lines(tmp_path / "deep" / "model.jsonl", written)
    raw = [
        json.loads(line)
        for line in (tmp_path / "deep" / "model.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [list(row) for row in raw] == [["question_id", "answer_id", "model_id", "choices", "tstamp"]] * 2
    assert raw[0]["choices"] == [{"index": 0, "turns": ["a", "b"]}]
    assert (raw[0]["model_id"], raw[0]["tstamp"], len(raw[0]["answer_id"])) == ("my/model", 12.5, 22)
    assert fastchat.read_answers(tmp_path / "deep" / "model.jsonl") == turns
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["model.jsonl"]


def test_equal_answers_have_equal_ids_and_changed_ones_others() -> None:
    first, same = (fastchat.answer_lines({81: ("a",)}, "m", 1.0)[0]["answer_id"] for _ in range(2))
    assert first == same != fastchat.answer_lines({81: ("b",)}, "m", 1.0)[0]["answer_id"]


BAD = {
    "question twice": ("questions", lines([QUESTIONS[0], QUESTIONS[0]]), "81 stands twice"),
    "question without turns": (
        "questions",
        lines([{**QUESTIONS[0], "turns": []}]),
        "line 1: turns are no list",
    ),
    "turn is no text": ("questions", lines([{**QUESTIONS[0], "turns": [1]}]), "line 1: a turn is no text"),
    "prompt of another format": (
        "templates",
        lines(
            [
                {
                    "name": "x",
                    "type": "single",
                    "system_prompt": "",
                    "prompt_template": "",
                    "output_format": "A",
                }
            ]
        ),
        r"line 1: output_format 'A' of x; \[\[rating\]\] is due",
    ),
    "answer without choice": (
        "read_answers",
        lines([{"question_id": 1, "choices": []}]),
        "line 1: .* no choice",
    ),
    "answer twice": ("read_answers", fastchat_answers({1: ["a"]}) * 2, "1 stands twice"),
    "cut": ("read_answers", fastchat_answers({1: ["a"]})[:-9], "line 1: no JSON"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_file_is_named(which: str, tmp_path: Path) -> None:
    reader, text, message = BAD[which]
    (tmp_path / "x.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl: " + message):
        getattr(fastchat, reader)(tmp_path / "x.jsonl")


def test_fastchats_own_files_are_read(shared_data: Path) -> None:
    root = shared_data / "mt_bench"
    found = fastchat.questions(root / "question.jsonl")
    references = fastchat.read_answers(root / "reference_answer" / "gpt-4.jsonl")
    assert (len(found), len(references)) == (80, 30)
    assert set(fastchat.templates(root / "judge_prompts.jsonl")) == set(PROMPTS)
    assert all(len(turns) == 2 for turns in references.values())
