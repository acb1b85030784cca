"""Tests of the picture of a run's selections."""

from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

import vblora
from experiments.report import footprint_figure
from vblora.footprint import Footprint, Recorder


@pytest.fixture
def footprint() -> Footprint:
    """Of an adapter that selected something else in the middle of its training than at its end."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
    config = vblora.VBLoRAConfig(rank=1, num_vectors=6, vector_length=4, topk=2, targets=["0", "1"])
    adapter = vblora.attach(model, config)
    recorder = Recorder(adapter, num_steps=3)
    with recorder:
        for step in range(3):
            recorder.begin(step)
            model(torch.ones(2, 8)).sum().backward()
            with torch.no_grad():
                adapter.bank.logits.copy_(torch.randn_like(adapter.bank.logits))
    return recorder.footprint()


def test_every_selection_is_drawn_with_subvectors_on_x_and_vectors_on_y(footprint: Footprint) -> None:
    axis = Figure().subplots()
    footprint_figure.draw_selected(axis, footprint)
    drawn = {
        (x, y)
        for x in range(len(footprint.watched))
        for y in range(len(footprint.vectors))
        if any(patch.get_path().contains_point((x, y)) for patch in axis.patches)
    }
    assert drawn == {(x, y) for x, y in footprint.selected().nonzero().tolist()}
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("sub-vector", "bank vector")


def test_picture_is_the_same_file_for_the_same_footprint(footprint: Footprint, tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        footprint_figure.write(footprint, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes().startswith(b"\x89PNG")
