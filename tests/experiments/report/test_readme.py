"""Tests of experiments/report/readme.py, and that README.md shows what the project's records give."""

import re
from pathlib import Path

import pytest
from made_records import cell, failed, text_run, whole_row, write_all

from experiments.families import FAMILIES
from experiments.report import commands, readme
from experiments.report.__main__ import main

PROJECT = Path(__file__).resolve().parents[3]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
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


def test_every_place_gets_its_own_table(tmp_path: Path) -> None:
    write_all([text_run("e2e", "vblora-all", scale="e2e-small", model="gpt2_small")], tmp_path)
    write_all(cell("vblora-qv", "rte", [0.75]), tmp_path)
    before = "<!-- table1:tiny -->\n| before |\n<!-- /table1:tiny -->\nbetween\n<!-- table2:e2e-small -->\n"
    glue, e2e = readme.refreshed(before, tmp_path).split("between")
    assert "75.0 (1)" in glue and "| before |" not in glue
    assert "| small GPT-2, pretrained here | VB-LoRA all |" in e2e and "RoBERTa" not in e2e


def test_a_place_without_records_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    text = "<!-- table1:paper -->\n"
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    write_all(cell("vblora-qv", "rte", [0.75]), tmp_path / "reference")
    assert main(["refresh", "--reference", str(tmp_path / "reference")]) == 1
    assert "holds no finished run" in capsys.readouterr().out
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_readme_has_a_place_for_tiny() -> None:
    assert ("table1", "tiny") in PLACES


@pytest.mark.parametrize(("table", "scale"), PLACES)
def test_readme_shows_what_the_records_give(table: str, scale: str) -> None:
    family = BY_TABLE[table]
    if not any((REFERENCE / scale / family).rglob("*.json")):
        pytest.skip(f"no records of {family} at scale {scale} under results/reference yet")
    expected = readme.filled(README, scale, readme.part(REFERENCE, scale, family), family)
    assert expected == README, "python -m experiments.report refresh"
