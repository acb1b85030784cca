"""What it means that a disk refuses to be written, and what to do about it."""

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

FOLDERS = "paths.results=FOLDER for records, paths.cache=FOLDER for all else"
FULL = (
    "the disk or your quota is full: free some space. Nothing finished is lost, and the same command goes on "
    "from the last checkpoint"
)
NO_LOCKS = (
    "this file system has no locks, without which two processes would run the same run: choose a folder on "
    "another one with paths.cache=FOLDER"
)
ADVICE = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: f"it can only be read: choose another folder ({FOLDERS})",
    errno.EACCES: f"you lack the permission: get it, or choose another folder ({FOLDERS})",
    errno.EPERM: f"you lack the permission: get it, or choose another folder ({FOLDERS})",
    errno.ENOLCK: NO_LOCKS,
    errno.ENOSYS: NO_LOCKS,
    errno.EOPNOTSUPP: NO_LOCKS,
}
IN_RUST = re.compile(r"\(os error (\d+)\)")  # how safetensors words what the system said


def told(error: BaseException) -> str:
    """An error in words; where the system refused a file, with what to do."""
    text = str(error) or type(error).__name__
    found = IN_RUST.search(text)
    code = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    return f"{text}; {ADVICE[code]}" if code in ADVICE else text


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let what the system refuses while a file is written name that file; a write alone does not know it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
