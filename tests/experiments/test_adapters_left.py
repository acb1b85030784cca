import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file
from small_world import make, overrides

import vblora
from experiments import claims, models, pipeline, tasks, training
from experiments.claims import ClaimError
from experiments.composing import load
from experiments.config import Config, ConfigError
from experiments.grading import answers
from experiments.identity import run_hash
from experiments.tasks.glue import GlueTask
from vblora.banks import read_bank


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


def small(world: Path, out: Path, *more: str, method: str = "vblora") -> Config:
    targets = "full" if method == "full" else "qv"
    return load(overrides(world, out, method, targets, f"paths.adapters={out}/adapters", *more))


def test_adapter_left_by_a_run_is_its_best_epochs_and_gives_its_very_answers(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = small(world, tmp_path, "optim.epochs=4", "optim.head_lr=0.3")  # fast, so that each epoch's differ
    falling = iter((0.4, 0.3, 0.2, 0.1))
    with monkeypatch.context() as patch:
        patch.setattr(GlueTask, "score", lambda task, *_: {task.metric: next(falling)})
        record = pipeline.run(cfg)
    assert record.outcome is not None and record.outcome["best_epoch"] == 1
    task = tasks.build(cfg)
    backbone, data = models.load(cfg.model, task, tmp_path), task.data()
    vblora.load(backbone.model, claims.adapter_dir(cfg))
    scores, rows = training.evaluate(backbone, task, data.splits, cfg.optim, cfg.data)
    found = answers.read(claims.answers_path(cfg))
    assert rows == list(found.rows) and scores == answers.grade(found)


def test_other_methods_leave_what_their_library_reads(world: Path, tmp_path: Path) -> None:
    full, lora = (small(world, tmp_path, method=name) for name in ("full", "lora"))
    for cfg in (full, lora):
        assert pipeline.run(cfg).status == "success"
    backbone = models.load(full.model, tasks.build(full), tmp_path)
    kept = load_file(claims.adapter_dir(full) / "trained.safetensors")
    assert set(kept) == dict(backbone.model.named_parameters()).keys()
    folder = claims.adapter_dir(lora)
    wrapped = peft.PeftModel.from_pretrained(backbone.model, str(folder))
    assert any(bool(p.any()) for name, p in wrapped.named_parameters() if "lora_B" in name)
    assert set(load_file(folder / "head.safetensors")) <= dict(backbone.model.named_parameters()).keys()


def test_finished_run_without_its_adapter_is_refused_until_forced(world: Path, tmp_path: Path) -> None:
    pipeline.run(small(world, tmp_path, "paths.adapters=null"))
    with pytest.raises(ClaimError, match=r"left no .*seed0; repeat it with force=true"):
        pipeline.run(small(world, tmp_path))
    pipeline.run(small(world, tmp_path, "force=true"))
    assert pipeline.run(small(world, tmp_path)).status == "success"
    left = claims.adapter_dir(small(world, tmp_path)) / "run.json"
    left.write_text(
        left.read_text(encoding="utf-8").replace('"hash": "', '"hash": "0'), encoding="utf-8"
    )  # another run's
    with pytest.raises(ClaimError, match="left no"):
        pipeline.run(small(world, tmp_path))


def banked(folder: Path) -> list[str]:
    return [f"method.options.bank={folder}", "method.options.train_bank=false", "variant=paper"]


def test_run_on_a_shared_bank_is_known_by_the_banks_values(world: Path, tmp_path: Path) -> None:
    donor = small(world, tmp_path)
    pipeline.run(donor)
    folder = claims.adapter_dir(donor)
    moved = folder.rename(tmp_path / "moved")
    further = [small(world, tmp_path, "task=stsb", *banked(moved))]
    (tmp_path / "again").symlink_to(moved)
    again = tmp_path / "again"
    further.append(small(world, tmp_path, "task=stsb", *banked(again)))
    assert further[0].variant == further[1].variant != "paper"
    assert run_hash(further[0]) == run_hash(further[1])
    record = pipeline.run(further[0])
    assert record.error is None, record.error
    assert record.status == "success" and str(tmp_path) not in json.dumps(record.config)
    model = models.load(donor.model, tasks.build(further[0]), tmp_path).model
    with pytest.raises(vblora.AdapterFileError, match="give bank=path"):
        vblora.load(model, claims.adapter_dir(further[0]))
    own = vblora.load(model, claims.adapter_dir(further[0]), bank=moved)
    assert torch.equal(own.bank.vectors, read_bank(moved))
    whole = pipeline.run(small(world, tmp_path, "force=true")).outcome
    assert record.outcome["stored_params"] == whole["stored_params"] - 6 * 8  # without the bank


def test_unreadable_bank_is_a_problem_of_the_configuration(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"method.options: .*nowhere: no such file"):
        small(world, tmp_path, "method.options.bank=nowhere", "method.options.train_bank=false")
    with pytest.raises(ConfigError, match="train_bank=False needs a bank"):
        small(world, tmp_path, "method.options.train_bank=false")
