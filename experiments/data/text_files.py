"""Text files as they lie on disk, plain or gzipped, and what is said of bad ones."""

import codecs
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from experiments.data.examples import DataError

_SHOWN_PROBLEMS = 5  # enough to see the pattern; a file in a wrong format has one on every line


def text(path: Path) -> str:
    """The file's text, unpacked if its name ends in `.gz`, without a byte-order mark.

    Raises:
        DataError: it is unreadable, damaged or not UTF-8.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged or unreadable ({error}); fetch the file again") from error
    raw = raw.removeprefix(codecs.BOM_UTF8)  # MSR's own file starts with one, and so does MRPC made from it
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path}: line {line}: is not UTF-8; fetch the file again or convert it") from error


def lines(path: Path) -> list[str]:
    r"""The file's lines, which only \n ends.

    Raises:
        DataError: as `text`, or a line has a carriage return.
    """
    found = text(path)
    refuse_carriage_returns(path, found)
    # Not splitlines(): a sentence may hold U+2028 or U+0085, which are no line ends here.
    return found.removesuffix("\n").split("\n")


def refuse_carriage_returns(path: Path, found: str) -> None:
    """Refuse a text with one.

    Raises:
        DataError: names the file and the line.
    """
    if "\r" in found:
        line = found[: found.index("\r")].count("\n") + 1
        raise DataError(f"{path}: line {line}: has a carriage return; convert the line ends to plain \\n")


def refuse(path: Path, problems: Sequence[str], advice: str) -> None:
    """Refuse a file that has problems; the first few are shown, the rest counted.

    Raises:
        DataError: there is one.
    """
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        rest = f" and {more} more" if more > 0 else ""
        raise DataError(f"{path}: {'; '.join(problems[:_SHOWN_PROBLEMS])}{rest}; {advice}")
