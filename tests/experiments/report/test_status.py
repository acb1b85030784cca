"""Tests of experiments/report/status.py and running.py."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_records import RUN_ID, failed, record, text_run, whole_row

from experiments import claims, locks
from experiments.locks import Holder
from experiments.records import Found, Problem, RunRecord
from experiments.report import grid, running, status
from experiments.report.running import Seen
from experiments.report.status import MAX_LISTED

TINY = grid.load("tiny")
FAILED = "glue/rte/tiny_roberta/lora-qv/seed0"
SOMEBODY = Holder("node7", 4711, "2026-01-31T09:00:00+00:00")


def notes(*made: RunRecord, seen: Seen | None = None, words: tuple[str, ...] = ()) -> list[str]:
    return status.status(Found(list(made), []), TINY, seen, words).notes


def lines(*made: RunRecord, seen: Seen | None = None) -> dict[str, list[str]]:
    """The tiny model's lines by row."""
    (block,) = status.status(Found(list(made), []), TINY, seen).blocks
    return {row[1].text: [cell.text for cell in row[2:]] for row in block[:9]}


def test_status_counts_and_names() -> None:
    made = [
        *whole_row("vblora-qv", 0.8, 1),
        failed(FAILED),
        record("glue/rte/tiny_roberta/vblora-qv-k4/seed0"),
    ]
    found = Found(made, [Problem(Path("x.json"), "no UTF-8 text")])
    assert lines(*made)["VB-LoRA qv"] == ["1/1"] * 6
    assert lines(*made)["LoRA qv"][4] == "0/1 (1 failed)"
    told = status.status(found, TINY).notes
    assert "Outside this grid: 1 runs, 1 of them finished." in told
    assert f"Failed: {FAILED}: loss is NaN" in told
    assert told[-1] == "No record: x.json: no UTF-8 text"


def test_status_of_text_counts_its_own_runs() -> None:
    made = [text_run("math", "vblora-all"), text_run("math", "lora-qv")]
    shown = status.status(Found(made, []), grid.load("tiny", "math"))
    assert shown.header == ["Model", "Row", "MetaMathQA"]
    rows = {(row[0].text, row[1].text): row[2].text for row in shown.blocks[0]}
    assert rows["tiny Llama", "VB-LoRA all"] == "1/1" and rows["tiny Llama", "Not tuned"] == "0/1"
    assert "Outside this grid: 1 runs, 1 of them finished." in shown.notes


def test_running_run_counts_as_running_though_it_failed_before() -> None:
    seen = Seen(running={FAILED: SOMEBODY})
    assert lines(failed(FAILED), seen=seen)["LoRA qv"][4] == "0/1 (1 running)"
    told = notes(failed(FAILED), seen=seen)
    assert told[0].startswith("60 runs: 0 done, 1 running, 0 failed (they are tried again), 59 missing.")
    assert f"Running: {FAILED}: process 4711 on node7, since 2026-01-31T09:00:00+00:00" in told
    assert not any("Failed" in note or "again:" in note for note in told)


def test_run_whose_process_died_goes_on_from_its_checkpoint_unless_it_is_done() -> None:
    seen = Seen(cut_off={RUN_ID: SOMEBODY})
    told = notes(seen=seen)
    assert f"Cut off: {RUN_ID}: {SOMEBODY}, died" in told
    assert "goes on from its checkpoint" in told[-1]
    assert len(notes(record(), seen=seen)) == 1, "its record was written just before"


def test_failed_runs_come_with_their_first_line_and_the_command_that_repeats_them() -> None:
    told = notes(
        failed(FAILED, message="2 problems:\n  - a\n  - b"), words=("model.path=/a b", "launcher=joblib")
    )
    assert f"Failed: {FAILED}: 2 problems:" in told
    assert told[-1].endswith("""make retry-failed ARGS=''"'"'model.path=/a b'"'"' launcher=joblib'""")


def test_long_lists_are_cut() -> None:
    made = [failed(f"glue/rte/tiny_roberta/lora-qv/seed{seed}") for seed in range(MAX_LISTED + 5)]
    assert "And 5 more such runs." in notes(*made)


def test_run_that_ended_in_the_future_is_told_with_what_to_do() -> None:
    late = (datetime.now(UTC) + timedelta(days=400)).isoformat(timespec="seconds")
    (note,) = (n for n in notes(record(circumstances={"finished_at": late})) if n.startswith("Clock: "))
    assert RUN_ID in note and "Set the clock" in note
    now = datetime.now(UTC).isoformat(timespec="seconds")
    assert not any("Clock" in note for note in notes(record(circumstances={"finished_at": now})))


def test_locks_tell_what_runs_and_what_was_cut_off(tmp_path: Path) -> None:
    root = claims.lock_dir(tmp_path, "tiny")
    held, done, cut = (root / f"glue/cola/m/lora-qv-k1.5/seed{seed}.lock" for seed in range(3))
    for path in (done, cut):
        with locks.hold(path):
            pass
    cut.write_text('{"host": "node7", "pid": 1, "since": "2026"}', encoding="utf-8")
    with locks.hold(held), locks.hold(root / "e2e/e2e/m/lora-qv/seed0.lock"):
        seen = running.see(tmp_path, "tiny", "glue")
    assert [*seen.running] == ["glue/cola/m/lora-qv-k1.5/seed0"]
    assert seen.cut_off == {"glue/cola/m/lora-qv-k1.5/seed2": Holder("node7", 1, "2026")}
    assert (
        running.see(tmp_path, "tiny", "glue").running == {} == running.see(tmp_path, "paper", "glue").running
    )


def test_lock_that_cannot_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(37, "No locks available")

    with locks.hold(claims.lock_dir(tmp_path, "tiny") / f"{RUN_ID}.lock"):
        monkeypatch.setattr(locks, "look", refuse)
        seen = running.see(tmp_path, "tiny", "glue")
    assert notes(seen=seen)[-1] == f"Not seen: {RUN_ID}: [Errno 37] No locks available"
