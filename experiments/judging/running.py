"""Ask the judge for all that is missing, several calls at a time, each kept at once.

Ctrl-C, a refused call or a call that failed too often stops the run: no further call begins, those under way
are waited for and kept, and the next run goes on from there. A second Ctrl-C does not wait.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from experiments.judging.calls import Call, key
from experiments.judging.endpoint import Endpoint, Note
from experiments.judging.journal import Entry, Journal
from experiments.judging.settings import Judge, JudgingError


def missing(calls: Sequence[Call], judge: Judge, entries: Mapping[str, Entry]) -> list[Call]:
    """The calls whose judgement is not among a journal's entries."""
    return [call for call in calls if key(call, judge) not in entries]


def run(
    calls: Sequence[Call], judge: Judge, journal: Journal, endpoint: Endpoint, concurrency: int, note: Note
) -> None:
    """Ask for every judgement that is missing.

    Args:
        calls: all of them; those in the journal are not made again.
        judge: who is asked.
        journal: open; each judgement is appended as it comes.
        endpoint: asks.
        concurrency: calls at a time.
        note: told of each judgement.

    Raises:
        JudgingError: the endpoint refuses or fails too often, or `concurrency` is below 1.
        KeyboardInterrupt: Ctrl-C.
    """
    if concurrency < 1:
        raise JudgingError(f"concurrency is {concurrency}; choose 1 or more")
    todo = missing(calls, judge, journal.entries)
    asyncio.run(_all(todo, judge, journal, endpoint, concurrency, note))


async def _all(
    todo: Sequence[Call], judge: Judge, journal: Journal, endpoint: Endpoint, concurrency: int, note: Note
) -> None:
    stop, waiting = asyncio.Event(), iter(todo)
    workers = [
        asyncio.create_task(_work(waiting, judge, journal, endpoint, stop, note))
        for _ in range(min(concurrency, len(todo)))
    ]
    try:
        await _finish(workers, stop, note)
    finally:
        await endpoint.close()
    for error in [worker.exception() for worker in workers]:
        if error is not None:
            raise error


async def _finish(workers: Sequence[asyncio.Task[None]], stop: asyncio.Event, note: Note) -> None:
    """Wait for all workers, also after a cancellation, which is how Ctrl-C arrives here."""
    if not workers:
        return
    try:
        await asyncio.wait(workers)
    except asyncio.CancelledError:
        stop.set()
        note("stopping: waiting for the calls under way; Ctrl-C again gives them up")
        await asyncio.wait(workers)
        raise


async def _work(
    waiting: Iterator[Call],
    judge: Judge,
    journal: Journal,
    endpoint: Endpoint,
    stop: asyncio.Event,
    note: Note,
) -> None:
    """Take one call after the other until none is left or the run stops."""
    for call in waiting:
        if stop.is_set():
            return
        try:
            reply = await endpoint.ask(call, stop)
            if reply is not None:
                told = {"question_id": call.question_id, "turn": call.turn, "template": call.template}
                journal.append(key(call, judge), {**told, **asdict(reply), "tstamp": time.time()})
                note(f"{call.place}: judged")
        except BaseException:
            stop.set()
            raise
