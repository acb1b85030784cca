"""Tests of experiments/report/family_notes.py: graders, judges, and what has no score."""

from made_records import judged, text_run

from experiments.records import Found, RunRecord
from experiments.report import table_text
from experiments.report.paper_table import PaperTable

from .shown import bold, lines

SEVEN = {"scale": "paper", "model": "llama2_7b"}


def table(made: list[RunRecord], family: str, scale: str = "tiny") -> PaperTable:
    return PaperTable(Found(made, []), scale, family)


def test_form_of_the_references_is_said() -> None:
    run = text_run("e2e", "full-full")
    tokenised = {**run.config, "data": {"text_form": "tokenised"}}
    made = [run, RunRecord(**{**vars(text_run("e2e", "lora-qv")), "config": tokenised})]
    assert "References: plain and tokenised." in table_text.scores(table(made, "e2e")).notes


def test_judge_date_and_invalid_ratings_are_named() -> None:
    made = [
        judged(text_run("instruct", "vblora-all", **SEVEN), 5.5, date="2026-02-01T10:00:00Z", num_invalid=3),
        judged(text_run("instruct", "none-none", **SEVEN), 4.5, num_invalid=1),
        text_run("instruct", "vera-all", **SEVEN),
    ]
    shown = table_text.scores(table(made, "instruct", "paper"))
    assert lines(shown)["Llama 2 7B", "VB-LoRA all", "measured"] == ["23,904", "5.50 (1)"]
    assert (
        "MT-Bench: 2 runs rated by gpt-4, 2026-01-31 to 2026-02-01, 4 invalid ratings left out: "
        "Llama 2 7B Not tuned; Llama 2 7B VB-LoRA all." in shown.notes
    )
    assert any("the answers of 1 run are not rated yet" in note for note in shown.notes)
    assert "The published ratings are GPT-4's." in shown.notes


def test_ratings_by_a_rule_are_called_so() -> None:
    made = [text_run("instruct", "vblora-all", mt_bench=7.25)]
    shown = table_text.scores(table(made, "instruct"))
    assert lines(shown)["tiny Llama", "VB-LoRA all"][1] == "7.25 (1)"
    assert "MT-Bench: 1 run rated by a rule, not by a model." in shown.notes


def test_ratings_of_different_judges_do_not_compete() -> None:
    made = [
        judged(text_run("instruct", "vblora-all"), 9.0, "gpt-4"),
        judged(text_run("instruct", "lora-all"), 5.0, "llama"),
    ]
    shown = table(made, "instruct")
    assert bold(table_text.scores(shown)) == set()
    assert lines(table_text.differences(shown))["tiny Llama", "VB-LoRA all", "LoRA all"] == ["–"]
    assert any("different judges are not comparable" in note for note in table_text.scores(shown).notes)
    same = [made[0], judged(text_run("instruct", "lora-all"), 5.0, "gpt-4")]
    assert bold(table_text.scores(table(same, "instruct"))) == {("VB-LoRA all", "MT-Bench")}
    shown = table_text.differences(table(same, "instruct"))
    assert lines(shown)["tiny Llama", "VB-LoRA all", "LoRA all"] == ["+4.00"]


def test_released_rule_is_named_with_the_published_numbers() -> None:
    notes = " ".join(table_text.scores(table([], "math", "paper")).notes)
    assert "released rule: as the released code grades" in notes
    assert "The published numbers were graded by the released rule" in notes
    tiny = " ".join(table_text.scores(table([], "math")).notes)
    assert "released rule: as the released code grades" in tiny and "The published numbers" not in tiny


def test_scorer_of_nist_is_named() -> None:
    notes = " ".join(table_text.scores(table([], "e2e")).notes)
    assert "Python scorer, which the published numbers come from; NIST, Perl is" in notes


def test_what_java_would_have_measured_is_named() -> None:
    made = [
        text_run("e2e", "full-full", meteor=None),
        text_run("e2e", "lora-qv", meteor=None),
        text_run("e2e", "vera-qv", meteor=None, rouge_l=None, cider=None),
        text_run("e2e", "vblora-all"),
    ]
    note = "Graded without Java: 2 runs without METEOR; 1 run without METEOR, ROUGE-L, CIDEr."
    assert note in table_text.scores(table(made, "e2e")).notes


def test_ratings_none_of_which_is_valid_are_counted_and_no_run_waits() -> None:
    made = [judged(text_run("instruct", "vblora-all"), None, num_invalid=80)]
    notes = " ".join(table_text.scores(table(made, "instruct")).notes)
    assert "1 run rated by gpt-4, 2026-01-31, 80 invalid ratings left out" in notes
    assert "not rated yet" not in notes
