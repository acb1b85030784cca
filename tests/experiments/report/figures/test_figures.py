"""Tests of experiments/report/figures: what is drawn is what the footprint and the records say.

Each of these made tests here fail: A's weights drawn as B's; periods counted from 1; another's taken.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from made_records import TEXT, cell, judged, outcome, record, text_run, whole_row, write_all
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch, StepPatch

from experiments import records
from experiments.families import FAMILIES
from experiments.report.figures import gallery, selections, sizes, sources, style, usage
from experiments.report.figures.sources import Run, Sources
from experiments.report.grid import RowKey
from experiments.report.paper_table import PaperTable
from vblora import AdapterFileError

from .made_footprints import LAYERS, SITES, TILES, VECTORS, footprint, leave

ROW = "glue/cola/tiny_roberta/vblora-qv"
RUN = Run(record(f"{ROW}/seed0"), footprint())


def of(root: Path, scale: str = "tiny") -> Sources:
    return Sources(scale, records.find([root], scale), [root])


def bars(figure: Figure) -> list[list[float]]:
    return [[height for patch in axis.patches for height in heights(patch)] for axis in figure.axes]


def heights(patch: Patch) -> Iterable[float]:
    """Of a group of bars that is one patch, or of one bar."""
    return patch.get_data().values if isinstance(patch, StepPatch) else [patch.get_height()]


def titles(figure: Figure) -> list[str]:
    return [axis.get_title(loc="left") or axis.get_title() for axis in figure.axes]


def area(axis: Axes, colour: str) -> float:
    """Squares of one colour, counted by their area."""
    total = 0.0
    for patch in axis.patches:
        if to_hex(patch.get_facecolor()) == colour.lower():
            corners = patch.get_path().vertices.reshape(-1, 5, 2)
            size = corners[:, 2] - corners[:, 0]
            total += float((size[:, 0] * size[:, 1]).sum())
    return total


def test_depth_sums_weights_by_thirds_in_the_order_of_norms() -> None:
    figure = usage.by_depth(RUN)
    order = footprint().vectors.norm(dim=1).argsort(descending=True).tolist()
    rows = {
        third: range(third * len(SITES) // 3 * 2 * TILES, (third + 1) * len(SITES) // 3 * 2 * TILES)
        for third in range(3)
    }
    for heights, (third, members) in zip(bars(figure), rows.items(), strict=True):
        sums = [0.0] * VECTORS
        for row in members:
            for vector in (row % VECTORS, (row + 1) % VECTORS):
                sums[vector] += 0.5
        assert heights == pytest.approx([sums[vector] for vector in order]), third
    assert titles(figure)[0].startswith("first third of the layers") and LAYERS == 6


def test_module_sums_tell_query_from_value_and_a_from_b() -> None:
    figure = usage.by_module(RUN)
    assert [title.split(" (")[0] for title in titles(figure)] == [
        "query, A",
        "query, B",
        "value, A",
        "value, B",
    ]
    found = footprint()
    for number, heights in enumerate(bars(figure)):
        role, side = ("query", "value")[number // 2], number % 2
        own = [
            n
            for n in range(len(found.site))
            if SITES[int(found.site[n])].endswith(role) and int(found.side[n]) == side
        ]
        assert sum(heights) == pytest.approx(len(own))
        first = own[0] % VECTORS
        order = found.vectors.norm(dim=1).argsort(descending=True).tolist()
        assert heights[order.index(first)] >= 0.5


def test_histogram_counts_every_vector_once() -> None:
    (heights,) = bars(usage.histogram(RUN))
    assert sum(heights) == VECTORS


def test_first_and_last_are_told_apart() -> None:
    axis = selections.first_and_last(RUN).axes[0]
    rows = len(footprint().first)
    # At the start sub-vector n selects n + 1 and n + 2, at the end n and n + 1.
    assert area(axis, style.BLACK) == area(axis, style.SKY) == area(axis, style.RED) == pytest.approx(rows)


def test_periods_are_drawn_apart() -> None:
    found = footprint()
    only_third = found.counts[found.counts[:, 0] == 2]
    run = Run(RUN.record, type(found)(**{**vars(found), "counts": only_third}))
    axes = selections.by_period(run).axes
    drawn = [sum(area(axis, colour) for _, colour in style.LEVELS) for axis in axes]
    assert drawn == pytest.approx([0, 0, 2 * len(found.first), 0, 0, 0])


def test_darkness_is_the_share_of_the_compositions() -> None:
    figure, axes = style.new(2.0)
    selections.draw(axes[0][0], np.array([[90, 5, 5, 0], [50, 50, 0, 0]]), topk=1)
    levels = [area(axes[0][0], colour) for _, colour in style.LEVELS]
    assert levels == pytest.approx([2, 0, 2, 1])


def test_t_sne_places_every_vector_and_sub_vector() -> None:
    lines = usage.positions(RUN).axes[0].lines
    assert sorted(len(line.get_xdata()) for line in lines) == [VECTORS, len(SITES) * 2 * TILES]


def test_scores_stand_over_stored_parameters(tmp_path: Path) -> None:
    write_all([*whole_row("vblora-qv", 0.5, 3), *whole_row("lora-qv", 0.4, 3)], tmp_path)
    figure = sizes.of_family(PaperTable(records.find([tmp_path], "tiny"), "tiny"), "tiny_roberta")
    assert figure is not None
    points = {line.get_label(): line for axis in figure.axes[:1] for line in axis.lines}
    xs = {float(line.get_xdata()[0]) for line in points.values() if len(line.get_xdata()) == 1}
    assert 23_904.0 in xs
    assert figure.axes[0].get_xscale() == "log" and len(figure.axes) == 2


def test_published_points_stand_at_scale_paper(tmp_path: Path) -> None:
    figure = sizes.of_family(PaperTable(records.Found([], []), "paper"), "roberta_large")
    assert figure is not None
    ys = {float(line.get_ydata()[0]) for line in figure.axes[0].lines}
    assert {68.3, 69.3, 68.0, 64.7} <= ys


def test_every_familys_table_has_a_picture_and_so_have_the_ablations(tmp_path: Path) -> None:
    write_all([*whole_row("vblora-qv", 0.5, 2), *whole_row("lora-qv", 0.4, 2)], tmp_path)
    write_all([*cell("vblora-qv-k1", "cola", [0.4]), *cell("vblora-qv-b16", "cola", [0.4])], tmp_path)
    texts = [text_run(family, row) for family in TEXT for row in ("vblora-all", "lora-all")]
    write_all([judged(run, 5.0) if run.run_id.startswith("instruct/") else run for run in texts], tmp_path)
    found = records.find([tmp_path], "tiny")
    names = [*FAMILIES, "ablations"]
    drawn = [
        gallery.pictures(found, "tiny", name.replace("ablations", "glue"), name == "ablations")
        for name in names
    ]
    assert [list(each) for each in drawn] == [
        ["table1-tiny_roberta"],
        ["table2-tiny_gpt2"],
        ["table3-tiny_llama"],
        ["table4-tiny_llama"],
        ["table5-tiny_roberta", "table6-tiny_roberta"],
    ]


def test_each_figure_names_its_run_or_the_command_that_makes_it(tmp_path: Path) -> None:
    empty = gallery.draw_all(of(tmp_path))
    assert [drawing.name for drawing in empty] == ["figure1", *(f"figure{number}" for number in range(3, 10))]
    assert all(drawing.figure is None and "experiments.run" in drawing.command for drawing in empty)
    leave(record(f"{ROW}/seed1"), tmp_path)
    leave(record(f"{ROW}-k1/seed0"), tmp_path)
    drawn = {drawing.name: drawing for drawing in gallery.draw_all(of(tmp_path))}
    for name in ("figure3", "figure5", "figure6", "figure7", "figure8", "figure9"):
        assert drawn[name].figure is not None
        assert (
            "seed1" in drawn[name].caption
            and "Scale tiny" in drawn[name].caption
            and "n = 1" in drawn[name].caption
        )
    assert "Without a run: k3,noisy_k2" in drawn["figure3"].caption
    assert drawn["figure4"].figure is None and "ablation=b32" in drawn["figure4"].command


def test_files_are_the_same_each_time(tmp_path: Path) -> None:
    leave(record(f"{ROW}/seed0"), tmp_path)
    first = gallery.write(gallery.draw_all(of(tmp_path)), tmp_path / "one")
    second = gallery.write(gallery.draw_all(of(tmp_path)), tmp_path / "two")
    assert len(first) == len(second) >= 12
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_footprint_beside_another_record_is_not_taken(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    write_all([record(f"{ROW}/seed0")], mine)
    leave(record(f"{ROW}/seed0", outcome=outcome(best=0.9)), theirs)
    both = Sources("tiny", records.find([mine, theirs], "tiny"), [mine, theirs])
    assert both.run("glue", "cola", RowKey("tiny_roberta", "vblora", "qv")) is None


def test_damaged_footprint_is_named(tmp_path: Path) -> None:
    path = leave(record(f"{ROW}/seed0"), tmp_path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(AdapterFileError, match="seed0.footprint"):
        gallery.draw_all(of(tmp_path))


def test_colours_of_methods_differ_and_so_do_their_markers() -> None:
    shown = [look for name, look in style.METHODS.items() if name not in (sizes.LEVEL, *sizes.NOT_DRAWN)]
    assert len({colour for colour, _ in shown}) == len({marker for _, marker in shown}) == len(shown)
    assert sources.Run is Run
