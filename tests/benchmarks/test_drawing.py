"""Figures are those of the kept results, and show what these say."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import drawing, pages, results

MACHINES = [path for path in sorted(results.KEPT.iterdir()) if path.is_dir()]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda path: path.name)
def test_every_figure_is_that_of_the_kept_result_and_shown_on_a_page(machine: Path, tmp_path: Path) -> None:
    drawing.draw_all(machine, tmp_path)
    drawn = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = results.PROJECT / pages.FIGURES / machine.name
    assert set(drawn) == {f"{name}.svg" for name in drawing.PANELS}
    assert drawn == {path.name: path.read_text() for path in kept.iterdir()}
    text = "".join((results.PROJECT / name).read_text() for name in pages.PAGES)
    shown = re.findall(rf"!\[[^\]]+\]\(figures/{machine.name}/(\w+\.svg)\)", text)
    assert sorted(shown) == sorted(drawn)


def test_figure_names_its_cases_sides_unit_and_source(tmp_path: Path) -> None:
    path = MACHINES[0] / "steps.json"
    result = json.loads(path.read_text())
    drawing.draw(result, tmp_path / "steps.svg")
    text = (tmp_path / "steps.svg").read_text()
    for words in (*result["cases"], "PEFT LoRA", "vblora", "times as fast as PEFT LoRA", result["hardware"]):
        assert f">{words}" in text or f" {words}" in text
    result["cases"].popitem()
    drawing.draw(result, tmp_path / "fewer.svg")
    assert (tmp_path / "fewer.svg").read_text() != text


def test_every_side_has_a_look_of_its_own() -> None:
    for path in (
        path for machine in MACHINES for path in machine.glob("*.json") if path.stem in drawing.PANELS
    ):
        for case in json.loads(path.read_text())["cases"].values():
            looks = [drawing.STYLES[side] for side in case.get("sides", case.get("facts", {}))]
            assert len(set(looks)) == len(looks)
