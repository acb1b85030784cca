"""What an adapter costs to train, to keep and to handle is measured on every side."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import __main__ as command_line
from benchmarks import features, handling, memory, presets, sizes, steps, stores

# Of PEFT 0.21.2's VB-LoRA; a slip in the tries themselves would add to these.
NOT_BY_PEFT = (
    "does not divide",
    "fused",
    "stay so",
    "old bits",
    "tied",
    "each row",
    "selections",
    "flipped",
    "own save",
)
NOT_BY_PEFT += ("offloaded",)
SMALL = presets.Case(presets.roberta(1, 64, 4), presets.ROBERTA, vector_length=32)


def run(tmp_path: Path, *words: str) -> dict[str, Any]:
    command_line.main(["--results", str(tmp_path), *words])
    (path,) = tmp_path.glob("*/*.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_steps_are_timed_and_their_memory_found_on_every_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "PEAKS", 1)
    found = run(tmp_path, "steps", "--preset", "tiny", "--rounds", "1")
    assert found["settings"] == {"preset": "tiny", "rounds": 1}
    (case,) = found["cases"].values()
    assert tuple(case["sides"]) == tuple(case["facts"]) == presets.SIDES
    assert all(0 < facts["least"] <= facts["peak MB"] <= facts["most"] for facts in case["facts"].values())


def test_peak_holds_what_training_allocates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of 64 times the size has activations of more than 64 MB more."""
    wide = presets.Case(presets.roberta(2, 64, 4), presets.ROBERTA, vector_length=32, batch=(256, 64))
    monkeypatch.setitem(presets.CASES["tiny"], "wide", wide)
    small, large = (steps.peak("tiny", title, "vblora", 1) for title in presets.CASES["tiny"])
    assert large - small > 64e6


def test_memory_counts_what_trains_and_what_a_step_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(presets.CASES, "one", {"small": SMALL})
    found = memory.measure("one")
    assert found == memory.measure("one")  # the same every time
    facts = found["small"]["facts"]
    head = 4 * (64 * 64 + 64 + 64 * 2 + 2) * 3 / 1e6  # weights and AdamW's two moments, in megabytes
    assert facts["head only"]["kept, MB"] == pytest.approx(head, abs=0.1)
    assert facts["vblora"]["step, MB"] > facts["head only"]["step, MB"] > 0
    wide = presets.Case(SMALL.build, SMALL.targets, vector_length=32, batch=(64, 32))
    monkeypatch.setitem(presets.CASES, "one", {"small": wide})
    assert memory.measure("one")["small"]["facts"]["vblora"]["step, MB"] > 4 * facts["vblora"]["step, MB"]


def test_handling_changes_nothing_in_the_end_and_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = dict(handling.both("small", SMALL, rounds=1))
    assert list(found) == ["small: merge and unmerge", "small: load"]
    for case in found.values():
        assert tuple(case["sides"]) == presets.SIDES[:3]


def test_store_is_opened_listed_and_loaded_from_at_any_size() -> None:
    (small, large) = stores.measure(1, (3, 30), SMALL).values()
    names = ("PEFT LoRA", "PEFT VB-LoRA", "vblora, folders", "vblora, store")
    assert tuple(small["sides"]) == tuple(small["facts"]) == tuple(large["sides"]) == names
    store, folders = large["facts"]["vblora, store"], large["facts"]["vblora, folders"]
    assert folders["bytes an adapter"] <= store["bytes an adapter"] < 3 * folders["bytes an adapter"]
    assert store["open, ms"] > 0 and small["facts"]["PEFT VB-LoRA"] == large["facts"]["PEFT VB-LoRA"]


def test_features_are_tried_on_both_sides_and_ours_all_work(tmp_path: Path) -> None:
    found = run(tmp_path, "features")["cases"]
    assert len(found) == len(features.TRIES) and all(
        [*case["tried"]] == [*features.SIDES] for case in found.values()
    )
    # Compiling runs without the tests' checks of types only: tests/vblora/test_compile.py.
    ours = {title: case["tried"]["vblora"] for title, case in found.items() if "compile" not in title}
    assert not {title: said for title, said in ours.items() if not said.startswith("yes")}
    theirs = {title: case["tried"]["PEFT VB-LoRA"].partition(":")[0] for title, case in found.items()}
    no = {title for title, said in theirs.items() if not said.startswith("yes")}
    assert no == {title for title, _ in features.TRIES if any(word in title for word in NOT_BY_PEFT)}


def test_wrong_outputs_and_adapters_without_effect_are_no() -> None:
    plain = torch.zeros(2)
    with pytest.raises(features.WrongError, match="changes nothing"):
        features._close(plain, plain, plain)
    with pytest.raises(features.WrongError, match="off by 0.5 of the adapter's change"):
        features._close(plain + 0.5, plain + 1, plain)
    assert features._close(plain + 1, plain + 1, plain) == "the same bits"


def test_files_get_smaller_form_by_form_and_a_head_is_counted_apart() -> None:
    found = sizes.sizes(SMALL)["facts"]
    ours = [found[name]["bytes"] for name in sizes.OURS]
    assert ours == sorted(ours, reverse=True)
    assert found["vblora, exact"]["bytes"] < found["PEFT VB-LoRA, top-k"]["bytes"]
    head = 4 * (64 * 64 + 64 + 64 * 2 + 2)  # RoBERTa's: two layers, float32
    for name in ("vblora, exact", "PEFT VB-LoRA, top-k"):
        assert head <= found[name]["bytes with head"] - found[name]["bytes"] < head + 700


def test_without_a_word_all_that_needs_no_data_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    main = command_line.main
    monkeypatch.setattr(command_line, "main", lambda words: asked.append(words))
    main([])
    assert asked == [[name] for name in command_line.WITHOUT_DATA]
    assert set(command_line.MEASURES) - set(command_line.WITHOUT_DATA) == {
        *command_line.ON_DEMAND,
        *("batching", "answering", "grading"),
    }
