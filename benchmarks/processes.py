"""A command with all processes that it starts: they form a group, which outlives its first process."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Group:
    """The processes of a started command.

    Attributes:
        first: the command's own.
    """

    first: "subprocess.Popen[str]"

    def members(self, holding: str = "") -> list[int]:
        """The ids of those that live and whose command line holds a text."""
        # Twice `w`, or COLUMNS cuts the lines; others' command lines may be in any encoding.
        words = ["ps", "-axwwo", "pid=,pgid=,stat=,args="]
        listed = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace", check=True)
        lines = (line.split(maxsplit=3) for line in listed.stdout.splitlines())
        return [
            int(pid)
            for pid, group, state, command in lines
            if int(group) == self.first.pid and not state.startswith("Z") and holding in command
        ]

    def kill(self) -> None:
        """Kill all that live."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.first.pid, signal.SIGKILL)
        self.first.wait()


@contextlib.contextmanager
def started(
    command: Sequence[str], output: Path | IO[str], environment: Mapping[str, str] | None = None
) -> Iterator[Group]:
    """Start a command; in the end it and every process that it started are gone.

    Args:
        command: its words.
        output: the file that takes what all of them say.
        environment: variables beside those of this process.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(output.open("a", encoding="utf-8")) if isinstance(output, Path) else output
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        group = Group(process)
        stack.callback(group.kill)
        yield group
