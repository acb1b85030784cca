"""Training itself; `test_resume.py` holds what concerns kills."""

from pathlib import Path

import killing
import pytest
import torch
import training_world as world
from torch import nn

from experiments import training
from experiments.batches import collate, epoch_order
from experiments.checkpoints import CheckpointWarning
from experiments.tasks.base import Scale
from experiments.trainer import GroupTrainer, TrainingError
from experiments.training import check_groups


def test_equal_runs_are_equal_and_seeds_differ(tmp_path: Path) -> None:
    first, again, other = (
        world.outcome(world.run(tmp_path / name, "stsb", seed=seed))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again
    assert first != other


def test_a_run_learns_and_keeps_its_best_epoch(tmp_path: Path) -> None:
    result = world.run(tmp_path, lr=1e-2, num_train=400, epochs=6)
    scores = [entry["scores"]["matthews"] for entry in result.history]
    assert [entry["epoch"] for entry in result.history] == [1, 2, 3, 4, 5, 6]
    assert [entry["step"] for entry in result.history] == [*range(50, 301, 50)] and result.num_steps == 300
    assert max(scores) > 0.2  # of five seeds the least was 0.52
    assert result.scores == {"matthews": max(scores)}
    assert result.best_epoch == 1 + scores.index(max(scores))
    assert result.last_scores == {"matthews": scores[-1]}


def test_answers_are_the_best_epochs_in_the_order_of_the_examples(tmp_path: Path) -> None:
    result = world.run(tmp_path, "stsb", epochs=2)
    examples = world.splits("stsb")["validation"]
    assert [row["index"] for row in result.answers] == list(range(20))
    assert [row["label"] for row in result.answers] == [example.label for example in examples]
    task = world.GlueTask("stsb", world.data_config())
    predictions, labels = ([row[key] for row in result.answers] for key in ("prediction", "label"))
    assert task.score(predictions, labels) == result.scores


# Fails if the evaluation's order is not undone.
def test_each_answer_holds_the_outputs_for_its_own_example(tmp_path: Path) -> None:
    base, task, splits = world.backbone(), world.GlueTask("cola", world.data_config()), world.splits()
    settings = world.groups(base.model), world.optim_config(epochs=1), world.data_config()
    result = world.train(base, task, splits, *settings, seed=0, checkpoint_dir=tmp_path)
    base.model.eval()
    for example, row in zip(splits["validation"], result.answers, strict=True):
        with torch.no_grad():
            logits = base.model(**base.tokenizer(example.text, return_tensors="pt")).logits[0]
        assert row["scores"] == pytest.approx(logits.tolist(), abs=1e-5)


@pytest.mark.parametrize("save_seconds", [0.0, 1e9])
def test_each_epoch_has_its_own_order(
    save_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def recording(items: list) -> dict[str, torch.Tensor]:
        seen.extend(row for encoded, row in items if len(encoded) == 50)
        return collate(items)

    monkeypatch.setattr(training, "collate", recording)
    world.run(tmp_path, epochs=3, save_seconds=save_seconds)
    task, examples = world.GlueTask("cola", world.data_config()), world.splits()["train"]
    lengths = task.encode(world.tokenizer(), examples, Scale()).lengths
    assert seen == [row for epoch in range(3) for row in epoch_order(lengths, 8, 0, epoch, group=True)]


def test_of_equal_epochs_the_first_is_the_best(tmp_path: Path) -> None:
    assert world.run(tmp_path, lr=0.0).best_epoch == 1


def test_evaluation_can_be_rarer_and_the_last_epoch_is_always_evaluated(tmp_path: Path) -> None:
    result = world.run(tmp_path, epochs=5, eval_every_epochs=2)
    assert [entry["epoch"] for entry in result.history] == [2, 4, 5]


# Fails if the loss is a mean over the micro-batch.
@pytest.mark.parametrize("task", ["cola", "stsb"])
def test_accumulation_changes_no_gradient(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: dict[str, list[float]] = {}

    def recording(name: str):
        def clip(self: GroupTrainer, model: nn.Module) -> torch.Tensor:
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            norms.setdefault(name, []).append(float(norm))
            return norm

        return clip

    for name, micro in (("whole", None), ("quarters", 2)):
        monkeypatch.setattr(GroupTrainer, "_clip_grad_norm", recording(name))
        monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: x)
        monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", without_dropout)
        world.run(tmp_path / name, task, micro_batch_size=micro, num_train=52)
    assert norms["quarters"] == pytest.approx(norms["whole"], rel=1e-3)


ATTENTION = nn.functional.scaled_dot_product_attention


def without_dropout(*arguments: torch.Tensor, dropout_p: float = 0.0, **keywords: object) -> torch.Tensor:
    return ATTENTION(*arguments, **keywords)


def test_one_schedule_scales_every_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[list[float]] = []
    step = torch.optim.AdamW.step

    def recording(self: torch.optim.AdamW, closure: object = None) -> object:
        rates.append([group["lr"] for group in self.param_groups])
        return step(self, closure)

    groups = world.groups

    def two_rates(model: nn.Module, lr: float) -> list[dict]:
        head, layer = groups(model, lr)
        return [head, {**layer, "lr": lr / 10}]

    monkeypatch.setattr(torch.optim.AdamW, "step", recording)
    monkeypatch.setattr(world, "groups", two_rates)
    world.run(tmp_path, lr=1e-3)
    steps, warm = 21, 3  # ceil(0.1 * 21)
    shape = [min(i / warm, (steps - i) / (steps - warm)) for i in range(steps)]
    assert [first for first, _ in rates] == pytest.approx([1e-3 * s for s in shape])
    assert [second for _, second in rates] == pytest.approx([1e-4 * s for s in shape])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda groups: groups[:1], "16 in no group"),
        (lambda groups: [*groups, groups[0]], "4 in several places"),
        (
            lambda groups: [{**groups[0], "params": [nn.Parameter(torch.zeros(1))]}, groups[1]],
            "not trainable",
        ),
        (lambda groups: [], "in no group"),
    ],
)
def test_groups_that_do_not_fit_are_refused(change, message: str) -> None:
    model = world.backbone().model
    with pytest.raises(TrainingError, match=message):
        check_groups(model, change(world.groups(model)))


def test_a_model_without_trainable_parameters_is_refused() -> None:
    with pytest.raises(TrainingError, match="nothing trains"):
        check_groups(world.backbone().model.requires_grad_(False), [])


def test_batches_that_do_not_divide_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no multiple of micro_batch_size 3"):
        world.run(tmp_path, micro_batch_size=3)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step \d+: the loss is (nan|inf).*head 1e\+30, layer 1e\+30"):
        world.run(tmp_path, "stsb", lr=1e30, max_grad_norm=None)


def test_an_output_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="an output in evaluation is nan"):
        world.run(tmp_path, "stsb", lr=1e30, max_grad_norm=None, epochs=1, num_train=8, warmup_ratio=0.0)


def test_a_checkpoint_holds_trained_state_only(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    result = world.run(tmp_path)
    (checkpoint,) = tmp_path.glob("checkpoint-*")
    saved = load_file(checkpoint / "trained.safetensors")
    assert all(name.startswith(("classifier.", "roberta.encoder.layer.1.")) for name in saved)
    assert len(saved) == 20
    assert result.checkpoint_bytes == sum(file.stat().st_size for file in checkpoint.iterdir())
    assert "model.safetensors" not in {file.name for file in checkpoint.iterdir()}


def test_damaged_checkpoint_costs_time_not_the_result(tmp_path: Path) -> None:
    expected = world.outcome(world.run(tmp_path / "whole", "stsb"))
    world.run(tmp_path / "run", "stsb", save_seconds=0.0)
    (tmp_path / "run" / "checkpoint-21" / "optimizer.pt").write_bytes(b"")
    with pytest.warns(CheckpointWarning, match=r"checkpoint-21 is not used: optimizer\.pt"):
        result = world.run(tmp_path / "run", "stsb", save_seconds=0.0)
    assert result.num_resumes == 1
    assert world.outcome(result) == expected


def test_checkpoint_of_another_seed_is_not_used(tmp_path: Path) -> None:
    world.run(tmp_path, "stsb", seed=1)
    with pytest.warns(CheckpointWarning, match="other settings"):
        result = world.run(tmp_path, "stsb", seed=0)
    assert result.num_resumes == 0


@pytest.mark.parametrize("limit", [100, 20_000])
def test_a_full_disk_costs_the_checkpoints_not_the_run(limit: int, tmp_path: Path) -> None:
    # The first limit stops trained.safetensors, the second the optimiser's state.
    history, num_warnings = killing.on_a_full_disk(tmp_path / "run", limit)
    assert history == world.run(tmp_path / "whole", "stsb").history
    assert num_warnings == 21
    assert list((tmp_path / "run").iterdir()) == []


# Fails if `precision` is not handed to the Trainer, or if the evaluation runs outside autocast.
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_that_of_products_and_weights_stay_float32(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    products: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    plain = nn.Linear.forward

    def recorded(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        assert layer.weight.dtype is torch.float32
        output = plain(layer, x)
        products[layer.training].add(output.dtype)
        return output

    monkeypatch.setattr(nn.Linear, "forward", recorded)
    result = world.run(tmp_path, lr=1e-2, num_train=400, epochs=6, precision=precision)
    assert products == dict.fromkeys((True, False), {getattr(torch, precision)})
    assert result.scores["matthews"] > 0.2  # of five seeds the least was 0.47
