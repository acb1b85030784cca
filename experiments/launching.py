"""What launchers need to be told, and how Hydra's own end is told: in a line, where it would be a traceback.

The jobs of a sweep tell their errors themselves, so what arrives here is a launcher's: a worker that was
killed, a scheduler that is not there, a disk that is full.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from hydra.errors import CompactHydraException

from experiments import storage

FULL_ERROR = "HYDRA_FULL_ERROR"
SENTENCE = {"UncompletedJobError": 2}
"""Lines of an error's first sentence, where it has several; in submitit's second is a lost job's state."""

LOKY = "joblib.externals.loky.process_executor"
GROWTH = 8 * 2**30
"""Bytes that a worker of joblib may grow by after its first job."""


def let_worker_grow() -> None:
    """Keep joblib from replacing this process, if it is a worker of its, as soon as it holds 300 MB more.

    It holds that much more after its first run, where its first job was finished before and imported nothing.
    The worker in its place would import torch and all else once more: 10 s of a core, at each sweep that goes
    on, for each worker. joblib has no setting for the bound.
    """
    if LOKY in sys.modules:
        sys.modules[LOKY]._MAX_MEMORY_LEAK_SIZE = GROWTH  # type: ignore[attr-defined]


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """End with 1 and a line on an error of Hydra's or a launcher's; HYDRA_FULL_ERROR=1 gives it whole."""
    asked = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # Hydra then hands errors on, and prints none itself
    try:
        yield
    except Exception as error:
        if asked == "1":
            raise
        print(_told(error), file=sys.stderr)
        sys.exit(1)
    finally:
        del os.environ[FULL_ERROR]
        if asked is not None:
            os.environ[FULL_ERROR] = asked


def _told(error: Exception) -> str:
    """The error as it is worded if it is Hydra's on a configuration, else its first sentence and its kind."""
    if isinstance(error, CompactHydraException):
        return "\n".join(filter(None, [str(error), str(error.__cause__ or "")]))
    lines, kind = storage.told(error).split("\n"), type(error).__name__
    first, rest = lines[: SENTENCE.get(kind, 1)], lines[SENTENCE.get(kind, 1) :]
    more = f"; {FULL_ERROR}=1 shows all of it" if rest or not isinstance(error, OSError) else ""
    return f"it broke off: {kind}: {' '.join(first)}{more}"
