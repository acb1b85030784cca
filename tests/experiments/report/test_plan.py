"""Tests of experiments/report/plan.py, hours.py and disk.py."""

import pytest
from made_records import failed, record, whole_row

from experiments.records import Found, RunRecord
from experiments.report import disk, grid, plan
from experiments.report.grid import RowKey

PAPER = grid.load("paper")


def found(made: list[RunRecord]) -> Found:
    return Found(made, [])


def test_fresh_paper_grid_is_450_runs_of_about_a_thousand_hours() -> None:
    jobs = plan.jobs(found([]), PAPER)
    assert len(jobs) == 90
    assert sum(len(job.left) for job in jobs) == 450
    base, large = (8 + 27 / 60 + 80 / 60 + 5 + 50 / 60 + 1), (2 + 0.2 + 0.5 + 3 + 10 / 60 + 20 / 60)
    base_all, large_all = (
        (10 + 40 / 60 + 100 / 60 + 6.5 + 1 + 80 / 60),
        (3 + 20 / 60 + 0.75 + 4.5 + 0.25 + 0.5),
    )
    expected = 5 * (4 * base + 4 * base_all + 4 * large + 3 * large_all)
    assert sum(job.hours_left for job in jobs) == pytest.approx(expected)


def test_done_runs_cost_nothing_and_failed_ones_are_tried_again() -> None:
    made = whole_row("vblora-qv", 0.8, 4, scale="paper", model="roberta_base")
    made.append(failed("glue/rte/roberta_base/vblora-qv/seed4", "paper"))
    made.append(
        record("glue/cola/roberta_base/vblora-qv/seed4", scale="paper", status="cancelled", outcome=None)
    )
    jobs = {(job.row, job.task): job for job in plan.jobs(found(made), PAPER)}
    rte = jobs[RowKey("roberta_base", "vblora", "qv"), "rte"]
    assert (rte.done, rte.failed, rte.missing, rte.left) == ([0, 1, 2, 3], [4], [], [4])
    assert rte.hours_left == pytest.approx(50 / 60)
    assert jobs[RowKey("roberta_base", "vblora", "qv"), "cola"].missing == [4]


def test_plan_says_where_hours_come_from() -> None:
    shown = plan.plan(found([]), PAPER)
    sources = {(row[1].text, row[8].text) for block in shown.blocks for row in block}
    assert ("VB-LoRA qv", "Table 7") in sources
    assert ("LoRA qv", "Table 7, VB-LoRA qv") in sources
    assert ("Full fine-tuning", "Table 7, VB-LoRA all") in sources
    assert shown.notes[0].startswith("450 runs: 0 done, 0 failed (they are tried again), 450 missing.")


def test_other_scales_take_hours_from_finished_runs() -> None:
    tiny = grid.load("tiny")
    hours = {
        job.hours
        for job in plan.jobs(found(whole_row("vblora-qv", 0.8)), tiny)
        if job.row.model == "tiny_roberta"
    }
    assert hours == {0.01}
    assert {job.hours for job in plan.jobs(found([]), tiny)} == {None}
    assert "–" in {cell.text for block in plan.plan(found([]), tiny).blocks for row in block for cell in row}


def test_disk_adds_up() -> None:
    notes = " ".join(disk.notes(found([]), PAPER))
    weights = 4 * (124_647_170 + 355_361_794)
    checkpoints = 2 * 3 * 4 * 124_647_170
    assert f"= backbones {weights / 2**20:,.0f} MiB + checkpoints {checkpoints / 2**20:,.0f} MiB" in notes
    assert "450 records with answers 215 MiB" in notes


def test_disk_of_other_scales_is_as_measured() -> None:
    made = [record(circumstances={"model_bytes": 3 * 2**20, "checkpoint_bytes": 2**20})]
    assert "backbones 3 MiB + checkpoints 2 MiB" in disk.notes(found(made), grid.load("tiny"))[0]
    assert "known after a first run" in disk.notes(found([]), grid.load("tiny"))[0]


def test_trained_numbers_hold_adapter_and_head() -> None:
    head = 768 * 768 + 768 + 768 * 2 + 2
    assert head == 592_130
    assert disk.trained_parameters(RowKey("roberta_base", "lora", "qv")) == 294_912 + head
    assert disk.trained_parameters(RowKey("roberta_base", "vblora", "qv")) == 90 * (256 + 576) + head
    assert disk.trained_parameters(RowKey("roberta_base", "full", "full")) == 124_647_170


def text_plan(family: str, *made: RunRecord, scale: str = "paper") -> dict[str, list[str]]:
    """The lines of a plan by model and row."""
    shown = plan.plan(found([*made]), grid.load(scale, family))
    lines = [[cell.text for cell in row] for block in shown.blocks for row in block]
    return {f"{line[0]}, {line[1]}": line[2:] for line in lines}


def test_times_of_e2e_are_vbloras_whatever_the_row() -> None:
    lines = text_plan("e2e")
    assert lines["GPT-2 large, VB-LoRA all"][4:] == ["3.00", "9.00", "Table 8"]
    assert lines["GPT-2 medium, LoRA qv"][4:] == ["3.00", "9.00", "Table 8, VB-LoRA all"]
    assert lines["GPT-2 medium, Full fine-tuning"][4:] == ["3.00", "9.00", "Table 8, VB-LoRA all"]


def test_times_of_instruction_tuning_are_by_method() -> None:
    lines = text_plan("instruct")
    assert lines["Llama 2 7B, LoRA all"][4:] == ["2.00", "2.00", "Table 9"]
    assert lines["Llama 2 13B, VB-LoRA all"][4:] == ["3.00", "3.00", "Table 9"]
    assert lines["Llama 2 13B, VeRA all"][4:] == ["3.00", "3.00", "Table 9, VB-LoRA"]
    assert lines["Llama 2 7B, Not tuned"][4:] == ["–", "–", ""]


def test_math_has_no_published_time() -> None:
    assert {tuple(line[4:]) for line in text_plan("math").values()} == {("–", "–", "")}
    notes = plan.plan(found([]), grid.load("paper", "math")).notes
    assert "GPU hours: the paper prints none for this table." in notes


def test_plan_of_text_is_named() -> None:
    shown = plan.plan(found([]), grid.load("tiny", "math"))
    assert shown.title == "Plan of Table 4 (mathematical reasoning), scale tiny"


def test_disk_of_four_bit_models_is_that_of_their_downloads() -> None:
    first, formula = disk.notes(found([]), grid.load("paper", "instruct"))
    weights = 2 * (6_738_415_616 + 13_015_864_320)
    assert f"backbones {weights / 2**20:,.0f} MiB" in first
    assert f"checkpoints {2 * 3 * 4 * 250_347_520 / 2**20:,.0f} MiB" in first  # LoRA of 13B
    assert "Backbones: 2 bytes a parameter as downloaded (4 bits are made of them while loading)" in formula
    assert "4 bits" not in disk.notes(found([]), grid.load("paper", "math"))[1]


def test_language_models_train_no_head_and_untuned_ones_nothing() -> None:
    assert disk.trained_parameters(RowKey("llama2_7b", "none", "none")) == 0
    assert disk.trained_parameters(RowKey("roberta_base", "head", "none")) == 592_130
    assert disk.trained_parameters(RowKey("mistral_7b", "lora_xs", "all")) == 917_504
    assert disk.trained_parameters(RowKey("gpt2_medium", "lora", "qv")) == 393_216
