"""Tests of experiments/report/readme.py, and that README.md shows what the project's records give."""

import re
from pathlib import Path

import pytest
from made_records import cell, failed, text_run, whole_row, write_all

from experiments.families import FAMILIES
from experiments.report import commands, readme
from experiments.report.__main__ import main

PROJECT = Path(__file__).resolve().parents[3]
README = (PROJECT / "README.md").read_text()
REFERENCE = PROJECT / "results" / "reference"
BY_TABLE = {facts.table: family for family, facts in FAMILIES.items()}
PLACES = re.findall(r"<!-- (table\d):([\w-]+) -->", README)


def test_part_is_table_and_how_to_read_it(tmp_path: Path) -> None:
    write_all([*whole_row("vblora-qv", 0.8, 3), *cell("lora-qv", "rte", [0.5])], tmp_path)
    write_all([failed("glue/rte/tiny_roberta/vera-qv/seed0")], tmp_path)
    part = readme.part(tmp_path, "tiny")
    assert part.startswith("Scale tiny: median of the seeds, x100.\n\n| Model | Row |")
    assert "| tiny RoBERTa | VB-LoRA qv | 23,904 |" in part
    assert "Not comparable" in part and "Left out" not in part and "python -m" not in part


def test_filling_again_changes_nothing() -> None:
    once = readme.filled("before\n\n<!-- table1:tiny -->\n\nafter\n", "tiny", "| \\1 |\n")
    assert once == "before\n\n<!-- table1:tiny -->\n| \\1 |\n<!-- /table1:tiny -->\n\nafter\n"
    assert readme.filled(once, "tiny", "| \\1 |\n") == once


def test_table_is_written_to_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    place = tmp_path / "README.md"
    place.write_text("<!-- table1:tiny -->\n| before |\n<!-- /table1:tiny -->\n<!-- table1:paper -->\n")
    write_all(cell("vblora-qv", "rte", [0.75]), tmp_path / "reference")
    assert main(["readme", "--reference", str(tmp_path / "reference"), "scale=tiny"]) == 0
    text = place.read_text()
    assert "75.0 (1)" in text and "| before |" not in text and text.endswith("<!-- table1:paper -->\n")


@pytest.mark.parametrize(
    ("text", "runs", "message"),
    [("<!-- table1:tiny -->", [], "holds no finished run"), ("", [0.5], "no line <!-- table1:tiny -->")],
)
def test_without_place_or_records_nothing_is_written(
    text: str,
    runs: list[float],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    (tmp_path / "README.md").write_text(text)
    write_all(cell("vblora-qv", "rte", runs), tmp_path / "reference")
    assert main(["readme", "--reference", str(tmp_path / "reference")]) == 1
    assert message in capsys.readouterr().out
    assert (tmp_path / "README.md").read_text() == text


def test_each_family_has_a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    place = tmp_path / "README.md"
    place.write_text("<!-- table1:e2e-small -->\n<!-- table2:e2e-small -->\n")
    write_all([text_run("e2e", "vblora-all", scale="e2e-small", model="gpt2_small")], tmp_path / "reference")
    write_all(cell("vblora-qv", "rte", [0.75], "e2e-small"), tmp_path / "reference")
    assert main(["readme", "--reference", str(tmp_path / "reference"), "table=2", "scale=e2e-small"]) == 0
    text = place.read_text()
    assert text.startswith(
        "<!-- table1:e2e-small -->\n<!-- table2:e2e-small -->\nScale e2e-small: mean of the seeds."
    )
    assert "| small GPT-2, pretrained here | VB-LoRA all |" in text and "RoBERTa" not in text


def test_readme_has_a_place_for_tiny() -> None:
    assert ("table1", "tiny") in PLACES


@pytest.mark.parametrize(("table", "scale"), PLACES)
def test_readme_shows_what_the_records_give(table: str, scale: str) -> None:
    family = BY_TABLE[table]
    if not any((REFERENCE / scale / family).rglob("*.json")):
        pytest.skip(f"no records of {family} at scale {scale} under results/reference yet")
    expected = readme.filled(README, scale, readme.part(REFERENCE, scale, family), family)
    assert expected == README, f"python -m experiments.report readme family={family} scale={scale}"
