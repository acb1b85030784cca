"""Tests of experiments/report/published.py and of results/published.yaml."""

import re
import statistics

import pytest

from experiments.report import published

ROWS = [row for table in ("table1", "table2", "table3", "table4") for row in published.rows(table)]


def test_tables_have_the_printed_number_of_rows() -> None:
    assert [len(published.rows(f"table{n}")) for n in (1, 2, 3, 4)] == [15, 8, 10, 8]
    assert [len(published.load()[name]["rows"]) for name in ("table5", "table6")] == [11, 4]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}-{row.model}-{row.method}-{row.targets}")
def test_row_is_complete(row: published.PublishedRow) -> None:
    assert row.source in published.sources()
    assert set(row.scores) == set(published.columns(row.table))
    assert not row.std or set(row.std) == set(row.scores)
    assert row.method == "none" or re.fullmatch(r"\d+(\.\d+)?", row.params)


@pytest.mark.parametrize(
    "row", published.rows("table1"), ids=lambda row: f"{row.model}-{row.method}-{row.targets}"
)
def test_printed_average_is_the_mean_of_its_row(row: published.PublishedRow) -> None:
    """A typing error in a cell would show here; 0.05 is the rounding of the average."""
    assert row.average == pytest.approx(statistics.fmean(row.scores.values()), abs=0.051)


def test_cells_known_by_heart() -> None:
    large = {
        (row.method, row.targets): row for row in published.rows("table1") if row.model == "roberta_large"
    }
    assert large["vblora", "qv"].scores["cola"] == 68.3
    assert large["vblora", "all"].average == 88.5
    assert published.load()["table5"]["rows"][2]["score"] == 68.3


def test_digits_are_kept_as_printed() -> None:
    gemma = [row.params for row in published.rows("table4") if row.model == "gemma_7b"]
    assert gemma == ["8538", "200", "0.80", "0.67"]


def test_times_in_hours() -> None:
    assert published.run_hours("glue", "roberta_base", "qv", "mrpc") == pytest.approx(0.45)
    assert published.run_hours("glue", "roberta_large", "all", "qnli") == 4.5
    assert published.run_hours("e2e", "gpt2_large", "all", "e2e") == 3
    assert published.run_hours("instruct", "llama2_13b", "lora", "alpaca") == 2.6
    assert published.run_hours("glue", "tiny_roberta", "qv", "mrpc") is None
