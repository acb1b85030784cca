import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments.grading.math import pool, worker
from experiments.grading.math.pool import CRASHED, GRADED, TIMED_OUT, Outcome, Pool, Task

ENDLESS = ("10**10**10", "7")
"""A power of integers: one step of compiled code, which no Python signal handler interrupts."""


def tasks(number: int) -> list[Task]:
    return [Task({"released": (f"x+{i}", f"{i % 3}+x")}) for i in range(number)]


def right(number: int) -> list[Outcome]:
    return [Outcome({"released": i < 3}, GRADED) for i in range(number)]


def signal_holders(processes: Pool, which: int, code: int, times: int = 1) -> threading.Thread:
    """Send a signal to the first so many workers that hold task `which`."""

    def wait() -> None:
        deadline, signalled = time.monotonic() + 60, set()
        while len(signalled) < times and time.monotonic() < deadline:
            for one in list(processes.workers):
                if one.task == which and one.process.pid not in signalled:
                    os.kill(one.process.pid, code)
                    signalled.add(one.process.pid)
            time.sleep(0.02)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_outcomes_come_in_the_tasks_order_and_only_what_never_ends_is_cut() -> None:
    given = [*tasks(3), Task({"released": ENDLESS}), *tasks(2)]
    done = []
    with Pool(2, limit_seconds=1.0) as processes:
        outcomes = processes.run(given, lambda: done.append(1))
        children = [one.process for one in processes.workers]
    assert [outcome.status for outcome in outcomes] == [GRADED] * 3 + [TIMED_OUT] + [GRADED] * 2
    assert outcomes[:3] == right(3) and outcomes[4:] == right(2)
    assert len(done) == len(given)
    assert all(child.poll() is not None for child in children)


def test_a_rule_answered_before_the_time_is_up_keeps_its_verdict() -> None:
    task = Task({"proper": ("x+1", "1+x"), "released": ENDLESS})
    with Pool(1, limit_seconds=1.0) as processes:
        assert processes.run([task], lambda: None) == [Outcome({"proper": True}, TIMED_OUT)]


def test_a_worker_killed_half_way_costs_no_verdict() -> None:
    """Mutation tried: not giving the task out again; an outcome is then "crashed"."""
    killed = []

    def kill_once() -> None:
        if not killed:
            killed.extend(one.process.pid for one in processes.workers)
            for pid in killed:  # idle now, and given the next task before its end is seen
                os.kill(pid, signal.SIGKILL)

    with Pool(1, limit_seconds=30) as processes:
        assert processes.run(tasks(6), kill_once) == right(6)
        assert len(killed) == 1 and len(processes.given_again) == 1


def test_a_task_whose_worker_is_killed_twice_is_given_up() -> None:
    with Pool(1, limit_seconds=30) as processes:
        killer = signal_holders(processes, 0, signal.SIGKILL, times=2)
        outcomes = processes.run([Task({"released": ENDLESS}), *tasks(1)], lambda: None)
        killer.join()
    assert [outcome.status for outcome in outcomes] == [CRASHED, GRADED]


def test_a_crash_of_compiled_code_costs_its_own_answer_only() -> None:
    with Pool(1, limit_seconds=30) as processes:
        killer = signal_holders(processes, 0, signal.SIGSEGV)
        outcomes = processes.run([Task({"released": ENDLESS}), *tasks(2)], lambda: None)
        killer.join()
    assert [outcome.status for outcome in outcomes] == [CRASHED, GRADED, GRADED]


def test_a_worker_that_stands_still_is_ended_by_the_clock() -> None:
    """Mutation tried: no deadline by the clock; the test then never ends."""
    with Pool(1, limit_seconds=1.0) as processes:
        stopper = signal_holders(processes, 0, signal.SIGSTOP)
        outcomes = processes.run([Task({"released": ENDLESS}), *tasks(1)], lambda: None)
        stopper.join()
    assert [outcome.status for outcome in outcomes] == [TIMED_OUT, GRADED]


def test_a_worker_that_cannot_start_is_an_error_that_holds_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_COMMAND", [sys.executable, "-m", "experiments.grading.no_such_module"])
    with Pool(1, limit_seconds=1) as processes:
        with pytest.raises(pool.PoolError, match="No module named experiments.grading.no_such_module"):
            processes.run(tasks(1), lambda: None)


def test_an_interrupted_run_leaves_no_process_behind() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Pool(2, limit_seconds=30) as processes:
        processes.run([*tasks(1), Task({"released": ENDLESS})], interrupt)
    assert processes.workers and all(one.process.poll() is not None for one in processes.workers)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a limit of address space")
def test_a_worker_gets_no_more_memory_than_its_limit() -> None:
    program = (
        "from experiments.grading.math import worker\n"
        "worker._limit_resources()\n"
        "bytearray(worker.MEMORY_BYTES // 2)\n"
        "bytearray(worker.MEMORY_BYTES)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "MemoryError" and "line 4" in ended.stderr


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_what_is_too_large_to_compare_is_not_equal(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(answer: str, reference: str) -> bool:
        raise error

    monkeypatch.setitem(worker.RULES, "proper", fail)
    assert worker._equal("proper", "1", "1") is False


WATCHED = r"""
import sys
from experiments.grading.math import worker
for compare in worker.RULES.values():
    compare("x", "\\frac{1}{2}")
ran = []
def watch(event, args):
    if event == "compile" and b"def monomial_" in (args[0] or b""):
        return  # sympy's own code, made from the number of variables
    written = event == "open" and args[1] != "r"
    if written or event in ("compile", "os.system", "subprocess.Popen", "os.posix_spawn"):
        ran.append((event, args[0]))
sys.addaudithook(watch)
for text in sys.argv[1:]:
    for compare in worker.RULES.values():
        assert not compare(text, "5") or compare is worker.RULES["formula"], text
print(ran)
"""


def test_no_answer_is_ever_run_as_a_program(tmp_path: Path) -> None:
    """Mutations tried: sympy's own parser in formulas.py; no guard around math-verify. Both compile texts."""
    mark = tmp_path / "obeyed"
    texts = [
        f"__import__('os').system('touch {mark}')",
        f'__import__("os").system("touch {mark}")+1',
        f"open('{mark}', 'w')",
        f'exec(\'open("{mark}", "w")\')',
        f"(lambda: __import__('pathlib').Path('{mark}').touch())()",
        f"\\text{{__import__('os').system('touch {mark}')}}",
        f"[c for c in ().__class__.__base__.__subclasses__()][0]('{mark}')",
        "6*7",
        "2^{2}+\\frac{1}{2}",
    ]
    watched = [sys.executable, "-c", WATCHED, *texts]
    ended = subprocess.run(watched, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.strip() == "[]"
    assert not mark.exists()
