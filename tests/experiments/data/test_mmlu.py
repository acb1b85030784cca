import json
from pathlib import Path

import pytest

from experiments.data import mmlu
from experiments.data.examples import DataError, Prompted

HEADING = "The following are multiple choice questions (with answers) about  {}.\n\n"


def row(subject: str, text: str, letter: str) -> dict[str, str]:
    prompt = f"{HEADING.format(subject)}{text}\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    return {"subject": subject, "input": prompt, "output": letter}


DEV = [row(s, f"Shown {i}?\n\nHow many?", "ABCDA"[i]) for s in ("law", "art") for i in range(5)]
ASKED = [row("law", "Asked 0?", "C"), row("art", "Asked 1?", "D")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mmlu").mkdir()
    for name, rows in {"dev": DEV, "val": ASKED, "test": ASKED[:1]}.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "mmlu" / f"zero_shot_mmlu_{name}.json").write_text(text, encoding="utf-8")
    return tmp_path


def test_zero_shot_prompts_are_as_given(root: Path) -> None:
    assert mmlu.questions(root, "validation") == [
        Prompted(r["input"], references=(r["output"],), group="mmlu_0", facts={"subject": r["subject"]})
        for r in ASKED
    ]
    assert len(mmlu.questions(root, "test")) == 1


def test_exemplars_stand_between_heading_and_question_each_with_its_letter(root: Path) -> None:
    question = mmlu.questions(root, "validation", shots=2)[1]
    options = "\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    assert question.source == (
        f"{HEADING.format('art')}Shown 0?\n\nHow many?{options} A\n\nShown 1?\n\nHow many?{options} B\n\n"
        f"Asked 1?{options}"
    )
    assert (question.group, question.facts["subject"]) == ("mmlu_2", "art")


def test_exemplars_are_dropped_from_the_end_down_to_the_question(root: Path) -> None:
    question = mmlu.questions(root, "validation", shots=3)[1]
    fewer = [mmlu.questions(root, "validation", shots=shots)[1].source for shots in (2, 1, 0)]
    assert list(mmlu.with_fewer(question.source)) == [question.source, *fewer]
    assert list(mmlu.with_fewer(fewer[-1])) == fewer[-1:]


@pytest.mark.parametrize("shots", [-1, 6])
def test_more_exemplars_than_there_are_is_refused(shots: int, root: Path) -> None:
    with pytest.raises(DataError, match=f"{shots} exemplars: .* choose 1 to 5"):
        mmlu.questions(root, "validation", shots)


BAD = {
    "letter": ({**ASKED[0], "output": "E"}, "line 2: 'E' is no answer; one of A, B, C, D is due"),
    "no question": ({**ASKED[0], "input": "The following are.\nAnswer:"}, "line 2: no prompt of a heading"),
    "no end": ({**ASKED[0], "input": ASKED[0]["input"] + " C"}, "line 2: no prompt of a heading"),
    "no subject": ({"input": "", "output": "A"}, "line 2: subject missing or of a wrong type"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_question_is_named_with_file_and_line(which: str, root: Path) -> None:
    bad, message = BAD[which]
    path = root / "mmlu" / "zero_shot_mmlu_val.json"
    path.write_text(json.dumps(ASKED[0]) + "\n" + json.dumps(bad) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"zero_shot_mmlu_val\.json: {message}"):
        mmlu.questions(root, "validation")


def test_files_are_described_and_a_missing_one_or_unknown_split_named(root: Path) -> None:
    assert set(mmlu.describe(root, "test")["files"]) == {"zero_shot_mmlu_test.json"}
    found = mmlu.describe(root, "validation", shots=5)
    assert set(found["files"]) == {"zero_shot_mmlu_val.json", "zero_shot_mmlu_dev.json"}
    (root / "mmlu" / "zero_shot_mmlu_dev.json").unlink()
    with pytest.raises(DataError, match=r"no zero_shot_mmlu_dev\.json \(or \.gz\)"):
        mmlu.questions(root, "validation", shots=5)
    with pytest.raises(DataError, match="MMLU has no split 'dev' to ask; choose one of validation, test"):
        mmlu.questions(root, "dev")


def test_real_files_have_the_official_numbers_of_rows(shared_data: Path) -> None:
    assert len(mmlu.questions(shared_data, "test")) == 14042
    found = mmlu.questions(shared_data, "validation", shots=5)
    assert (len(found), len({q.facts["subject"] for q in found})) == (1531, 57)
    assert all(q.source.count("\nAnswer: ") >= 5 for q in found)


def test_real_five_shot_prompts_are_as_long_as_the_published_ones(shared_data: Path) -> None:
    """The published file of the validation set has its first 683,104 bytes before the first long subject."""
    found = mmlu.questions(shared_data, "validation", shots=5)
    subjects = [q.facts["subject"] for q in found]
    before = found[: subjects.index("high_school_european_history")]
    lines = [{"subject": q.facts["subject"], "input": q.source, "output": q.references[0]} for q in before]
    assert sum(len(json.dumps(line)) + 1 for line in lines) == 683_104
