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


def test_blocks_tell_never_from_once_from_at_the_end(footprint: Footprint) -> None:
    found = footprint_figure.blocks(footprint)
    assert found.shape == (len(footprint.vectors), len(footprint.watched))
    ever = footprint.selected() > 0
    for place, row in enumerate(footprint.watched.tolist()):
        last = set(footprint.last[row].tolist())
        for vector in range(len(footprint.vectors)):
            wanted = 2 if vector in last else int(ever[place, vector])
            assert found[vector, place] == wanted
    assert {0, 1, 2} == set(found.flatten().tolist())


def test_subvectors_lie_on_x_and_vectors_on_y_from_below(footprint: Footprint) -> None:
    axis = Figure().subplots()
    footprint_figure.draw_selected(axis, footprint)
    (image,) = axis.get_images()
    assert image.get_array().shape == (6, len(footprint.watched))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("sub-vector", "vector of the bank")
    low, high = axis.get_ylim()
    assert low < high


def test_picture_is_the_same_file_for_the_same_footprint(footprint: Footprint, tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        footprint_figure.write(footprint, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes().startswith(b"\x89PNG")
