"""A sweep as seen by the process that started it: Hydra calls `Sweep`, which watches outcomes and sums up."""

import json
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.markup import escape

from experiments import distributed
from experiments.composing import CONF
from experiments.progress import GOOD, NOTICE, OUTCOMES, Outcome, display

_POLL_SECONDS = 0.5


class Watcher(threading.Thread):
    """Reads the outcomes of a sweep as they come."""

    def __init__(self, path: Path, seen: Callable[[Outcome], None]) -> None:
        super().__init__(daemon=True)
        self.path, self.seen = path, seen
        self.read = 0
        self.over = threading.Event()

    def run(self) -> None:
        """Look, until told that it is over; then once more."""
        while not self.over.wait(_POLL_SECONDS):
            self.look()
        self.look()

    def look(self) -> None:
        """Hand on what is new."""
        with suppress(FileNotFoundError):
            whole, _, _ = self.path.read_text(encoding="utf-8").rpartition("\n")  # the rest is being written
            lines = whole.splitlines()
            for outcome in map(_outcome, lines[self.read :]):
                if outcome is not None:
                    self.seen(outcome)
            self.read = len(lines)


def _outcome(line: str) -> Outcome | None:
    """What a line tells; None if it is empty, or if a full disk cut it off: then its job counts as lost."""
    try:
        return Outcome(**json.loads(line))
    except (ValueError, TypeError):
        return None


class Sweep(Callback):
    """Hydra's hook: bars, and a sweep's summary. Hydra pickles it, so its state lies outside."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """A single run starts."""
        global _closed
        _closed = None
        if distributed.is_first():
            display.start()

    def on_run_end(self, config: DictConfig, **_: Any) -> None:
        """It is over."""
        display.stop()

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """A sweep starts."""
        global _sweep, _closed
        _closed = None
        display.start()
        _sweep = _Sweep(Path(config.hydra.sweep.dir), num_jobs(config))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """It is over, for better or worse."""
        close()


class _Sweep:
    """A sweep in progress, as its own process sees it."""

    def __init__(self, folder: Path, total: int) -> None:
        self.total = total
        (folder / OUTCOMES).unlink(missing_ok=True)  # of an earlier sweep in a folder of the user's choice
        self.bar = display.add("sweep", total)
        self.watcher = Watcher(folder / OUTCOMES, self.seen)
        self.watcher.start()

    def seen(self, outcome: Outcome) -> None:
        """One more job ended; the many that were finished before are only counted."""
        display.note(outcome, quiet=outcome.status in ("skipped", "checked"))
        if display.progress is not None and self.bar is not None and outcome.status != NOTICE:
            display.progress.advance(self.bar)

    def close(self) -> None:
        """Read what is left and sum up."""
        self.watcher.over.set()
        self.watcher.join()
        counts = dict.fromkeys((*GOOD, "failed"), 0)
        for outcome in display.outcomes:
            counts[outcome.status] = counts.get(outcome.status, 0) + 1
        found = [f"{count} {status}" for status, count in counts.items() if count]
        found += [f"{self.lost()} without an outcome"] if self.lost() else []
        display.console.print(f"{self.total} runs: {', '.join(found)}", highlight=False)
        if self.lost():
            what = (
                "A worker was killed, perhaps for memory, or they still run elsewhere, which `make status` "
                "tells; the same command goes on from here"
            )
            display.console.print(f"  {what}", style="red", soft_wrap=True, highlight=False)
        for outcome in display.failures():
            display.console.print(escape(f"  {outcome}"), style="red", soft_wrap=True, highlight=False)

    def lost(self) -> int:
        """Jobs that ended without a word, such as those of a worker that was killed."""
        return self.total - len(display.outcomes)

    def complete(self) -> bool:
        """Whether every run of the sweep has a finished record."""
        done = [outcome for outcome in display.outcomes if outcome.status in ("success", "skipped")]
        return len(done) == self.total


_sweep: _Sweep | None = None
_closed: _Sweep | None = None


def complete() -> bool:
    """Whether a sweep was closed in which every run has a finished record."""
    return _closed is not None and _closed.complete()


def watched() -> bool:
    """Whether a sweep was watched to its end: Hydra goes on without a callback that fails."""
    return _closed is not None


def lost() -> int:
    """Jobs of a closed sweep that ended without an outcome."""
    return _closed.lost() if _closed is not None else 0


def close() -> None:
    """End the bars, and the sweep if there is one; calling it again does nothing."""
    global _sweep, _closed
    display.stop()
    if _sweep is not None:
        _sweep.close()
        _sweep, _closed = None, _sweep


def num_jobs(config: DictConfig) -> int:
    """How many jobs Hydra's basic sweeper makes of a command line."""
    asked: Sequence[str] = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    counts = {}
    for override in OverridesParser.create().parse_overrides([*asked, *config.hydra.overrides.task]):
        counts[override.get_key_element()] = _num_values(override)
    return math.prod(counts.values())


def _num_values(override: Override) -> int:
    """Values that an override sweeps over; a glob takes the files of its group that fit."""
    value: object = override.value()  # Hydra leaves Glob out of its annotation
    if isinstance(value, Glob):
        names = [path.stem for path in (CONF / override.key_or_group).glob("*.yaml")]
        return len(value.filter(names))
    return len(list(override.sweep_string_iterator())) if override.is_sweep_override() else 1
