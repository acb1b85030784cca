"""The process that compares answers by algebra; pool.py starts `python -m experiments.grading.math.worker`.

It reads a task a line and answers a line for each of the task's rules, as JSON:

    {"limit": 5.0, "rules": {"proper": ["x^2-1", "(x+1)(x-1)"], "released": ["x^2-1", "(x+1)(x-1)"]}}
    {"rule": "proper", "equal": true}
    {"rule": "released", "equal": false}

A comparison can hang inside compiled code, where no Python signal handler runs (a power of big integers), so
the kernel ends this process when a task has used its limit of processor time. Unlike the clock's, that time
does not depend on what else the machine does, so a verdict does not either.
"""

import json
import os
import resource
import signal
import sys
from typing import IO, Any

from experiments.grading.math import proper, released

MEMORY_BYTES = 1024**3
"""Of address space; a worker with sympy in it takes 0.2 GB."""

RULES = {"proper": proper.by_algebra, "released": released.by_algebra, "formula": proper.is_formula}


def main() -> None:
    """Answer tasks until there are no more."""
    _limit_resources()
    requests, replies = sys.stdin.buffer, _own_output()
    for compare in RULES.values():
        compare("x", "y-1")  # imports and tables, so that no answer's time is spent on them
    _say(replies, {"ready": True})
    for line in requests:
        task = json.loads(line.decode("utf-8", "surrogatepass"))
        signal.setitimer(signal.ITIMER_PROF, task["limit"])
        for rule, texts in task["rules"].items():
            _say(replies, {"rule": rule, "equal": _equal(rule, *texts)})
        signal.setitimer(signal.ITIMER_PROF, 0)


def _equal(rule: str, answer: str, reference: str) -> bool:
    try:
        return RULES[rule](answer, reference)
    except (MemoryError, RecursionError):  # too large to compare is not equal; the process goes on
        return False


def _limit_resources() -> None:
    """The kernel ends this process at the end of a task's time, and gives it no more memory than stated.

    macOS knows the limit of address space but does not keep it.
    """
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends its workers
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _own_output() -> IO[bytes]:
    """The pipe to the parent, out of reach of libraries that print."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _say(replies: IO[bytes], message: dict[str, Any]) -> None:
    replies.write(json.dumps(message).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
