import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.judging.journal import Journal, read
from experiments.judging.settings import JudgingError

ENTRY = {"judgment": "é [[7]]", "tstamp": 1.5}


def test_what_is_appended_is_there_when_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    with Journal(path) as journal:
        journal.append("a", ENTRY)
        assert list(read(path)) == ["a"]  # before it is closed
    with Journal(path) as journal:
        journal.append("b", ENTRY)
        assert journal.entries == {"a": {"key": "a", **ENTRY}, "b": {"key": "b", **ENTRY}}
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_every_judgement_is_on_disk_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    with Journal(tmp_path / "journal.jsonl") as journal:
        for key in "ab":
            journal.append(key, ENTRY)
    size = (tmp_path / "journal.jsonl").stat().st_size
    assert synced == [size // 2, size]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_cut_last_line_is_dropped_and_the_next_one_is_whole(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append("a", ENTRY)
        journal.append("b", ENTRY)
    os.truncate(path, path.stat().st_size - cut)
    assert list(read(path)) == ["a"]
    with Journal(path) as journal:
        assert list(journal.entries) == ["a"]
        journal.append("c", ENTRY)
    assert list(read(path)) == ["a", "c"]


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "3", '{"judgment": "a", "tstamp": 1.0}', '{"key": "b", "judgment": null, "tstamp": 1.0}'],
)
def test_a_damaged_line_in_the_middle_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = json.dumps({"key": "a", **ENTRY})
    path.write_text(f"{whole}\n{line}\n{whole}\n", encoding="utf-8")
    with pytest.raises(JudgingError, match=r"journal\.jsonl: line 2: no judgement"):
        Journal(path).__enter__()
    path.write_text(f"{whole}\n", encoding="utf-8")
    with Journal(path) as journal:  # the failed opening has let go of the lock
        assert list(journal.entries) == ["a"]


def test_two_processes_do_not_judge_into_one_journal(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\nfrom experiments.judging.journal import Journal\n"
        "with Journal(pathlib.Path(sys.argv[1])): print('open', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "journal.jsonl"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "open\n"
    with pytest.raises(JudgingError, match="another process is judging into it"):
        Journal(path).__enter__()
    other.communicate(timeout=30)
    with Journal(path) as journal:
        assert journal.entries == {}
