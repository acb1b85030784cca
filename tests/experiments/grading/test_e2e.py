import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.grading import java
from experiments.grading.e2e import MEASURES, group, main, read_outputs, read_references, score
from experiments.grading.glue import GradingError
from tests.experiments.grading.test_coco import CIDER, ROUGE_L
from tests.experiments.grading.test_mteval import OUTPUTS, REFERENCES

METEOR = 0.35872837  # pycocoevalcap's wrapper on the same texts
needs_java = pytest.mark.skipif(not java.found(), reason="METEOR is a Java program, and there is no Java")


@pytest.fixture
def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def row(source: str, prediction: str, *references: str) -> dict:
    return {"source": source, "prediction": prediction, "references": list(references)}


@needs_java
def test_all_measures_with_an_empty_output_among_others() -> None:
    """Parity with the challenge's scorers and pycocoevalcap; mutations that failed: references of one input
    given to the next; METEOR without -norm; METEOR's mean instead of its score for all together.
    """
    with pytest.warns(UserWarning, match="1 of 4 outputs are empty: 2; each is scored as an empty sentence"):
        found = score(OUTPUTS, REFERENCES)
    assert tuple(found) == MEASURES
    expected = [0.253513, 3.967828, 5.603784, METEOR, ROUGE_L, CIDER]
    assert list(found.values()) == pytest.approx(expected, abs=1e-6)


@needs_java
def test_the_challenges_worked_example_has_its_scores_to_four_decimals(shared_data: Path) -> None:
    """Parity with the challenge's own script; a mutation that failed: one mean length for both NISTs."""
    folder = shared_data / "e2e" / "metrics_example"
    found = score(read_outputs(folder / "outputs.txt"), read_references(folder / "references.txt"))
    expected = json.loads((folder / "expected_scores.json").read_text(encoding="utf-8"))
    names = {"bleu": "BLEU", "nist": "NIST_variable_refs", "nist_perl": "NIST", "meteor": "METEOR",
             "rouge_l": "ROUGE_L", "cider": "CIDEr"}  # fmt: skip
    assert {theirs: round(found[ours], 4) for ours, theirs in names.items()} == {
        theirs: expected[theirs] for theirs in names.values()
    }


def test_the_tokenised_form_parts_words_of_both_sides(without_java: None) -> None:
    """A text that is tokenised already scores the same in both forms; one that is not gets other scores."""
    plain, tokenised = ["It is family-friendly."], ["It is family - friendly ."]
    with pytest.warns(UserWarning, match="METEOR is left out"):
        ours = score(plain, [["It isn't family-friendly."]], form="tokenised")
        theirs = score(tokenised, [["It isn 't family - friendly ."]])
        other = score(plain, [["It isn't family-friendly."]])
    assert ours == theirs
    assert ours["bleu"] != other["bleu"]


@pytest.mark.parametrize(
    ("outputs", "references", "form", "message"),
    [
        (["a"], [["a"], ["b"]], "plain", "1 outputs for 2 inputs with references; one each is due"),
        (["a", "b", "c"], [["a"], ["b"]], "plain", "3 outputs for 2 inputs with references"),
        ([""], [["a"]], "plain", "every output is empty"),
        ([" ", "\n"], [["a"], ["b"]], "plain", "every output is empty"),
        (["a", "b"], [["a"], []], "plain", "input 2 has no reference or an empty one"),
        (["a"], [["a", " "]], "plain", "input 1 has no reference or an empty one"),
        (["a"], [["a"]], "lower", "no form 'lower'; choose one of plain, tokenised"),
        ([], [], "plain", "every output is empty"),
    ],
)
def test_what_cannot_be_scored_is_refused(outputs: list, references: list, form: str, message: str) -> None:
    with pytest.raises(GradingError, match=message):
        score(outputs, references, form=form)


def test_an_output_of_marks_alone_is_scored(without_java: None) -> None:
    with pytest.warns(UserWarning, match="METEOR is left out"):
        assert score(["...", "a pub"], [["a pub"], ["a pub"]])["rouge_l"] == pytest.approx(0.5)


def test_a_line_end_within_an_output_is_a_space(without_java: None) -> None:
    with pytest.warns(UserWarning, match="METEOR is left out"):
        assert score(["a pub\nby the\u2028river"], [["a pub by the river"]])["rouge_l"] == pytest.approx(1)


def test_rows_are_grouped_by_input_in_order_of_first_appearance() -> None:
    rows = [row("b", "B", "b1"), row("a", "A", "a1", "a2"), row("b", "B", "b2", "b1")]
    found = group(rows)
    assert found.sources == ["b", "a"]
    assert found.predictions == ["B", "A"]
    assert found.references == [("b1", "b2", "b1"), ("a1", "a2")]


def test_two_different_outputs_for_one_input_are_refused() -> None:
    with pytest.raises(GradingError, match="two different outputs for 'a'; answer each input once"):
        group([row("a", "A", "x"), row("a", "B", "x")])


def write(folder: Path, outputs: str, references: str) -> list[str]:
    (folder / "outputs.txt").write_text(outputs, encoding="utf-8")
    (folder / "references.txt").write_text(references, encoding="utf-8")
    return [str(folder / "outputs.txt"), str(folder / "references.txt")]


def test_the_command_prints_a_dash_for_what_is_left_out(tmp_path: Path) -> None:
    arguments = write(
        tmp_path, "a pub near it\r\nA Café.\r\n", "\ufeffa pub near it\nthe pub\n\nA Café.\n\n\n"
    )
    command = (
        "import sys; from experiments.grading.e2e import main; code = main(sys.argv[1:])\n"
        "assert not {'torch', 'transformers'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = dict(line.split("\t") for line in done.stdout.splitlines())
    assert tuple(printed) == MEASURES
    assert (printed["bleu"], printed["rouge_l"], printed["meteor"]) == ("1.0000", "1.0000", "-")
    assert "METEOR is left out" in done.stderr


def test_references_without_an_empty_line_are_one_for_each_output(tmp_path: Path) -> None:
    write(tmp_path, "", "one\ntwo\n")
    assert read_references(tmp_path / "references.txt") == [["one"], ["two"]]


@pytest.mark.parametrize(
    ("outputs", "references", "message"),
    [
        ("a\n", "a\n\nb\n", r"outputs\.txt: 1 lines for the 2 inputs of .*references\.txt"),
        ("a\nb\n\n", "a\n\nb\n", r"outputs\.txt: 3 lines for the 2 inputs"),
        ("a\nb\n", "a\n\n\nb\n", r"references\.txt: line 3: empty after nothing"),
        ("\n\n", "a\n\nb\n", "every output is empty"),
        ("a\n", "", r"references\.txt: line 1: empty after nothing"),
    ],
)
def test_damaged_files_are_named(
    outputs: str, references: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(write(tmp_path, outputs, references)) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_missing_file_and_a_wrong_encoding_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin").write_bytes("pub\nCafé\n".encode("latin-1"))
    assert main([str(tmp_path / "latin"), str(tmp_path / "none")]) == 1
    assert "none: cannot be read" in capsys.readouterr().err
    with pytest.raises(GradingError, match="latin: line 2: is not UTF-8"):
        read_outputs(tmp_path / "latin")
