"""Which runs are running now and which were cut off, by their locks in the cache."""

from dataclasses import dataclass, field
from pathlib import Path

from experiments import claims, locks
from experiments.locks import Holder


@dataclass(frozen=True)
class Seen:
    """What the locks of a family's runs at one scale say.

    Attributes:
        running: run_id -> the process that runs it; None where its lock does not say.
        cut_off: run_id -> the process that died running it.
        unseen: run_id -> why its lock cannot be looked at.
    """

    running: dict[str, Holder | None] = field(default_factory=dict)
    cut_off: dict[str, Holder] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)


def see(cache: Path, scale: str, family: str) -> Seen:
    """Look at every lock; no run is disturbed."""
    root, seen = claims.lock_dir(cache, scale), Seen()
    for path in sorted((root / family).rglob("*.lock")):
        run_id = str(path.relative_to(root).with_suffix(""))
        try:
            found = locks.look(path)
        except OSError as error:
            seen.unseen[run_id] = str(error)
            continue
        if found.held:
            seen.running[run_id] = found.holder
        elif found.holder is not None:
            seen.cut_off[run_id] = found.holder
    return seen
