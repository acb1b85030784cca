"""Tests of experiments/report/finding.py."""

from collections import defaultdict
from pathlib import Path

from made_records import cell, failed, text_run, write_all

from experiments.report import finding


def test_a_cell_has_one_origin(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    write_all([*cell("vblora-qv", "cola", [0.5] * 3), *cell("lora-qv", "cola", [0.5] * 3)], theirs)
    write_all([*cell("vblora-qv", "cola", [0.25]), failed("glue/cola/tiny_roberta/lora-qv/seed7")], mine)
    found = finding.every([mine, theirs], "tiny")
    by_row = defaultdict(list)
    for record in found.records:
        by_row[record.identity.method].append((record.identity.seed, record.run_id in found.from_first_root))
    assert by_row["vblora"] == [(0, True)]
    assert by_row["lora"] == [(0, False), (1, False), (2, False), (7, True)]


def test_each_family_has_its_records_and_its_bad_files(tmp_path: Path) -> None:
    root = tmp_path / "tiny" / "math"  # a root with names of a scale and a family on its way
    write_all([*cell("vblora-qv", "cola", [0.5]), text_run("math", "vblora-all")], root)
    for name in ("x.json", "math/y.json", "glue/cola/z.json", "other/w.json"):
        path = root / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{", encoding="utf-8")
    glue, math = (finding.find([root], "tiny", family) for family in ("glue", "math"))
    assert [run.identity.family for run in (*glue.records, *math.records)] == ["glue", "math"]
    assert sorted(problem.path.name for problem in glue.problems) == ["w.json", "x.json", "z.json"]
    assert sorted(problem.path.name for problem in math.problems) == ["w.json", "x.json", "y.json"]
    assert math.from_first_root == glue.from_first_root
