"""Each made a test here fail: no `PATIENCE`, looks that exclude each other, a name left at the end."""

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from experiments import locks, storage
from experiments.locks import HeldError

HOLDING = """
import sys, time
from pathlib import Path
from experiments import locks
with locks.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "seed0.lock"


@pytest.fixture
def other(path: Path):
    """A process that holds the lock, until it is killed."""
    command = [sys.executable, "-c", HOLDING, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_lock_of_another_process_is_refused_by_name(path: Path, other: subprocess.Popen) -> None:
    name = rf"process {other.pid} on {os.uname().nodename}, since 20\d\d-"
    with pytest.raises(HeldError, match=name), locks.hold(path):
        pass
    seen = locks.look(path)
    assert seen.held and not seen.cut_off
    assert seen.holder is not None and seen.holder.pid == other.pid


def test_process_that_was_killed_leaves_its_name_and_a_free_lock(path: Path, other: subprocess.Popen) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    seen = locks.look(path)
    assert seen.cut_off and seen.holder is not None and seen.holder.pid == other.pid
    with locks.hold(path):
        assert locks.look(path).held
    assert locks.look(path) == locks.Look(False, None)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_error_is_an_orderly_end(path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), locks.hold(path):
        raise error
    assert locks.look(path) == locks.Look(False, None)


def test_looks_make_no_start_give_way(path: Path) -> None:
    with locks.hold(path):
        pass
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            locks.look(path)

    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(100):
            with locks.hold(path):
                pass
    finally:
        stop.set()
        for watcher in watchers:
            watcher.join()


def test_looks_do_not_take_each_other_for_a_run(path: Path) -> None:
    with locks.hold(path):
        pass
    with ThreadPoolExecutor(4) as pool:
        assert not any(seen.held for seen in pool.map(locks.look, [path] * 4000))


def count_up(path: Path, counter: Path, times: int) -> None:
    for _ in range(times):
        held = False
        while not held:
            try:
                with locks.hold(path):
                    held = True
                    counter.write_text(str(int(counter.read_text(encoding="utf-8")) + 1), encoding="utf-8")
            except HeldError:
                continue


def test_one_process_at_a_time(path: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0", encoding="utf-8")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count_up, args=(path, counter, 25)) for _ in range(4)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
    finally:
        for process in processes:
            process.kill()
    assert counter.read_text(encoding="utf-8") == "100"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', "\x00" * 5000, '{"host": "a", "pid": {}, "since": 1}']
)
def test_file_that_names_nobody_stops_nothing(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    assert locks.look(path) == locks.Look(False, None)
    with locks.hold(path):
        assert locks.look(path).holder is not None


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_refused_with_what_to_do(
    path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError) as caught, locks.hold(path):
        pass
    assert "seed0.lock" in str(caught.value) and "paths.cache=FOLDER" in storage.told(caught.value)
