"""Results are files; README's tables are those files'."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results

PAGE = (results.PROJECT / "README.md").read_text(encoding="utf-8")
KEPT = sorted(results.RESULTS.glob("*/*.json"))
SIDE = {"seconds": [1.0, 3.0], "median_seconds": 2.0, "least_seconds": 1.0, "most_seconds": 3.0}
SIDE |= {"ratio": 1.5, "least_ratio": 1.25, "most_ratio": 2.0}
CASE = {"unit": "tokens", "amount": 3000, "facts": {"a": {"places": 5000}}, "sides": {"a": SIDE, "b": SIDE}}


def saved(tmp_path: Path) -> dict[str, Any]:
    path = results.write("speed", {"rounds": 2}, {"one": CASE}, tmp_path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_file_says_what_was_measured_where_and_with_what(tmp_path: Path) -> None:
    found = saved(tmp_path)
    assert found["cases"] == {"one": CASE} and found["settings"] == {"rounds": 2}
    assert found["hardware"] and found["versions"]["torch"] and found["measured_at"]
    assert [path.name for path in tmp_path.rglob("*.json")] == ["speed.json"]


def test_table_shows_medians_speed_and_ratios(tmp_path: Path) -> None:
    lines = results.table(saved(tmp_path)).splitlines()
    assert lines[0] == "| case | side | places | seconds | tokens a second | times as fast |"
    assert lines[2] == "| one | a | 5,000 | 2.00 (1.00 to 3.00) | 1,500 | **1.50** (1.25 to 2.00) |"
    assert lines[3].startswith("| one | b | – |")


def test_page_without_the_comments_is_refused() -> None:
    with pytest.raises(ValueError, match="bench:speed"):
        results.filled("no place", "speed", "table")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_readme_quotes_a_result_of_the_project(path: Path) -> None:
    table = results.table(json.loads(path.read_text(encoding="utf-8")))
    assert results.filled(PAGE, path.stem, table) == PAGE
