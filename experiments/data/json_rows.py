"""Rows of a JSON file and the line each begins at: an array of objects, or one object a line; gzipped or not.

    [{"instruction": "…", "input": "", "output": "…"}, …]          alpaca_data_cleaned.json
    {"question_id": 81, "category": "writing", "turns": ["…"]}     question.jsonl

Which of the two a file is shows in its first character, not in its name: MMLU's lines stand in `….json`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from experiments.data import text_files
from experiments.data.examples import DataError

Row = dict[str, Any]
Made = TypeVar("Made")


def first_file(folder: Path, names: Sequence[str], hint: str) -> Path:
    """The first of `names` that is in the folder, each plain before gzipped.

    Raises:
        DataError: none is; `hint` says what to put there.
    """
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise DataError(f"{folder}: no {' or '.join(names)} (or .gz); {hint}")


def sha256(path: Path) -> str:
    """SHA-256 of the file as it lies there, compressed or not."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path, make: Callable[[Row], Made], hint: str) -> list[Made]:
    """What `make` makes of every row.

    Args:
        path: the file; `.gz` is unpacked.
        make: from a row to an example; raises ValueError with a reason for a row that it refuses.
        hint: what to do about a bad file, for the message.

    Raises:
        DataError: the file is unreadable, no JSON, empty, or has bad rows; names the file and their lines.
    """
    made, problems = [], []
    for line, row in _rows(path, text_files.text(path), hint):
        try:
            made.append(make(row))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    text_files.refuse(path, problems, hint)
    if not made:
        raise DataError(f"{path}: line 1: no rows; {hint}")
    return made


def check(row: Row, fields: Mapping[str, type | tuple[type, ...]]) -> None:
    """Refuse a row that lacks a field or holds another type there.

    Raises:
        ValueError: names every such field.
    """
    wrong = [
        name
        for name, kind in fields.items()
        if not isinstance(row.get(name), kind) or isinstance(row[name], bool)
    ]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} missing or of a wrong type")


def _rows(path: Path, text: str, hint: str) -> Iterator[tuple[int, Row]]:
    found = _array(text) if text.lstrip().startswith("[") else _lines(text)
    line = 0
    while True:
        try:
            line, row = next(found)
        except StopIteration:
            return
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: line {error.lineno}: no JSON ({error.msg}); {hint}") from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested as deep
            raise DataError(f"{path}: line {line + 1} or later: cannot be read ({error}); {hint}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {line}: {type(row).__name__} where an object is due; {hint}")
        yield line, row


def _lines(text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(): a text may hold U+2028 or U+0085, which are no line ends here.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise json.JSONDecodeError(error.msg, "\n" * (number - 1), number - 1) from error
        yield number, value


def _array(text: str) -> Iterator[tuple[int, Any]]:
    """The array's values one by one, so that each has its line."""
    decoder, line, counted = json.JSONDecoder(), 1, 0
    place = _after(text, text.index("[") + 1)
    more = not text.startswith("]", place)
    while more:
        line, counted = line + text.count("\n", counted, place), place
        value, place = decoder.raw_decode(text, place)
        yield line, value
        place = _after(text, place)
        more = text.startswith(",", place)
        place = _after(text, place + 1) if more else place
    if text[place:].rstrip() != "]":
        raise json.JSONDecodeError("a comma or the array's end is due", text, place)


def _after(text: str, place: int) -> int:
    """The next place that is no white space."""
    while text[place : place + 1] in (" ", "\t", "\n", "\r"):
        place += 1
    return place
