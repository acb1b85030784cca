import gzip
from pathlib import Path

import pytest

from experiments.data.examples import DataError
from experiments.data.json_rows import Row, check, first_file, read


def name(row: Row) -> str:
    check(row, {"name": str})
    return row["name"]


def rows(tmp_path: Path, text: str | bytes) -> list[str]:
    path = tmp_path / "rows.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, name, "use another")


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "a"}, {"name": "b\u2028\u0085c"}]',
        ' \n[\n {"name":\n "a"}\n,{"name": "b\u2028\u0085c"} ]\n\n',
        '{"name": "a"}\n{"name": "b\u2028\u0085c"}',
        '\ufeff{"name": "a"}\r\n{"name": "b\u2028\u0085c"}\r\n',
    ],
)
def test_an_array_and_lines_give_the_same_rows(text: str, tmp_path: Path) -> None:
    assert rows(tmp_path, text) == ["a", "b\u2028\u0085c"]


BAD = {
    "empty": ("", "line 1: no JSON"),
    "empty array": ("[ ]", "line 1: no rows"),
    "empty line": ('{"name": "a"}\n\n{"name": "b"}', "line 2: no JSON"),
    "cut line": ('{"name": "a"}\n{"name": "b', "line 2: no JSON"),
    "cut array": ('[{"name": "a"},\n{"name": "b"}\n', "line 3: no JSON"),
    "comma missing": ('[{"name": "a"}\n{"name": "b"}]', "line 2: no JSON .a comma or"),
    "comma too many": ('[{"name": "a"},\n]', "line 2: no JSON"),
    "text behind the array": ('[{"name": "a"}]\n{"name": "b"}', "line 1: no JSON .a comma or"),
    "no object": ('[{"name": "a"},\n3]', "line 2: int where an object is due"),
    "missing field": ('[\n\n{"name": "a"}, {"nom": "b"}\n]', "line 3: name missing or of a wrong type"),
    "wrong type": ('{"name": 1}', "line 1: name missing or of a wrong type"),
    "null": ('{"name": "a"}\n{"name": null}', "line 2: name missing or of a wrong type"),
    "many": ('{"name": 1}\n' * 9, "line 5: .* and 4 more; use another"),
    "endless number": ('{"name": "a"}\n{"name": ' + "9" * 5000 + "}", "line 2 or later: cannot be read"),
    "endless nesting": ("[" * 200_000, "cannot be read"),
    "not UTF-8": (b'{"name": "a"}\n{"name": "\xe9"}', "line 2: is not UTF-8"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_file_gives_one_error_with_file_and_line(which: str, tmp_path: Path) -> None:
    text, message = BAD[which]
    with pytest.raises(DataError, match=message) as error:
        rows(tmp_path, text)
    assert str(tmp_path / "rows.json") in str(error.value)


def test_gzip_is_unpacked_and_a_cut_one_refused(tmp_path: Path) -> None:
    path, packed = tmp_path / "rows.jsonl.gz", gzip.compress(b'{"name": "a"}\n')
    path.write_bytes(packed)
    assert read(path, name, "") == ["a"]
    path.write_bytes(packed[:-5])
    with pytest.raises(DataError, match=r"rows\.jsonl\.gz: damaged or unreadable"):
        read(path, name, "")


def test_a_plain_file_comes_before_a_gzipped_one_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.json.gz").touch()
    assert first_file(tmp_path, ["a.json", "b.json"], "").name == "b.json.gz"
    (tmp_path / "b.json").touch()
    assert first_file(tmp_path, ["a.json", "b.json"], "").name == "b.json"
    with pytest.raises(DataError, match=r"no c\.json or d\.json \(or \.gz\); put it there"):
        first_file(tmp_path, ["c.json", "d.json"], "put it there")
