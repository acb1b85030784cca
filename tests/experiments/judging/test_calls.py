from pathlib import Path

import pytest

from experiments.judging import fastchat
from experiments.judging.calls import NEED_REFERENCE, calls, key
from experiments.judging.judging import turns_of
from experiments.judging.settings import Judge, JudgingError
from tests.experiments.judging.bench import bench


def test_first_turns_are_judged_with_the_reference_where_the_category_needs_one(tmp_path: Path) -> None:
    found = bench(tmp_path).calls()
    assert [(call.question_id, call.turn, call.template, call.user) for call in found] == [
        (81, 1, "single-v1", "Rate: Write {x}. / answer 0"),
        (101, 1, "single-math-v1", "Rate: Who is first? / Ann. / answer 1"),
        (111, 1, "single-math-v1", "Rate: 1 + 1? / 2 / answer 2"),
        (131, 1, "single-v1", "Rate: Why? / answer 3"),
    ]
    assert found[0].messages() == [
        {"role": "system", "content": "You judge."},
        {"role": "user", "content": "Rate: Write {x}. / answer 0"},
    ]


def test_second_turns_are_judged_with_both_turns_shown(tmp_path: Path) -> None:
    found = bench(tmp_path, two_turns=True).calls()
    assert [(call.question_id, call.turn) for call in found] == [
        (i, t) for t in (1, 2) for i in (81, 101, 111, 131)
    ]
    assert (found[4].template, found[5].template) == ("single-v1-multi-turn", "single-math-v1-multi-turn")
    assert found[4].user == "Rate: Q1 Write {x}. A1 answer 0 Q2 Again. A2 more 0"
    assert found[6].user == "Rate: R1 2 R2 4 Q1 1 + 1? A1 answer 2 Q2 2 + 2? A2 more 2"


def test_whatever_changes_a_judgement_changes_its_key(tmp_path: Path) -> None:
    judge, first = Judge("judge-1"), bench(tmp_path).calls()
    keys = {key(call, judge) for call in first}
    assert len(keys) == 4
    assert keys == {key(call, judge) for call in bench(tmp_path).calls()}
    for other in (Judge("judge-2"), Judge("judge-1", 0.5), Judge("judge-1", None), Judge("judge-1", 0.0, 9)):
        assert not keys & {key(call, other) for call in first}
    changed = (tmp_path / "gpt-4.jsonl").read_text(encoding="utf-8").replace("Ann.", "Eve.")
    (tmp_path / "changed.jsonl").write_text(changed, encoding="utf-8")
    later = bench(tmp_path)
    found = calls(
        fastchat.questions(later.questions),
        {**turns_of(later.answers), 131: ("other",)},
        fastchat.templates(later.prompts),
        fastchat.read_answers(tmp_path / "changed.jsonl"),
    )
    assert [key(call, judge) in keys for call in found] == [True, False, True, False]


def world(tmp_path: Path) -> list:
    files = bench(tmp_path)
    return [
        fastchat.questions(files.questions),
        turns_of(files.answers),
        fastchat.templates(files.prompts),
        fastchat.read_answers(files.references),
    ]


BAD = {
    "no answer to one": (1, {81: ("a",)}, "questions without an answer: 101, 111, 131"),
    "no question to one": (1, dict.fromkeys((81, 101, 111, 131, 7), ("a",)), "answers without a question: 7"),
    "no answers": (1, {}, "questions without an answer: 81"),
    "mixed turns": (
        1,
        {i: ("a", "b")[: 1 + (i < 131)] for i in (81, 101, 111, 131)},
        "one turn where .*: 131",
    ),
    "no prompt": (2, {}, "no judge prompt single-v1; use FastChat's"),
    "other field": (2, {"single-v1": fastchat.Template("single-v1", "", "{reply}")}, "asks for 'reply'"),
    "stray brace": (
        2,
        {"single-v1": fastchat.Template("single-v1", "", "{ {question}")},
        "single-v1 asks for",
    ),
    "no reference": (3, {111: ("2",)}, r"no reference answer to question 101 \(reasoning\), turn 1"),
}


@pytest.mark.parametrize("which", BAD)
def test_what_does_not_fit_together_is_refused(which: str, tmp_path: Path) -> None:
    place, value, message = BAD[which]
    inputs = world(tmp_path)
    inputs[place] = value
    with pytest.raises(JudgingError, match=message):
        calls(*inputs)


def test_real_files_need_eighty_calls_a_turn(shared_data: Path) -> None:
    root = shared_data / "mt_bench"
    asked = fastchat.questions(root / "question.jsonl")
    prompts = fastchat.templates(root / "judge_prompts.jsonl")
    references = fastchat.read_answers(root / "reference_answer" / "gpt-4.jsonl")
    found = calls(asked, dict.fromkeys(asked, ("one {a}", "two")), prompts, references)
    assert (len(found), sum(call.template.startswith("single-math") for call in found)) == (160, 60)
    needing = {question.question_id for question in asked.values() if question.category in NEED_REFERENCE}
    assert needing == set(references)
    assert all("[[rating]]" in call.system + call.user and "{" + "answer" not in call.user for call in found)
