"""Reads what an offline run of W&B wrote: its identity, config, summary, history, artifacts, exit code."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 2**15


def offline_runs(cache: Path) -> list[Path]:
    """The files of all runs, the newest last: names tell seconds only."""
    return sorted(
        (cache / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: (path.stat().st_mtime_ns, path)
    )


def messages(path: Path) -> Iterator[bytes]:
    """The messages of a .wandb file: LevelDB's log format after a header of 7 bytes.

    Blocks of 32 KiB hold chunks: checksum (4 bytes), length (2), kind (1 whole, 2 first, 3 middle, 4 last).
    """
    data, position, message = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        if left < 7:  # a block's last bytes are zeros if no chunk fits
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if position + 7 + length > len(data):  # not yet written whole
            return
        message += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield message
            message = b""


def read(path: Path) -> dict[str, Any]:
    """What a finished offline run holds; W&B's service writes its end shortly after `finish` returns."""
    for _ in range(200):
        found = _read(path)
        if "exit_code" in found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path}: has no end")


def _read(path: Path) -> dict[str, Any]:
    """What an offline run holds: identity, last config and summary, all else in the order it was logged."""
    found: dict[str, Any] = {"config": {}, "summary": {}, "history": [], "artifacts": []}
    for data in messages(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["run"] = record.run
            found["config"] |= values(record.run.config.update)
        elif kind == "config":
            found["config"] |= values(record.config.update)
        elif kind == "summary":
            found["summary"] |= values(record.summary.update)
        elif kind == "history":
            found["history"].append(values(record.history.item))
        elif kind == "artifact":
            found["artifacts"].append(record.artifact)
        elif kind == "exit":
            found["exit_code"] = record.exit.exit_code
    return found


def values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
