"""Tests of experiments/report/abstract.py and comparisons.py: claims, and the test behind them.

Each of these made tests here fail: unpaired differences; p of one side; a verdict from two seeds.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from made_records import outcome, record, write_all

from experiments import records
from experiments.report import abstract, cells, tables
from experiments.report.comparisons import paired
from experiments.report.grid import RowKey

OURS, OTHER = RowKey("tiny_roberta", "vblora", "qv"), RowKey("tiny_roberta", "vera", "qv")
TASKS = dict.fromkeys(("sst2", "mrpc", "qnli", "rte"), "accuracy") | {"cola": "matthews", "stsb": "pearson"}


def made(scores: dict[str, list[float]], params: dict[str, int] | None = None) -> list[records.RunRecord]:
    """The same scores by seed for every task, by row."""
    return [
        record(
            f"glue/{task}/tiny_roberta/{row}/seed{seed}",
            outcome=outcome(metric, best=score) | {"stored_params": (params or {}).get(row, 100)},
        )
        for row, values in scores.items()
        for task, metric in TASKS.items()
        for seed, score in enumerate(values)
    ]


def verdicts(tmp_path: Path, found: list[records.RunRecord]) -> dict[str, abstract.Verdict]:
    write_all(found, tmp_path)
    told = abstract.verdicts(records.find([tmp_path], "tiny"), "tiny")
    return {each.claim: each for each in told if each.row == OURS}


def test_pairs_are_of_equal_task_and_seed() -> None:
    ours, theirs = [0.5, 0.9, 0.1], [0.4, 0.8, 0.0]
    found = paired(cells.collect(made({"vblora-qv": ours, "vera-qv": theirs})), OURS, OTHER, ["cola", "rte"])
    assert found is not None and (found.num_pairs, found.num_tasks) == (6, 2)
    assert found.mean == pytest.approx(10.0)
    assert (found.low, found.high) == (pytest.approx(10.0), pytest.approx(10.0))
    assert found.p == pytest.approx(2 / 2**6)  # all signs alike, of 64 choices


def test_p_is_that_of_all_signs_counted_by_hand() -> None:
    generator = np.random.default_rng(3)
    ours, theirs = generator.random(8).tolist(), generator.random(8).tolist()
    found = paired(cells.collect(made({"vblora-qv": ours, "vera-qv": theirs})), OURS, OTHER, ["cola"])
    differences = 100 * (np.array(ours) - np.array(theirs))
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=8)]
    expected = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)
    assert found is not None and found.p == pytest.approx(expected)


def test_p_is_near_the_t_tests_where_that_applies() -> None:
    generator = np.random.default_rng(0)
    theirs = generator.normal(0.5, 0.05, 12)
    ours = theirs + generator.normal(0.02, 0.02, 12)
    found = paired(
        cells.collect(made({"vblora-qv": list(ours), "vera-qv": list(theirs)})), OURS, OTHER, ["cola"]
    )
    assert found is not None and found.p == pytest.approx(
        scipy.stats.ttest_rel(ours, theirs).pvalue, abs=0.02
    )


def test_no_shared_seed_is_no_comparison() -> None:
    found = cells.collect(made({"vblora-qv": [0.5]}))
    assert paired(found, OURS, OTHER, ["cola"]) is None


def test_equal_runs_have_p_one() -> None:
    found = paired(cells.collect(made({"vblora-qv": [0.5] * 3, "vera-qv": [0.5] * 3})), OURS, OTHER, ["cola"])
    assert found is not None and found.p == 1.0 and found.above is None


@pytest.mark.parametrize(
    ("theirs", "params", "verdict"),
    [
        ([0.4, 0.41, 0.4], 200, abstract.HOLDS),
        ([0.4, 0.41, 0.4], 50, abstract.NOT),  # better, but with more parameters
        ([0.6, 0.61, 0.6], 200, abstract.NOT),
        ([0.5, 0.52, 0.47], 200, abstract.OPEN),
        ([0.4], 200, abstract.UNMEASURED),
    ],
)
def test_better_than_vera(theirs: list[float], params: int, verdict: str, tmp_path: Path) -> None:
    scores = {"vblora-qv": [0.5, 0.51, 0.49], "vera-qv": theirs}
    found = verdicts(tmp_path, made(scores, {"vblora-qv": 100, "vera-qv": params}))
    assert found[abstract.BETTER.format("VeRA qv")].verdict == verdict


@pytest.mark.parametrize(("full", "verdict"), [([0.51] * 3, abstract.HOLDS), ([0.6] * 3, abstract.NOT)])
def test_near_full_within_the_margin(full: list[float], verdict: str, tmp_path: Path) -> None:
    found = verdicts(tmp_path, made({"vblora-qv": [0.5, 0.501, 0.499], "full-full": full}))
    assert found[abstract.NEAR].verdict == verdict


def test_nothing_measured_is_said_so(tmp_path: Path) -> None:
    found = abstract.verdicts(records.Found([], []), "tiny")
    assert {each.verdict for each in found} == {abstract.UNMEASURED}


def test_share_of_lora_is_counted_at_scale_paper() -> None:
    found = [
        each for each in abstract.verdicts(records.Found([], []), "paper") if each.kind == abstract.SMALL
    ]
    assert {each.row.model: each.evidence for each in found} == {
        "llama2_7b": "0.38%: 602,368 of 159,907,840",
        "llama2_13b": "0.28%: 707,648 of 250,347,520",
    }
    assert {each.verdict for each in found} == {abstract.HOLDS}


def test_claims_are_a_sheet_like_any_table(tmp_path: Path) -> None:
    write_all(made({"vblora-qv": [0.5] * 3, "vera-qv": [0.4] * 3}, {"vblora-qv": 50}), tmp_path)
    texts = tables.texts(tables.of_claims(records.find([tmp_path], "tiny"), "tiny", "claims"))
    assert (
        "Better than VeRA qv" in texts["md"]
        and "holds" in texts["csv"]
        and r"\begin{tabular}" in texts["tex"]
    )
