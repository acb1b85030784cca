"""Tests of experiments/report/scales.py."""

from pathlib import Path

import pytest

from experiments.families import FAMILIES
from experiments.report import scales
from experiments.report.scales import CONF, Scale


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["tiny", "paper", "local"])
def test_word_is_a_file_of_conf(family: str, name: str) -> None:
    found = scales.find(family, name)
    assert (found.name, found.short) == (name, name)
    assert (CONF / "scale" / f"{found.word}.yaml").is_file()
    assert (CONF / "model" / f"{found.model}.yaml").is_file()
    assert (CONF / "data" / f"{found.data}.yaml").is_file()


def test_short_name_and_name_of_the_records_find_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scale" / "e2e"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(
        "defaults: [override /model: gpt2_small, override /data: e2e/local, _self_]\n"
        'scale: {name: e2e-small, seeds: "0,1"}\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(scales, "CONF", tmp_path)
    expected = Scale("e2e", "e2e-small", "e2e/small", "gpt2_small", "e2e/local", [0, 1])
    assert scales.find("e2e", "small") == scales.find("e2e", "e2e-small") == expected
    assert expected.short == "small"


def test_name_of_a_user_is_taken_as_it_is() -> None:
    assert scales.find("glue", "mine") == Scale("glue", "mine", "mine")
    assert scales.find("math", "mine") == Scale("math", "mine", "math/mine")
    assert scales.asked_folders(scales.find("math", "mine"), "") == []
