"""A sweep that succeeded whole is known again at once, without composing its runs.

Hydra needs about 0.2 s to compose a run, and a grid has many. So a sweep in which every run succeeded leaves
a note: which records answered, and a digest of each. The note holds while nothing that could change a run has
changed: the words of the command, `conf/`, the code, and the records themselves.
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("conf/**/*.yaml", "experiments/**/*.py", "vblora/**/*.py")


def known(words: Sequence[str]) -> int | None:
    """How many runs this command would find finished; None if it must look at each.

    Args:
        words: the command's arguments.
    """
    sweep = "-m" in words or "--multirun" in words
    if not sweep or _looks_at_each(words):
        return None
    try:
        records: dict[str, str] = json.loads(_note(words).read_text(encoding="utf-8"))
        unchanged = all(_digest(Path(path)) == digest for path, digest in records.items())
    except (OSError, ValueError, AttributeError):  # a note that is gone, or no note
        return None
    return len(records) if unchanged and records else None


def keep(words: Sequence[str], records: Sequence[str]) -> None:
    """Remember that this command found or made these records, all of finished runs; not if it was forced."""
    if _looks_at_each(words):
        return
    note = _note(words)
    text = json.dumps({str(Path(path).resolve()): _digest(Path(path)) for path in records})
    with contextlib.suppress(OSError):  # without a note the next call looks at each run, and finds the same
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(text, encoding="utf-8")


def _looks_at_each(words: Sequence[str]) -> bool:
    return any(word.lstrip("+").startswith(("force=", "check=")) for word in words)


def _note(words: Sequence[str]) -> Path:
    given = (word.lstrip("+").partition("=") for word in words)
    cache = next((value for key, _, value in given if key == "paths.cache"), ".cache")
    return Path(cache) / "finished" / f"{_key(words)}.json"


def _key(words: Sequence[str]) -> str:
    """A digest of the command and of everything that decides what it means."""
    total = hashlib.sha256(json.dumps([list(words), str(Path.cwd())]).encode())
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            total.update(f"{path.relative_to(ROOT)}\n".encode())
            total.update(path.read_bytes())
    return total.hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
