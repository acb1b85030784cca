"""The table of a rate search, from records."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments import rates, records
from experiments.families import FAMILIES

TASKS = FAMILIES["glue"].tasks
OPTIM = dict.fromkeys(rates.RATES) | {"head_lr": 0.01}
START = "| tiny_roberta | lora | qv | adapter_lr"


def run(task: str, lr: float, score: float, seed: int = 100, finished: bool = True) -> SimpleNamespace:
    identity = records.parse_run_id(f"glue/{task}/tiny_roberta/lora-qv/seed{seed}")
    outcome = {"metric": "accuracy", "scores": {"accuracy": score}} if finished else None
    return SimpleNamespace(identity=identity, config={"optim": OPTIM | {"adapter_lr": lr}}, outcome=outcome)


def test_best_mean_of_a_row_is_bold_and_gaps_are_dashes() -> None:
    runs = [run(task, lr, score) for task in TASKS for lr, score in ((0.1, 0.5), (0.2, 0.75))]
    runs += [run("cola", 0.3, 1.0), run("sst2", 0.3, 1.0, finished=False)]
    table = rates.lines(rates.collect(runs))
    assert table[0].startswith("| model | method | targets | rates | seeds | mean | sst2 ")
    assert table[2] == f"{START} 0.2, head_lr 0.01 | 1 | **75.0** | 75.0 | 75.0 | 75.0 | 75.0 | 75.0 | 75.0 |"
    assert table[3] == f"{START} 0.1, head_lr 0.01 | 1 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 |"
    assert table[4] == f"{START} 0.3, head_lr 0.01 | 0 | – | – | – | 100.0 | – | – | – |"


def test_a_setting_of_more_seeds_goes_before_one_of_a_lucky_seed() -> None:
    runs = [run(task, 0.1, score, seed) for task in TASKS for seed, score in ((100, 0.9), (101, 0.5))]
    runs += [run(task, 0.2, 0.8) for task in TASKS]
    best, other = rates.lines(rates.collect(runs))[2:]
    assert best.startswith(f"{START} 0.1, head_lr 0.01 | 2 | **70.0** |")
    assert other.startswith(f"{START} 0.2, head_lr 0.01 | 1 | 80.0 |")


def test_a_search_on_two_tasks_has_the_mean_of_the_two() -> None:
    table = rates.lines(rates.collect([run("stsb", 0.1, 0.5), run("cola", 0.1, 0.25)]))
    assert table[0] == "| model | method | targets | rates | seeds | mean | cola | stsb |"
    assert table[2] == f"{START} 0.1, head_lr 0.01 | 1 | **37.5** | 25.0 | 50.0 |"


def test_held_out_likelihood_is_compared_instead_of_the_test_score() -> None:
    runs = [run("cola", 0.1, 0.9), run("cola", 0.2, 0.5)]
    for record, likelihood in zip(runs, (-2.0, -1.5), strict=True):
        record.outcome |= {"last_scores": {"log_likelihood": likelihood}}
    best = rates.lines(rates.collect(runs, held_out=True), str)[2]
    assert best == f"{START} 0.2, head_lr 0.01 | 1 | **-1.5** | -1.5 |"


def test_run_without_a_held_out_likelihood_is_named() -> None:
    record = run("cola", 0.1, 0.9)
    record.outcome |= {"last_scores": {"matthews": 0.9}}
    with pytest.raises(SystemExit, match="cola.*no likelihood of held-out texts"):
        rates.collect([record], held_out=True)


def test_empty_folder_prints_an_empty_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rates", str(tmp_path), "--scale", "minilm"])
    rates.main()
    assert len(capsys.readouterr().out.splitlines()) == 2
