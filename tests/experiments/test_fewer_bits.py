import json
from pathlib import Path
from typing import Any

import pytest
from small_world import make, overrides

from experiments import fewer_bits, fewer_bits_table, pipeline
from experiments.claims import ClaimError
from experiments.composing import load


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, small data, and finished runs of two tasks and seeds that left their adapters."""
    world = make(tmp_path_factory.mktemp("world"))
    for task in ("cola", "stsb"):
        for seed in (0, 1):
            assert pipeline.run(load([*words(world), f"task={task}", f"seed={seed}"])).status == "success"
    return world


def words(world: Path) -> list[str]:
    return overrides(world, world, "vblora", "qv", f"paths.adapters={world}/adapters")


@pytest.fixture(scope="module")
def found(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("found")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fewer_bits, "OUT", folder)
        fewer_bits.main([*words(world), "task=cola,stsb", "seed=0,1"])
    read: dict[str, Any] = json.loads((folder / "minilm.json").read_text(encoding="utf-8"))
    return read


def test_every_run_of_the_grid_is_asked_in_every_precision(found: dict[str, Any]) -> None:
    names = [run["run_id"].split("/", 2)[1] + run["run_id"][-1] for run in found["runs"]]
    assert names == ["cola0", "cola1", "stsb0", "stsb1"]
    for run in found["runs"]:
        assert run["recorded"] == run["trained"]["bfloat16"] and [*run["trained"]] == ["bfloat16", "float32"]
        assert [*run["forms"]] == ["exact", "compact", "tiny"]


@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
def test_exact_file_changes_nothing_and_fewer_bits_change_little(found: dict[str, Any], kind: str) -> None:
    for run in found["runs"]:
        exact, compact, tiny = (form["answers"][kind] for form in run["forms"].values())
        assert exact["largest_change"] == 0 and exact["score"] == run["trained"][kind]
        assert max(compact["largest_change"], tiny["largest_change"]) < 0.5
        assert kind == "bfloat16" or compact["largest_change"] > 0
        classes = "cola" in run["run_id"]
        assert exact["num_changed"] == (0 if classes else None) and exact["num_predictions"] == 16


def test_files_get_smaller_and_beat_pefts(found: dict[str, Any]) -> None:
    for run in found["runs"]:
        sizes, forms = run["num_bytes"], run["forms"]
        files = [form["bytes"] for form in forms.values()]
        assert sorted(files, reverse=True) == files and files[0] < sizes["peft_vblora"] + 2000  # our header
        assert all(sizes[name] < forms[name]["bytes"] for name in forms)
        head = 4 * (16 * 16 + 16)  # at least, the pooler
        assert sizes["lora_with_head"] - sizes["lora"] > head


def test_table_shows_score_spread_and_changes(found: dict[str, Any]) -> None:
    lines = fewer_bits_table.table(found).splitlines()
    assert len([line for line in lines if line.startswith("| VB-LoRA qv (small) | CoLA |")]) == 8
    (tiny,) = (line for line in lines if "| CoLA | tiny |" in line and "| float32 |" in line)
    assert " of 32 |" in tiny and "(2)" in tiny
    assert "All classifications, products in float32: exact 0 of 32 (0.00 %), compact" in "\n".join(lines)
    assert all(cell == "–" for cell in lines[2].split(" | ")[5:-1])


def test_page_is_filled_between_its_comments(found: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "minilm.json").write_text(json.dumps(found), encoding="utf-8")
    page = "a\n<!-- precision:minilm -->\nold\n<!-- /precision:minilm -->\nb"
    filled = fewer_bits_table.filled(page, tmp_path)
    assert "old" not in filled and filled.startswith("a\n") and filled.endswith("\nb")
    assert fewer_bits_table.filled(filled, tmp_path) == filled


def test_page_shows_what_is_kept() -> None:
    page = fewer_bits_table.PAGE.read_text(encoding="utf-8")
    assert (
        fewer_bits_table.PLACE.search(page) and fewer_bits_table.filled(page, fewer_bits_table.KEPT) == page
    )


def test_run_that_is_not_finished_is_refused(world: Path) -> None:
    with pytest.raises(ClaimError, match=r"seed7: not finished yet"):
        fewer_bits.main([*words(world), "seed=7"])
    with pytest.raises(SystemExit, match="say which runs"):
        fewer_bits.main([])
