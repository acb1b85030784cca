import gzip
from pathlib import Path

import pytest

from experiments.data.examples import DataError
from experiments.data.text_files import lines, refuse, text


def test_only_a_line_feed_ends_a_line_and_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    raw = "\ufeffone \x85 \u2028 two\nthree\n".encode()
    (tmp_path / "a.txt").write_bytes(raw)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(raw))
    for name in ("a.txt", "a.txt.gz"):
        assert lines(tmp_path / name) == ["one \x85 \u2028 two", "three"]


def test_a_carriage_return_is_refused_in_lines_and_kept_in_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\r\n")
    assert text(tmp_path / "a.txt") == "one\ntwo\r\n"
    with pytest.raises(DataError, match=r"a\.txt: line 2: has a carriage return"):
        lines(tmp_path / "a.txt")


def test_wrong_encodings_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("one\nCafé\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt: line 2: is not UTF-8"):
        text(tmp_path / "a.txt")
    with pytest.raises(DataError, match=r"none: damaged or unreadable .*fetch the file again"):
        text(tmp_path / "none")


def test_the_first_problems_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    refuse(tmp_path, [], "advice")
    with pytest.raises(DataError, match="p0; p1; p2; p3; p4; advice"):
        refuse(tmp_path, [f"p{i}" for i in range(5)], "advice")
    with pytest.raises(DataError, match="p4 and 2 more; advice"):
        refuse(tmp_path, [f"p{i}" for i in range(7)], "advice")
