"""Rules of this project that no tool checks: short functions, and nothing written twice."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
FOLDERS = ("vblora", "experiments", "examples", "tests", "tools")
CODE = sorted(path for folder in FOLDERS for path in (PROJECT / folder).rglob("*.py"))
YAML = sorted((PROJECT / "conf").rglob("*.yaml"))
LONGEST_FUNCTION, SHORTEST_REPEAT = 60, 6  # lines


def test_no_function_is_longer_than_a_screen():
    functions = [
        (node.end_lineno - node.lineno + 1, f"{path.relative_to(PROJECT)}: {node.name}")
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [function for function in functions if function[0] > LONGEST_FUNCTION] == []


def test_texts_are_in_utf8_whatever_the_locale():
    calls = [
        (f"{path.relative_to(PROJECT)}:{node.lineno}", node)
        for path in [*CODE, *(PROJECT / "benchmarks").rglob("*.py")]
        if not path.is_relative_to(PROJECT / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("read_text", "write_text")
    ]
    assert [where for where, call in calls if "encoding" not in {each.arg for each in call.keywords}] == []


@pytest.mark.parametrize("files", [CODE, YAML], ids=["python", "yaml"])
def test_no_block_of_six_lines_stands_twice(files):
    places = defaultdict(list)
    for path in files:
        lines = [(n, line.strip()) for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)]
        lines = [(n, line) for n, line in lines if line and not line.startswith(("import ", "from "))]
        for start in range(len(lines) - SHORTEST_REPEAT + 1):
            block = lines[start : start + SHORTEST_REPEAT]
            places[tuple(line for _, line in block)].append(f"{path.relative_to(PROJECT)}:{block[0][0]}")
    assert [where for where in places.values() if len(where) > 1] == []
