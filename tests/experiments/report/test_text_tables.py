"""Tests of Tables 2 to 4 on made-up records: one run fills several columns, and some may be lacking."""

import csv
import io

import pytest
from made_records import failed, judged, text_run, whole_row

from experiments.records import Found, RunRecord
from experiments.report import published, table_text, tables
from experiments.report.grid import RowKey
from experiments.report.paper_table import PaperTable

from .shown import lines

SCORED = [("e2e", "vblora-all"), ("instruct", "vblora-all"), ("math", "vblora-all")]
VB = RowKey("llama2_7b", "vblora", "all")
SEVEN = {"scale": "paper", "model": "llama2_7b"}


def table(made: list[RunRecord], family: str, scale: str = "tiny", **options: str) -> PaperTable:
    return PaperTable(Found(made, []), scale, family, **options)


def test_empty_tables_are_dashes_with_commands() -> None:
    for family, _ in SCORED:
        shown = table_text.scores(table([], family))
        assert {text for cells in lines(shown).values() for text in cells} == {"–"}
        assert all(f"scale={family}/tiny" in command for _, command in shown.commands)
        assert len(shown.commands) == len(lines(shown))
        assert len(tables.of_family(table([], family)).parts) == 1


def test_table_2_is_the_mean_of_the_seeds_in_each_scores_own_unit() -> None:
    made = [text_run("e2e", "vblora-all", seed, bleu=bleu) for seed, bleu in enumerate([0.6, 0.6, 0.69])]
    shown = table_text.scores(table(made, "e2e"))
    assert shown.title == "Table 2 (E2E), scale tiny: mean of the seeds"
    assert shown.header[2:] == ["# Params", "BLEU", "NIST", "METEOR", "ROUGE-L", "CIDEr", "NIST, Perl"]
    assert lines(shown)["tiny GPT-2", "VB-LoRA all"] == [
        *("23,904", "63.0 ± 5.2 (3)", "8.60 ± 0.00 (3)", "46.0 ± 0.0 (3)"),
        *("70.0 ± 0.0 (3)", "2.40 ± 0.00 (3)", "8.70 ± 0.00 (3)"),
    ]
    assert "median of the seeds" in table_text.scores(table(made, "e2e", center="median")).title


def test_missing_meteor_is_a_dash_and_no_missing_run() -> None:
    made = [text_run("e2e", "vblora-all", meteor=None, nist_perl=None)]
    shown = table_text.scores(table(made, "e2e"))
    assert lines(shown)["tiny GPT-2", "VB-LoRA all"][3] == "–"
    assert "NIST, Perl" not in shown.header
    assert "Graded without Java: 1 run without METEOR." in shown.notes
    assert not any("row=vblora_all" in command and "scratch" not in command for _, command in shown.commands)
    both = [*made, text_run("e2e", "vblora-all", 1)]
    assert lines(table_text.scores(table(both, "e2e")))["tiny GPT-2", "VB-LoRA all"][3] == "46.0 (1)"


def test_run_without_any_score_still_has_its_row_and_parameters() -> None:
    shown = table_text.scores(table([text_run("instruct", "vblora-all")], "instruct"))
    assert lines(shown)["tiny Llama", "VB-LoRA all"] == ["23,904", "–"]
    assert "MT-Bench: the answers of 1 run are not rated yet; make judge rates them." in shown.notes


def test_mmlu_is_shown_where_a_run_has_it() -> None:
    made = [text_run("instruct", "vblora-all", mmlu_5=0.305, mt_bench=5.0)]
    shown = table_text.scores(table(made, "instruct"))
    assert shown.header[3:] == ["MT-Bench", "MMLU, 5-shot"]
    assert lines(shown)["tiny Llama", "VB-LoRA all"][2] == "30.5 (1)"


def test_both_papers_that_measured_a_row_stand_beside_it() -> None:
    shown = lines(table_text.scores(table([], "instruct", "paper")))
    assert shown["Llama 2 7B", "LoRA all", "published (kopiczko2024)"] == ["159.9 M", "5.19"]
    assert shown["Llama 2 7B", "LoRA all", "published (li2024)"] == ["159.9 M", "5.63"]
    assert shown["Llama 2 7B", "Not tuned", "published"] == ["–", "4.79"]
    assert len(shown) == 10 + 8
    made = [judged(text_run("instruct", "lora-all", **SEVEN), 5.5)]
    differences = lines(table_text.differences(table(made, "instruct", "paper")))
    assert differences["Llama 2 7B", "LoRA all", "published (kopiczko2024)"] == ["+0.31"]
    assert differences["Llama 2 7B", "LoRA all", "published (li2024)"] == ["-0.13"]


def test_table_4_compares_the_released_rule_with_the_published_numbers_too() -> None:
    made = [text_run("math", "vblora-all", 42, scale="paper", model="mistral_7b")]
    shown = table_text.scores(table(made, "math", "paper"))
    assert shown.header[4:] == [
        *("GSM8K", "MATH", "GSM8K, released rule", "MATH, released rule", "GSM8K, exact", "MATH, exact"),
    ]
    assert lines(shown)["Mistral 7B", "VB-LoRA all", "published"] == [
        *("0.65 M", "69.22", "17.90", "69.22", "17.90", "–", "–"),
    ]
    assert lines(table_text.differences(table(made, "math", "paper")))[
        "Mistral 7B", "VB-LoRA all", "published"
    ] == [
        *("-19.22", "-5.40", "-14.22", "+7.10", "–", "–"),
    ]
    notes = " ".join(shown.notes)
    assert "The published numbers were graded by the released rule" in notes
    assert "The published numbers" not in " ".join(table_text.scores(table([], "math")).notes)


@pytest.mark.parametrize(
    ("family", "compared"),
    [
        ("e2e", {"Full fine-tuning", "LoRA qv"}),
        ("instruct", {"Full fine-tuning", "LoRA all"}),
        ("math", {"Full fine-tuning", "LoRA all"}),
    ],
)
def test_rows_are_compared_with_full_and_with_the_tables_lora(family: str, compared: set[str]) -> None:
    rows = ("full-full", "lora-qv", "lora-all", "vblora-all")
    made = [text_run(family, row, mt_bench=5.0) for row in rows]
    shown = lines(table_text.differences(table(made, family)))
    assert {minus for _, row, minus in shown if row == "VB-LoRA all"} == compared


def test_intervals_need_three_runs() -> None:
    made = [text_run("e2e", row, seed) for row in ("full-full", "vblora-all") for seed in range(3)]
    shown = lines(table_text.differences(table(made, "e2e")))
    assert shown["tiny GPT-2", "VB-LoRA all", "Full fine-tuning"][1] == "+0.00 [+0.00, +0.00]"
    one = [run for run in made if run.identity.seed == 0]
    shown = lines(table_text.differences(table(one, "e2e")))
    assert shown["tiny GPT-2", "VB-LoRA all", "Full fine-tuning"][1] == "+0.00"


def test_best_of_a_models_rows_is_bold_whatever_its_targets() -> None:
    place = {"scale": "paper", "model": "gpt2_medium"}
    made = [text_run("e2e", "lora-qv", bleu=0.5, **place), text_run("e2e", "vblora-all", bleu=0.6, **place)]
    shown = table_text.scores(table(made, "e2e", "paper"))
    assert [len(block) for block in shown.blocks] == [8, 8]
    best = [{(row[1].text, row[2].text) for row in block if row[4].bold} for block in shown.blocks]
    assert best == [
        {("VeRA qv", "published"), ("VB-LoRA all", "measured")},
        {("VeRA qv", "published"), ("VB-LoRA all", "published")},  # both print 70.3
    ]


def test_published_numbers_stay_away_from_other_scales() -> None:
    for family, row in SCORED:
        shown = table([text_run(family, row)], family)
        assert not shown.has_published
        assert any("Not comparable" in note for note in table_text.scores(shown).notes)


@pytest.mark.parametrize(("family", "name"), [("e2e", "table2"), ("instruct", "table3"), ("math", "table4")])
def test_paper_scale_repeats_the_printed_table(family: str, name: str) -> None:
    shown = table([], family, "paper")
    for row in published.rows(name):
        key = RowKey(row.model, row.method, row.targets)
        assert row in shown.published(key)
        assert {column: shown.published_score(row, column) for column in row.scores} == row.scores
    notes = " ".join(table_text.scores(shown).notes)
    assert all(published.sources()[row.source] in notes for row in published.rows(name))


def test_csv_has_a_line_for_each_score_unrounded() -> None:
    made = [text_run("e2e", "vblora-all", seed, bleu=bleu) for seed, bleu in enumerate([0.1234567, 0.2])]
    rows = list(csv.DictReader(io.StringIO(table_text.data(table(made, "e2e")))))
    assert "epoch" not in rows[0] and "task" not in rows[0]
    mine = {row["score"]: row for row in rows if row["method"] == "vblora" and "scratch" not in row["model"]}
    assert list(mine) == ["bleu", "nist", "meteor", "rouge_l", "cider", "nist_perl"]
    assert float(mine["bleu"]["measured"]) == pytest.approx(16.172835)
    assert (mine["bleu"]["seeds"], mine["bleu"]["n"]) == ("0 1", "2")


def test_csv_names_the_paper_that_measured_a_number() -> None:
    rows = csv.DictReader(io.StringIO(table_text.data(table([], "instruct", "paper"))))
    lora = [row for row in rows if (row["model"], row["method"]) == ("llama2_7b", "lora")]
    assert [(row["published_source"], row["published"]) for row in lora] == [
        *(("kopiczko2024", "5.19"), ("li2024", "5.63")),
    ]


def test_families_of_one_scale_do_not_mix() -> None:
    made = [*whole_row("vblora-all", 0.8), text_run("math", "vblora-all"), failed("glue/rte/m/lora-qv/seed0")]
    made += [text_run("e2e", "vblora-all"), text_run("instruct", "vblora-all")]
    shown = table(made, "math")
    assert list(shown.cells.by_row) == [RowKey("tiny_llama", "vblora", "all")]
    assert not any("Left out" in note for note in table_text.scores(shown).notes)
    assert shown.cells.sample(RowKey("tiny_llama", "vblora", "all"), "gsm8k").values == [50.0]


def test_without_a_grid_the_table_shows_the_runs_that_there_are() -> None:
    made = [
        text_run("e2e", row, scale="local", model="mine", meteor=None) for row in ("vblora-all", "none-none")
    ]
    shown = table_text.scores(table(made, "e2e", "local"))
    assert [row for _, row in lines(shown)] == ["Not tuned", "VB-LoRA all"]
    assert "METEOR" in shown.header and shown.commands == []
    assert table_text.scores(table([], "e2e", "local")).header[3:] == []


def test_runs_with_other_ways_of_answering_share_no_cell() -> None:
    first, other = text_run("math", "vblora-all"), text_run("math", "vblora-all", 1)
    changed = RunRecord(**{**vars(other), "config": {**other.config, "generation": {"num_beams": 4}}})
    plain = RunRecord(**{**vars(first), "config": {**first.config, "generation": {"num_beams": 1}}})
    shown = table([plain, changed], "math")
    assert shown.cells.sample(RowKey("tiny_llama", "vblora", "all"), "math").scores.keys() == {1}
    assert "1 run unlike the others" in table_text.scores(shown).notes[-1]
