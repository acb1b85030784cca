import os
import sys
import time
from pathlib import Path

import pytest

from experiments.grading import java
from experiments.grading.glue import GradingError

ANSWER = """
import os, sys
open(sys.argv[1], "w").write(str(os.getpid()))
for line in sys.stdin:
    {before}
    if line.startswith("SCORE ||| "):
        print({statistics})
    else:
        numbers = line.split(" ||| ")[1:]
        print("\\n".join(["0.25"] * (len(numbers) + 1)))
    sys.stdout.flush()
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Put a Python program in METEOR's place; afterwards nothing of it may be left running."""
    place = tmp_path / "pid"

    def use(before: str = "pass", statistics: str = "'1.0 2.0'") -> None:
        code = ANSWER.format(before=before, statistics=statistics)
        monkeypatch.setattr(java, "_meteor", lambda: [sys.executable, "-c", code, str(place)])

    yield use
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text(encoding="utf-8")), 0)


def test_scores_are_asked_line_by_line_and_can_be_asked_again(program) -> None:
    program()
    for _ in range(3):
        assert java.meteor(["a", "b"], [["a"], ["b", "c"]]) == 0.25


def test_what_would_part_a_field_is_taken_out(program, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    program(before=f"open({str(heard)!r}, 'a').write(line)")
    java.meteor(["a ||| b"], [["x |||  y", "z"]])
    assert heard.read_text(encoding="utf-8").splitlines()[0] == "SCORE ||| x  y ||| z ||| a b"


def test_much_talk_on_stderr_does_not_stop_it(program) -> None:
    program(before="sys.stderr.write('warning ' * 200000)")
    assert java.meteor(["a"], [["a"]]) == 0.25


@pytest.mark.parametrize("when", ["True", "line.startswith('EVAL')"])
def test_a_program_that_dies_is_named_with_its_last_words(when: str, program) -> None:
    program(before=f"{when} and (sys.stderr.write('out of memory'), sys.stderr.flush(), os._exit(3))")
    with pytest.raises(GradingError, match="METEOR ended with code 3: out of memory; try `java -version`"):
        java.meteor(["a"], [["a"]])


def test_a_program_that_hangs_is_ended(program) -> None:
    program(before="line.startswith('EVAL') and __import__('time').sleep(60)")
    start = time.monotonic()
    with pytest.raises(GradingError, match="METEOR has not answered for 1 s"):
        java.meteor(["a"], [["a"]], seconds=1)
    assert time.monotonic() - start < 30


def test_a_program_that_stops_reading_is_ended(program) -> None:
    """More is written than a pipe holds; waiting for the program to read it would never end."""
    program(before="line.count(' ||| ') > 2 or __import__('time').sleep(60)", statistics="'1' * 300000")
    with pytest.raises(GradingError, match="METEOR has not answered for 2 s"):
        java.meteor(["a"], [["a", "b"]], seconds=2)


def test_an_answer_that_is_no_number_is_shown(program) -> None:
    program(before="line = line.replace('EVAL', 'SCORE')", statistics="'Error\\nError'")
    with pytest.raises(GradingError, match="METEOR answered 'Error' where a score is due"):
        java.meteor(["a"], [["a"]], seconds=20)


def test_a_program_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_meteor", lambda: ["no-such-program"])
    monkeypatch.setattr(java, "_tokenizer", lambda: ["no-such-program"])
    with pytest.raises(GradingError, match="METEOR cannot be run"):
        java.meteor(["a"], [["a"]])
    with pytest.raises(GradingError, match="the tokenizer cannot be run"):
        java.tokenise(["a"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no main class')", "ended with code 1 after 1 of 2 lines: no main class"),
        ("print('one line')", "ended with code 0 after 1 of 2 lines"),
        ("import time; time.sleep(60)", "has not answered for 1 s"),
    ],
)
def test_a_tokenizer_that_fails_is_named(code: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_tokenizer", lambda: [sys.executable, "-c", code])
    with pytest.raises(GradingError, match=f"the tokenizer {message}"):
        java.tokenise(["a", "b"], seconds=1 if "sleep" in code else 60)


@pytest.mark.skipif(not java.found(), reason="runs a Java program, and there is no Java")
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_the_tokenizer_keeps_lines_and_letters_in_any_locale(
    locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    assert java.tokenise(["", "Café Rouge’s “x”", "...", ""]) == ["", "café rouge 's x", "", ""]
