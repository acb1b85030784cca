"""Figures are those of the kept results, and show what these say."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import drawing, pages, results

MACHINES = [path for path in sorted(results.KEPT.iterdir()) if path.is_dir()]


NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
NEAR = 0.01  # points: coordinates are printed to a millionth, and their last digits differ by processor
Drawing = tuple[list[str], list[float]]


def drawing_of(svg: str) -> Drawing:
    """Texts and numbers of a figure, without what depends on the machine.

    Matplotlib names itself in <metadata>, and an id is a hash of coordinates: here the n-th one is `id n`.
    """
    ids: dict[str, str] = {}
    plain = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    plain = re.sub(r"\b[a-z][0-9a-f]{10}\b", lambda found: ids.setdefault(found[0], f"id {len(ids)}"), plain)
    return NUMBER.split(plain), [float(number) for number in NUMBER.findall(plain)]


def same(one: Drawing, other: Drawing) -> bool:
    return one[0] == other[0] and one[1] == pytest.approx(other[1], abs=NEAR)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda path: path.name)
def test_every_figure_is_that_of_the_kept_result_and_shown_on_a_page(machine: Path, tmp_path: Path) -> None:
    drawing.draw_all(machine, tmp_path)
    drawn = {path.name: drawing_of(path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()}
    folder = results.PROJECT / pages.FIGURES / machine.name
    kept = {path.name: drawing_of(path.read_text(encoding="utf-8")) for path in folder.iterdir()}
    assert drawn.keys() == kept.keys() == {f"{name}.svg" for name in drawing.PANELS}
    assert [name for name in drawn if not same(drawn[name], kept[name])] == []
    text = "".join((results.PROJECT / name).read_text(encoding="utf-8") for name in pages.PAGES)
    shown = re.findall(rf"!\[[^\]]+\]\(figures/{machine.name}/(\w+\.svg)\)", text)
    assert sorted(shown) == sorted(drawn)


@pytest.mark.parametrize(("factor", "expected"), [(1 + 1e-6, True), (1.001, False)])
def test_figures_of_another_processor_are_the_same_and_of_another_result_are_not(
    factor: float, expected: bool, tmp_path: Path
) -> None:
    """The last bits of what is drawn move the ids, which are hashes, and the last digits of coordinates."""
    result = json.loads((MACHINES[0] / "sizes.json").read_text(encoding="utf-8"))
    drawing.draw(result, tmp_path / "one.svg")
    facts = next(iter(result["cases"].values()))["facts"]
    for side in facts.values():
        side["bytes"] *= factor
    drawing.draw(result, tmp_path / "other.svg")
    one, other = ((tmp_path / f"{name}.svg").read_text(encoding="utf-8") for name in ("one", "other"))
    assert one != other and same(drawing_of(one), drawing_of(other)) == expected


def test_figure_names_its_cases_sides_unit_and_source(tmp_path: Path) -> None:
    path = MACHINES[0] / "steps.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    drawing.draw(result, tmp_path / "steps.svg")
    text = (tmp_path / "steps.svg").read_text(encoding="utf-8")
    for words in (*result["cases"], "PEFT LoRA", "vblora", "times as fast as PEFT LoRA", result["hardware"]):
        assert f">{words}" in text or f" {words}" in text
    result["cases"].popitem()
    drawing.draw(result, tmp_path / "fewer.svg")
    assert (tmp_path / "fewer.svg").read_text(encoding="utf-8") != text


def test_every_side_has_a_look_of_its_own() -> None:
    for path in (
        path for machine in MACHINES for path in machine.glob("*.json") if path.stem in drawing.PANELS
    ):
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"].values():
            looks = [drawing.STYLES[side] for side in case.get("sides", case.get("facts", {}))]
            assert len(set(looks)) == len(looks)
