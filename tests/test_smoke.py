"""Two steps of every configured method, on a tiny random model, through the whole pipeline."""

from pathlib import Path

import pytest
from small_world import make, overrides

from experiments import claims, pipeline, records
from experiments.composing import load
from experiments.grading import answers

ROWS = ["full-full", "head-none", "lora-qv", "vera-qv", "tied_lora-qv", "vblora-qv", "vera-all",
        "tied_lora-all", "vblora-all", "lora_xs-qv", "unilora-qv"]  # fmt: skip
TWO_STEPS = ["optim.epochs=1", "optim.batch_size=20"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("row", ROWS)
def test_two_steps_give_a_whole_record(row: str, world: Path, tmp_path: Path) -> None:
    cfg = load(overrides(world, tmp_path, *row.split("-"), *TWO_STEPS))
    record = pipeline.run(cfg)
    assert record.status == "success", record.error
    assert record.outcome is not None and record.outcome["num_steps"] == 2
    assert records.read(claims.record_path(cfg)) == record
    assert answers.grade(answers.read(claims.answers_path(cfg))) == record.outcome["scores"]
    assert str(tmp_path) not in claims.record_path(cfg).read_text(encoding="utf-8")


def test_any_method_of_peft_runs_from_yaml(world: Path, tmp_path: Path) -> None:
    """The method is named on the command line; no code and no table knows it."""
    more = ["method=peft", "method.name=ia3", "+method.options={peft_type: IA3, feedforward_modules: []}",
            "optim.adapter_lr=1e-2", "optim.head_lr=1e-2"]  # fmt: skip
    plain = overrides(world, tmp_path, "lora", "qv", *TWO_STEPS)
    record = pipeline.run(load([item for item in plain if not item.startswith("row=")] + more))
    assert record.run_id == "glue/cola/minilm/ia3-qv-small/seed0"
    assert record.status == "success", record.error
