"""Results are files; the pages' tables are those files'."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command_line
from benchmarks import pages, results

PAGES = [(results.PROJECT / name).read_text(encoding="utf-8") for name in pages.PAGES]
SIDE = {"amount": 3000, "seconds": [1.0, 3.0], "median_speed": 2000.0, "least_speed": 1000.0}
SIDE |= {"most_speed": 3000.0, "ratio": 1.5, "least_ratio": 1.25, "most_ratio": 2.0}
CASE = {"unit": "tokens", "facts": {"a": {"places": 5000}}, "sides": {"a": SIDE, "b": SIDE}}


def saved(tmp_path: Path) -> dict[str, Any]:
    path = results.write("speed", {"rounds": 2}, {"one": CASE}, tmp_path)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_file_says_what_was_measured_where_and_with_what(tmp_path: Path) -> None:
    found = saved(tmp_path)
    assert found["cases"] == {"one": CASE} and found["settings"] == {"rounds": 2}
    assert found["hardware"] and found["versions"]["torch"] and found["measured_at"]
    assert [path.name for path in tmp_path.rglob("*.json")] == ["speed.json"]


def test_table_shows_speeds_ratios_and_where(tmp_path: Path) -> None:
    lines = results.table(saved(tmp_path)).splitlines()
    assert lines[0] == "| case | side | places | tokens a second | times as fast |"
    assert lines[2] == "| one | a | 5,000 | 2,000 | **1.50** (1.25 to 2.00) |"
    assert lines[3].startswith("| one | b |  |")
    assert lines[-1].startswith("rounds 2; medians") and results.processor() in lines[-1]


def test_page_gets_the_table_of_the_file_that_it_names(tmp_path: Path) -> None:
    table = results.table(saved(tmp_path))
    (machine,) = (path.name for path in tmp_path.iterdir())
    page = f"a\n<!-- bench:speed {machine} -->\nold\n<!-- /bench:speed -->\nb"
    assert results.filled(page, tmp_path) == page.replace("old", table)
    with pytest.raises(FileNotFoundError, match="other"):
        results.filled(page.replace(machine, "other"), tmp_path)


def test_pages_quote_results_that_are_kept_of_every_measurement() -> None:
    quoted = [place[1] for page in PAGES for place in results.PLACE.finditer(page)]
    assert sorted(quoted) == sorted(command_line.MEASURES)
    assert [results.filled(page) for page in PAGES] == PAGES
