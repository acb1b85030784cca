"""Footprints against a plain recount, step by step, with torch.topk of the logits.

Each of these made tests here fail: counting the first step of a period in the one before; A and B swapped.
"""

import dataclasses
from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import vblora
from vblora import footprint_file
from vblora.footprint import Footprint, Recorder

STEPS = 7


def attached(selection: str = "topk", topk: int = 2) -> tuple[torch.nn.Module, vblora.VBLoRA]:
    torch.manual_seed(1)
    model = tiny_models.roberta()
    config = vblora.VBLoRAConfig(
        targets=["query", "intermediate.dense"],
        rank=2,
        num_vectors=12,
        vector_length=16,
        topk=topk,
        selection=selection,
    )
    return model, vblora.attach(model, config)


def step_loss(model: torch.nn.Module) -> Tensor:
    ids = torch.randint(3, 50, (4, 9), generator=torch.Generator().manual_seed(3))
    return model(input_ids=ids, labels=torch.tensor([0, 1, 0, 1])).loss


def optimizer_of(adapter: vblora.VBLoRA) -> torch.optim.Optimizer:
    return torch.optim.Adam(adapter.param_groups(bank_lr=0.1, logits_lr=0.05))


def trained(
    recorder: Recorder,
    model: torch.nn.Module,
    steps: range,
    logits: list[Tensor],
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Train with large rates, and keep the logits that each step composed with."""
    model.train()
    optimizer = optimizer or optimizer_of(recorder.adapter)
    with recorder:
        for step in steps:
            recorder.begin(step)
            logits.append(recorder.adapter.bank.logits.detach().clone())
            step_loss(model).backward()
            optimizer.step()
            optimizer.zero_grad()


def recount(logits: list[Tensor], watched: Tensor, topk: int) -> Tensor:
    found = torch.zeros(len(watched), logits[0].shape[1], dtype=torch.int64)
    for values in logits:
        for place, row in enumerate(watched.tolist()):
            found[place, values[row].topk(topk).indices] += 1
    return found


@pytest.mark.parametrize("topk", [1, 2, 3])
def test_counts_are_those_of_every_step_and_period(topk: int) -> None:
    model, adapter = attached(topk=topk)
    recorder, logits = Recorder(adapter, STEPS, num_periods=3, num_watched=5), []
    trained(recorder, model, range(STEPS), logits)
    found = recorder.footprint()
    assert len(found.watched) == 5 and found.watched.diff().gt(0).all()
    assert found.selected().equal(recount(logits, found.watched, topk))
    periods = [step * 3 // STEPS for step in range(STEPS)]
    for period in range(3):
        own = [values for values, at in zip(logits, periods, strict=True) if at == period]
        assert found.selected(period, period).equal(recount(own, found.watched, topk))
    if topk > 1:
        assert (found.selected() > 0).sum() > 5 * topk, "the selections must move for this to test anything"


def test_first_last_and_weights_are_those_of_the_logits() -> None:
    model, adapter = attached()
    start = adapter.bank.logits.detach().clone()
    recorder = Recorder(adapter, STEPS)
    trained(recorder, model, range(STEPS), [])
    found, end = recorder.footprint(), adapter.bank.logits.detach()
    assert found.first.equal(start.topk(2).indices.int())
    assert found.last.equal(end.topk(2).indices.int())
    assert torch.allclose(found.weights, end.topk(2).values.softmax(1))
    assert not found.first.equal(found.last)
    assert torch.allclose(found.subvectors(), adapter.eval().bank(), atol=1e-7)
    sums = torch.zeros(12)
    for row in range(len(found.last)):
        for vector, weight in zip(found.last[row].tolist(), found.weights[row].tolist(), strict=True):
            sums[vector] += weight
    assert torch.allclose(found.weight_sums(), sums)
    assert found.usage().sum() == 2 * len(found.last)


def test_each_row_names_its_site_and_side() -> None:
    _, adapter = attached()
    found = Recorder(adapter, STEPS).footprint()
    for number, name in enumerate(found.sites):
        for side, logits in enumerate(adapter.site_logits(name)):
            rows = adapter.bank.logits[(found.site == number) & (found.side == side)]
            assert rows.equal(logits.flatten(0, 1))


def test_recording_changes_nothing() -> None:
    ends = []
    for watching in (True, False):
        model, adapter = attached(selection="noisy_topk")
        model.train()
        optimizer = torch.optim.AdamW(adapter.param_groups())
        torch.manual_seed(5)
        recorder = Recorder(adapter, STEPS)
        for _ in range(STEPS):
            if watching:
                with recorder:
                    step_loss(model).backward()
            else:
                step_loss(model).backward()
            optimizer.step()
        ends.append(adapter.bank.logits.detach().clone())
    assert ends[0].equal(ends[1])


def test_noise_is_seen() -> None:
    """Without a step of the optimiser only the noise moves a selection."""
    model, adapter = attached(selection="noisy_topk")
    model.train()
    recorder = Recorder(adapter, 20)
    with recorder:
        for step in range(20):
            recorder.begin(step)
            step_loss(model)
    assert (recorder.footprint().selected() > 0).sum() > 4 * 2 * len(recorder.watched)


def test_evaluation_is_not_counted() -> None:
    model, adapter = attached()
    recorder = Recorder(adapter, STEPS)
    with recorder, torch.no_grad():
        step_loss(model.eval())
        assert recorder.footprint().selected().sum() == 0
        step_loss(model.train())
    assert recorder.footprint().selected().sum() == 2 * len(recorder.watched)


@pytest.mark.parametrize("at", [1, 3, 6])
def test_recording_goes_on_from_its_state(at: int) -> None:
    model, adapter = attached()
    whole = Recorder(adapter, STEPS, num_periods=3)
    trained(whole, model, range(STEPS), [])
    model, adapter = attached()
    first, optimizer = Recorder(adapter, STEPS, num_periods=3), optimizer_of(adapter)
    trained(first, model, range(at), [], optimizer)
    second = Recorder(adapter, STEPS, num_periods=3)
    second.restore(first.state())
    trained(second, model, range(at, STEPS), [], optimizer)
    assert same(whole.footprint(), second.footprint())


def same(one: Footprint, other: Footprint) -> bool:
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(Footprint)]
    return all(a.equal(b) if isinstance(a, Tensor) else a == b for a, b in pairs)


def test_topk_file_has_no_footprint(tmp_path: Path) -> None:
    model, _ = attached()
    vblora.save(model, tmp_path / "a", kind="topk")
    vblora.detach(model)
    adapter = vblora.load(model, tmp_path / "a")
    with pytest.raises(vblora.AdapterStateError, match="fixed"):
        Recorder(adapter, STEPS)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    model, adapter = attached()
    recorder = Recorder(adapter, STEPS)
    trained(recorder, model, range(STEPS), [])
    path = tmp_path / "new folder" / "run.footprint.safetensors"
    footprint_file.save(recorder.footprint(), path)
    assert same(footprint_file.load(path), recorder.footprint())
    return path


def broken(path: Path, **changed: Tensor) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    save_file({**load_file(path), **changed}, path, metadata=about)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("counts", torch.tensor([[0, 0, 99, 1]], dtype=torch.int32)),
        ("counts", torch.tensor([[0, -1, 0, 1]], dtype=torch.int32)),
        ("counts", torch.tensor([[99, 0, 0, 1]], dtype=torch.int32)),
        ("counts", torch.zeros(3, 3, dtype=torch.int32)),
        ("last", torch.full((4, 2), 12, dtype=torch.int32)),
        ("site", torch.zeros(1, dtype=torch.int32)),
        ("weights", torch.full((1, 1), torch.nan)),
        ("vectors", torch.zeros(12, 16, dtype=torch.float64)),
    ],
)
def test_damaged_file_is_refused(written: Path, name: str, value: Tensor) -> None:
    broken(written, **{name: value})
    with pytest.raises(vblora.AdapterFileError, match=f"damaged.*{name}|damaged.*(places|periods|vectors)"):
        footprint_file.load(written)


def test_cut_and_foreign_files_are_refused(written: Path, tmp_path: Path) -> None:
    content = written.read_bytes()
    for length in (0, 4, 100, len(content) // 2, len(content) - 1):
        written.write_bytes(content[:length])
        with pytest.raises(vblora.AdapterFileError, match="cannot be read"):
            footprint_file.load(written)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(vblora.AdapterFileError, match="is no footprint"):
        footprint_file.load(tmp_path / "other.safetensors")
    with pytest.raises(vblora.AdapterFileError, match="cannot be read"):
        footprint_file.load(tmp_path / "none")
