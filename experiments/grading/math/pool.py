"""Processes that compare answers, from the parent's side: give out tasks, watch the clock, kill, replace.

A worker that ends while it holds a task tells by the way it ended what became of the task:

- by SIGPROF, when the task has used its processor time, or by the parent, when it has stood still: timed out;
- by SIGKILL from elsewhere (a person, the kernel when memory is short): the task is given out once more;
- in any other way (a crash of compiled code): crashed.

Rules that the worker had answered before keep their verdicts. Nothing is pickled and no thread is used.
"""

import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Self

TIMED_OUT, CRASHED, GRADED = "timed out", "crashed", "graded"

_COMMAND = [sys.executable, "-m", "experiments.grading.math.worker"]
_STILL = 4  # times its limit that a task may take by the clock: others may use the processor too
_START_SECONDS = 120  # for a worker's imports on a busy machine
_MOST_EARLY_DEATHS = 3  # of workers killed while they start; a machine without memory would go on for ever
_LONGEST_TASK = 60_000  # bytes; a pipe holds 65,536, so that handing out a task never blocks


class PoolError(RuntimeError):
    """Workers that cannot be started; the message holds what they said."""


@dataclass(frozen=True)
class Task:
    """Texts to compare, (answer, reference) by rule of `worker.RULES`."""

    rules: dict[str, tuple[str, str]]


@dataclass
class Outcome:
    """What became of a task: verdicts by rule, and "graded", "timed out" or "crashed"."""

    equal: dict[str, bool] = field(default_factory=dict)
    status: str = GRADED


class _Worker:
    """One process and the task that it holds."""

    def __init__(self) -> None:
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `Pool`)
        self.process = subprocess.Popen(
            _COMMAND,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env={**os.environ, "PYTHONHASHSEED": "0"},  # sympy's order of terms, and so the paths it takes
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.requests, self.replies = self.process.stdin, self.process.stdout
        self.buffer = b""
        self.task: int | None = None
        self.open: set[str] = set()  # rules of the task without an answer
        self.ready, self.killed = False, False
        self.deadline = time.monotonic() + _START_SECONDS

    @property
    def idle(self) -> bool:
        return self.ready and self.task is None and not self.killed

    def give(self, number: int, task: Task, limit_seconds: float) -> None:
        text = json.dumps({"limit": limit_seconds, "rules": task.rules}, ensure_ascii=False)
        message = text.encode("utf-8", "surrogatepass") + b"\n"
        assert len(message) <= _LONGEST_TASK
        self.task, self.open = number, set(task.rules)
        self.deadline = time.monotonic() + _STILL * limit_seconds
        with contextlib.suppress(BrokenPipeError):  # it has just been killed; its end will be seen
            self.requests.write(message)

    def messages(self) -> list[dict[str, Any]] | None:
        """Whole messages that have come; None at the end of the process."""
        found = os.read(self.replies.fileno(), 65_536)
        *lines, self.buffer = (self.buffer + found).split(b"\n")
        return [json.loads(line) for line in lines] if found else None

    def kill(self) -> None:
        self.killed = True
        self.process.kill()

    def close(self) -> int:
        """End the process if it runs; its return code, negative for a signal."""
        if self.process.poll() is None:
            self.process.kill()
        for file in (self.requests, self.replies):
            file.close()
        return self.process.wait()


class Pool:
    """Workers for one list of tasks; as a context, it leaves no process behind, whatever happens in it.

    Args:
        num_workers: processes at a time.
        limit_seconds: of processor time, of each task.

    Raises:
        PoolError: a worker does not start.
    """

    def __init__(self, num_workers: int, limit_seconds: float) -> None:
        self.num_workers, self.limit_seconds = num_workers, limit_seconds
        self.selector = selectors.DefaultSelector()
        self.workers: list[_Worker] = []
        self.num_early_deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.close()
            worker.said.close()
        self.selector.close()

    def run(self, tasks: Sequence[Task], advance: Callable[[], object]) -> list[Outcome]:
        """The outcomes in the tasks' order.

        Args:
            tasks: what to compare.
            advance: called when a task is done.
        """
        self.tasks, self.advance = tasks, advance
        self.outcomes = [Outcome() for _ in tasks]
        self.waiting, self.given_again, self.num_open = deque(range(len(tasks))), set[int](), len(tasks)
        while self.num_open:
            self._staff()
            first = min(worker.deadline for worker in self.workers)
            wait = None if math.isinf(first) else max(0.0, first - time.monotonic())
            for key, _ in self.selector.select(wait):
                self._hear(key.data)
            for worker in self.workers:
                if time.monotonic() > worker.deadline:
                    worker.kill()  # its end is seen when its pipe ends
                    worker.deadline = math.inf
        return self.outcomes

    def _staff(self) -> None:
        """As many workers as there is work for, each with a task once it is ready."""
        while len(self.workers) < min(self.num_workers, self.num_open):
            self.workers.append(_Worker())
            self.selector.register(self.workers[-1].replies, selectors.EVENT_READ, self.workers[-1])
        for worker in self.workers:
            if worker.idle and self.waiting:
                number = self.waiting.popleft()
                worker.give(number, self.tasks[number], self.limit_seconds)

    def _hear(self, worker: _Worker) -> None:
        messages = worker.messages()
        if messages is None:
            self._bury(worker)
            return
        for message in messages:
            if "ready" in message:
                worker.ready, worker.deadline = True, math.inf
                continue
            assert worker.task is not None
            self.outcomes[worker.task].equal[message["rule"]] = message["equal"]
            worker.open.discard(message["rule"])
            if not worker.open:
                worker.task, worker.deadline = None, math.inf
                self._done()

    def _bury(self, worker: _Worker) -> None:
        """Take a dead worker's place away, and decide on the task it held."""
        self.selector.unregister(worker.replies)
        self.workers.remove(worker)
        code = worker.close()
        said = _tail(worker.said)
        if not worker.ready:
            self.num_early_deaths += 1
            if code != -signal.SIGKILL or self.num_early_deaths > _MOST_EARLY_DEATHS:
                raise PoolError(f"a grading process ended with code {code} before it was ready: {said}")
        if worker.task is None:
            return
        if code == -signal.SIGKILL and not worker.killed and worker.task not in self.given_again:
            self.given_again.add(worker.task)
            self.waiting.appendleft(worker.task)
            return
        timed_out = worker.killed or code == -signal.SIGPROF
        self.outcomes[worker.task].status = TIMED_OUT if timed_out else CRASHED
        self._done()

    def _done(self) -> None:
        self.num_open -= 1
        self.advance()


def _tail(file: IO[bytes]) -> str:
    """The last lines that a worker wrote to its standard error."""
    with file:
        file.seek(0)
        return file.read()[-2_000:].decode(errors="replace").strip() or "it said nothing"
