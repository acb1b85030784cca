"""What a person sees: bars with the time left on a terminal, and everywhere one line a finished run.

The jobs of a sweep may run in other processes. Each adds one line of JSON to `outcomes.jsonl` in the sweep's
folder when it ends; the process that started the sweep watches that file, prints the lines, and sums up at
the end.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from experiments import distributed, storage

GOOD = ("success", "skipped", "checked")
BUSY = "busy"
NOTICE = "notice"  # no end of a job, but a line of it that a sweep shows once
OUTCOMES = "outcomes.jsonl"


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        run_id: which run; the command line's overrides if the configuration was refused.
        status: "success", "failed", or why nothing ran: "skipped" (finished before), "busy" (another process
            runs it), "checked" (only the configuration was asked for). A "notice" is no end: a word before.
        message: the first line of the error, or what is worth saying.
        record: path of the record, if there is one.
        seconds: that the job took.
    """

    run_id: str
    status: str
    message: str = ""
    record: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line for a person."""
        parts = [
            f"{self.status:8}{self.run_id}",
            f"{self.seconds:.1f} s" if self.seconds else "",
            self.message,
        ]
        return "  ".join(part for part in [*parts, self.record] if part)


@dataclass
class Display:
    """The bars of this process, and the outcomes that it knows of."""

    console: Console = field(default_factory=Console)
    outcomes: list[Outcome] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    progress: Progress | None = None

    def start(self) -> None:
        """Show bars, if this is a terminal."""
        if self.console.is_terminal and self.progress is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self.progress = Progress(*columns, console=self.console, transient=True)
            self.progress.start()

    def stop(self) -> None:
        """Take the bars away."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None

    def add(self, description: str, total: int) -> TaskID | None:
        """A new bar; None where none is shown."""
        return self.progress.add_task(description, total=total) if self.progress else None

    def note(self, outcome: Outcome, *, quiet: bool = False) -> None:
        """Keep an outcome, and print it unless `quiet`; a notice is printed the first time that it comes."""
        if outcome.status == NOTICE:
            self._warn(outcome.message)
            return
        self.outcomes.append(outcome)
        if quiet:
            return
        style = "" if outcome.status in (*GOOD, BUSY) else "red"
        self.console.print(escape(str(outcome)), style=style, soft_wrap=True, highlight=False)

    def _warn(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)
            self.console.print(escape(text), style="yellow", soft_wrap=True, highlight=False)

    def failures(self) -> list[Outcome]:
        """What failed."""
        return [outcome for outcome in self.outcomes if outcome.status not in (*GOOD, BUSY)]

    def busy(self) -> list[Outcome]:
        """What another process runs, so that nobody knows yet how it ends."""
        return [outcome for outcome in self.outcomes if outcome.status == BUSY]


display = Display()


def follow(outcome: Outcome) -> None:
    """Keep how a process ended that is not its run's first, which is heard: only its own failure is told."""
    display.note(outcome, quiet=True)
    if display.failures():
        distributed.linger()
        print(f"process {distributed.rank()} of {distributed.size()}: {outcome}", file=sys.stderr)


def report(outcome: Outcome, sweep_dir: Path | None) -> None:
    """Say how a job ended, or a notice of it: here, or to the process that started the sweep."""
    if sweep_dir is None:
        display.note(outcome)
        return
    try:
        _append(sweep_dir / OUTCOMES, json.dumps(asdict(outcome)))
    except OSError as error:  # the run is over and its record lies elsewhere; only this word is lost
        print(f"{outcome}\n  (not told to its sweep: {storage.told(error)})", file=sys.stderr)


def _append(path: Path, line: str) -> None:
    """Add a line in one call, so that those of several processes do not mix.

    It begins with a line's end too: so one that a full disk cut off spoils no other.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with storage.naming(path):
        try:
            os.write(descriptor, f"\n{line}\n".encode())
        finally:
            os.close(descriptor)
