"""Tests of experiments/report/paper_table.py, table_text.py and table_notes.py, on Table 1."""

import csv
import io
import math
import statistics
from pathlib import Path

from made_records import TASKS, cell, failed, record, whole_row

from experiments.records import Found, Problem, RunRecord
from experiments.report import published, table_text, tables
from experiments.report.grid import RowKey
from experiments.report.paper_table import AVERAGE, PaperTable
from experiments.report.rendering import markdown

from .shown import lines

PAPER = {"scale": "paper", "model": "roberta_base"}
LORA = RowKey("tiny_roberta", "lora", "qv")
VB = RowKey("roberta_base", "vblora", "qv")


def table(made: list[RunRecord], scale: str = "tiny", **options: str) -> PaperTable:
    return PaperTable(Found(made, []), scale, **options)


def test_empty_table_is_all_dashes_with_commands() -> None:
    shown = table_text.scores(table([]))
    measured = lines(shown)
    assert len(measured) == 10
    assert {text for cells in measured.values() for text in cells} == {"–"}
    assert len(shown.commands) == 10
    assert shown.commands[4][1] == (
        "python -m experiments.run -m scale=tiny model=tiny_roberta row=vblora_qv "
        "task=sst2,mrpc,cola,qnli,rte,stsb seed=0"
    )


def test_cell_is_median_spread_and_n() -> None:
    made = cell("vblora-qv", "cola", [0.6, 0.61, 0.7], **PAPER)
    cells = lines(table_text.scores(table(made, "paper")))["RoBERTa-base", "VB-LoRA qv", "measured"]
    spread = statistics.stdev([60, 61, 70])
    assert cells[:4] == ["23,904", "–", "–", f"61.0 ± {spread:.1f} (3)"]
    assert cells[-1] == "–"


def test_one_run_has_no_spread() -> None:
    cells = lines(table_text.scores(table(cell("vblora-qv", "cola", [0.5]))))
    assert cells["tiny RoBERTa", "VB-LoRA qv"][3] == "50.0 (1)"


def test_paper_scale_repeats_the_printed_table() -> None:
    shown = lines(table_text.scores(table([], "paper")))
    assert len(shown) == 30
    assert shown["RoBERTa-large", "VB-LoRA all", "published"] == [
        *(
            "0.033 M",
            "96.3 ± 0.2",
            "91.9 ± 0.9",
            "69.3 ± 1.5",
            "94.4 ± 0.2",
            "87.4 ± 0.7",
            "91.8 ± 0.2",
            "88.5",
        )
    ]


def test_published_numbers_stay_away_from_other_scales() -> None:
    made = [*whole_row("vblora-qv", 0.8, model="roberta_base"), *whole_row("lora-qv", 0.8)]
    text = markdown(table_text.scores(table(made))) + markdown(table_text.differences(table(made)))
    assert "published |" not in text and "85.4" not in text
    assert "scale tiny" in text and "Not comparable" in text


def test_difference_to_published_with_interval() -> None:
    made = cell("vblora-qv", "cola", [0.62, 0.63, 0.64, 0.65, 0.66], **PAPER)
    cells = lines(table_text.differences(table(made, "paper")))["RoBERTa-base", "VB-LoRA qv", "published"]
    assert cells[2] == "+0.7 [-1.3, +2.7]"
    assert cells[0] == cells[-1] == "–"


def test_difference_of_fewer_than_three_runs_has_no_interval() -> None:
    made = cell("vblora-qv", "cola", [0.643, 0.643], **PAPER)
    cells = lines(table_text.differences(table(made, "paper")))["RoBERTa-base", "VB-LoRA qv", "published"]
    assert cells[2] == "+1.0"


def test_differences_elsewhere_are_to_full_and_lora() -> None:
    made = [
        *cell("vblora-qv", "cola", [0.5] * 3),
        *cell("lora-qv", "cola", [0.4] * 3),
        *cell("full-full", "cola", [0.75]),
    ]
    shown = lines(table_text.differences(table(made)))
    name = "tiny RoBERTa"
    assert shown[name, "VB-LoRA qv", "LoRA qv"][2] == "+10.0 [+10.0, +10.0]"
    assert shown[name, "VB-LoRA qv", "Full fine-tuning"][2] == "-25.0"
    assert (name, "LoRA qv", "LoRA qv") not in shown


def test_rows_without_a_run_have_no_differences() -> None:
    made = [*cell("vblora-qv", "cola", [0.5]), *cell("lora-qv", "cola", [0.5002])]
    shown = lines(table_text.differences(table(made)))
    assert set(shown) == {("tiny RoBERTa", "VB-LoRA qv", "LoRA qv")}
    assert shown["tiny RoBERTa", "VB-LoRA qv", "LoRA qv"][2] == "+0.0"
    assert len(tables.of_family(table([])).parts) == 1


def test_best_of_each_group_is_bold() -> None:
    made = [
        *whole_row("vblora-qv", 0.8, **PAPER),
        *whole_row("lora-qv", 0.7, **PAPER),
        *whole_row("vblora-all", 0.6, **PAPER),
    ]
    shown = table_text.scores(table(made, "paper"))
    bold = {(row[1].text, row[2].text) for block in shown.blocks for row in block if row[-1].bold}
    assert ("VB-LoRA qv", "measured") in bold
    assert ("LoRA qv", "measured") not in bold and ("VB-LoRA all", "measured") not in bold
    assert ("LoRA qv", "published") in bold


def test_last_epoch_and_mean_are_said() -> None:
    made = cell("vblora-qv", "cola", [0.5, 0.6, 0.9])
    shown = table_text.scores(table(made, epoch="last", center="mean"))
    assert "mean of the seeds" in shown.title
    assert any("last epoch" in note for note in shown.notes)
    assert lines(shown)["tiny RoBERTa", "VB-LoRA qv"][3].startswith("33.3 ±")


def test_missing_seeds_are_asked_for_by_task() -> None:
    made = [
        each
        for each in whole_row("vblora-qv", 0.8, **PAPER)
        if each.run_id[5:] != "rte/roberta_base/vblora-qv/seed2"
    ]
    commands = [
        command
        for what, command in table(made, "paper").missing()
        if "row=vblora_qv" in command and "base" in command
    ]
    assert len(commands) == 1
    assert commands[0].endswith("task=rte seed=2")


def test_failed_runs_and_foreign_files_are_counted() -> None:
    bad = [failed(f"glue/rte/tiny_roberta/vblora-qv/seed{seed}", message="a|b\n# <x>") for seed in range(30)]
    found = Found(bad, [Problem(path=Path("results/x.json"), message="no run record")])
    shown = table_text.scores(PaperTable(found, "tiny"))
    left_out = "Left out: 30 failed runs, 1 file that is no record; make status lists them."
    assert shown.notes[-1] == left_out and left_out in shown.brief
    rows = [line for line in markdown(shown).splitlines() if line.startswith("|")]
    assert len(rows) == 12


def test_released_settings_are_compared_with_the_printed_row_and_ablations_are_not() -> None:
    made = [
        *cell("vblora-qv-released", "rte", [0.8] * 3, **PAPER),
        *cell("vblora-qv-k4", "rte", [0.8] * 3, **PAPER),
    ]
    made_table = table(made, "paper")
    (printed,) = made_table.published(VB._replace(variant="released"))
    assert made_table.published_score(printed, "rte") == 82.3
    assert made_table.published(VB._replace(variant="k4")) == []
    assert VB in made_table.rows


def test_mixed_counts_show_as_a_range() -> None:
    made = cell("vblora-qv", "cola", [0.5, 0.5])
    made[1] = record(made[1].run_id, outcome={**(made[1].outcome or {}), "stored_params": 7})
    assert lines(table_text.scores(table(made)))["tiny RoBERTa", "VB-LoRA qv"][0] == "7 to 23,904"


def test_csv_has_every_number_unrounded() -> None:
    made = whole_row("vblora-qv", 0.8, **PAPER)
    rows = list(csv.DictReader(io.StringIO(table_text.data(table(made, "paper")))))
    assert len(rows) == 15 * 7
    mine = {row["task"]: row for row in rows if RowKey(row["model"], row["method"], row["targets"]) == VB}
    for task in TASKS:
        scores = [
            100 * (each.outcome or {})["scores"][(each.outcome or {})["metric"]]
            for each in made
            if f"/{task}/" in each.run_id
        ]
        assert float(mine[task]["measured"]) == statistics.median(scores)
        assert mine[task]["n"] == "5" and mine[task]["seeds"] == "0 1 2 3 4"
        difference = float(mine[task]["measured"]) - float(mine[task]["published"])
        assert math.isclose(float(mine[task]["difference"]), difference, abs_tol=1e-9)
        assert float(mine[task]["interval_low"]) <= difference <= float(mine[task]["interval_high"])
    assert float(mine[AVERAGE]["published"]) == 85.4
    assert mine["cola"]["published_source"] == "li2024"


def test_every_printed_row_has_a_source_below_the_table() -> None:
    notes = " ".join(table_text.scores(table([], "paper")).notes)
    assert all(published.sources()[row.source] in notes for row in published.rows("table1"))


def test_bold_is_for_rows_with_equal_seeds_and_unchanged_settings() -> None:
    rows = [*cell("lora-qv", "rte", [0.7] * 3), *cell("vera-qv", "rte", [0.6] * 3)]
    assert table(rows).best["rte"] == {LORA}
    assert table([*rows, *cell("tied_lora-qv", "rte", [0.9])]).best["rte"] == set()
    assert table([*rows, *cell("lora-qv-e40", "rte", [0.9] * 3)]).best["rte"] == {LORA}
    assert table([*rows, *cell("vblora-qv-released", "rte", [0.9] * 3)]).best["rte"] == {
        RowKey("tiny_roberta", "vblora", "qv", "released")
    }


def test_compared_rows_have_the_same_change_or_none() -> None:
    made = [*cell("vblora-qv", "cola", [0.5]), *cell("lora-qv-e40", "cola", [0.4])]
    vblora = RowKey("tiny_roberta", "vblora", "qv")
    assert table(made).compared(vblora) == {}
    made += [*cell("vblora-qv-e40", "cola", [0.6]), *cell("vblora-qv-k4", "cola", [0.6])]
    made += cell("lora-qv", "cola", [0.3])
    shown = table(made)
    assert shown.compared(vblora) == {"LoRA qv": LORA}
    assert shown.compared(vblora._replace(variant="k4")) == {"LoRA qv": LORA}
    changed = LORA._replace(variant="e40")
    assert shown.compared(vblora._replace(variant="e40")) == {"LoRA qv (e40)": changed}
    assert shown.compared(changed) == {"LoRA qv": LORA}
    rows = csv.DictReader(io.StringIO(table_text.data(shown)))
    named = {(row["method"], row["variant"]): row["compared_with"] for row in rows}
    assert named["vblora", "e40"] == "LoRA qv (e40)"
