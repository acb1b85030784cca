import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.grading.glue import GradingError
from experiments.grading.math import __main__ as command
from experiments.grading.math.pool import GRADED, TIMED_OUT
from experiments.grading.math.scoring import Verdict, grade

Row = dict[str, Any]

ANSWERS = [
    ("gsm8k", "72", "The answer is: 72", True, True, True),
    ("gsm8k", "72", "The answer is: $72$ dollars", True, True, False),
    ("gsm8k", "3", "The answer is: 3.4", False, True, False),
    ("gsm8k", "1,450,000", "The answer is: 1,450,000", True, False, True),
    ("gsm8k", "72", "It is 72.", False, False, False),
    ("gsm8k", "72", "It is \\boxed{72}.", True, False, False),
    ("math", "\\frac{1}{2}", "The answer is: \\frac{1}{2}.", True, True, True),
    ("math", "\\frac{1}{2}", "The answer is: $\\frac{1}{2}$", True, False, True),
    ("math", "\\frac{12}{3}", "The answer is: \\frac{1}{23}", False, True, False),
    ("math", "x^2+2x+1", "The answer is: (x+1)^2", True, False, False),
    ("math", "7", "The answer is: x/2", False, True, False),
    ("math", "3.14", "The answer is: pi", False, True, False),
    ("math", "1+x", "The answer is: x+1", True, True, False),
]  # fmt: skip


def rows(*answers: tuple[Any, ...]) -> list[Row]:
    return [
        {"index": i, "group": group, "source": "?", "references": [reference], "prediction": text}
        for i, (group, reference, text, *_) in enumerate(answers)
    ]


def test_every_answer_gets_three_verdicts_in_order() -> None:
    verdicts = grade(rows(*ANSWERS)).verdicts
    assert [(v.proper, v.released, v.exact) for v in verdicts] == [tuple(case[3:]) for case in ANSWERS]
    assert [verdict.index for verdict in verdicts] == list(range(len(ANSWERS)))
    assert verdicts[5] == Verdict(5, "gsm8k", "72", "72", True, False, False, GRADED)


def test_scores_are_fractions_by_group_and_rule_and_the_table_prints_proper() -> None:
    graded = grade(rows(*ANSWERS))
    assert graded.scores() == pytest.approx(
        {
            **{"gsm8k": 4 / 6, "gsm8k_released": 3 / 6, "gsm8k_exact": 2 / 6},
            **{"math": 4 / 7, "math_released": 5 / 7, "math_exact": 2 / 7},
        }
    )
    counts = {"num_timeouts": 0, "num_crashes": 0}
    assert graded.counts() == {
        "gsm8k": {"num_answers": 6, "num_differ": 3, "num_without_answer": 1, **counts},
        "math": {"num_answers": 7, "num_differ": 5, "num_without_answer": 0, **counts},
    }


def test_verdicts_are_the_same_with_one_worker_and_with_four() -> None:
    references = ["x^2-1", "\\sqrt{8}", "(1,2)", "\\frac{x}{2}", "2\\pi", "\\{1,2\\}", "a+b"]
    answers = [("math", one, f"The answer is: {other}") for one in references for other in references]
    assert grade(rows(*answers), workers=1) == grade(rows(*answers), workers=4)


HOSTILE = {
    "power of powers": "10^{10^{10}}", "Python's power": "9**9**9**9", "factorial": "(10^9)!",
    "sum": "\\sum_{n=1}^{10^9} n^n", "binomial": "\\binom{10^9}{5 \\cdot 10^8}",
    "expansion": "(a+b+c+d+e)^{200}-(a+b)^{200}",
}  # fmt: skip
HARMLESS = {
    "deep nesting": "(" * 100_000 + "1" + ")" * 100_000, "megabytes": "x+" * 2_000_000 + "x",
    "digits": "9" * 1_000_000, "commands": "\\frac" * 300_000, "code": "__import__('os')._exit(1)",
    "zero byte": "\0", "half a character": "\ud800",
}  # fmt: skip


def test_a_hostile_answer_costs_at_most_its_time_and_never_its_neighbours() -> None:
    limit = 1.0  # of which the harmless need a tenth; a slow or busy machine needs more
    texts = list(HOSTILE.values()) + list(HARMLESS.values())
    answers = [("math", "y^2+1", f"The answer is: {text}") for text in texts]
    good = ("math", "y^2+1", "The answer is: 1+y^2")
    verdicts = grade(rows(good, *answers, good), workers=2, limit_seconds=limit).verdicts
    assert [v.status for v in verdicts[1 : 1 + len(HOSTILE)]] == [TIMED_OUT] * len(HOSTILE)
    assert [v.status for v in verdicts[1 + len(HOSTILE) : -1]] == [GRADED] * len(HARMLESS)
    assert not any(verdict.proper or verdict.exact for verdict in verdicts[1:-1])
    assert verdicts[0].proper and verdicts[-1].proper and not verdicts[-1].exact


def test_hostile_answers_to_gsm8k_need_no_process_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    answers = [("gsm8k", "72", f"The answer is: {text}") for text in (HOSTILE | HARMLESS).values()]
    assert not any(verdict.proper for verdict in grade(rows(*answers)).verdicts)


BAD_ROWS: dict[str, tuple[Callable[[list[Row]], object], str]] = {
    "no answers": (lambda good: good.clear(), "no answers"),
    "group": (lambda good: good[0].update(group="aime"), "answer 0: group is 'aime', not gsm8k or math"),
    "index": (lambda good: good[1].update(index=0), "1 examples are answered more than once"),
    "no index": (lambda good: good[1].pop("index"), "answer 1: index must be a whole number"),
    "prediction": (lambda good: good[1].update(prediction=7), "answer 1: .*prediction a text"),
    "references": (lambda good: good[1].update(references=["1", "2"]), "answer 1: references is .* not one"),
    "gold": (lambda good: good[0].update(references=["7.5"]), "the gold answer is '7.5', where GSM8K has"),
}


@pytest.mark.parametrize("which", BAD_ROWS)
def test_bad_rows_are_refused_before_anything_is_graded(which: str) -> None:
    spoil, message = BAD_ROWS[which]
    given = rows(ANSWERS[0], ANSWERS[6])
    spoil(given)
    with pytest.raises(GradingError, match=message):
        grade(given)


@pytest.mark.parametrize(("workers", "limit"), [(0, 5.0), (2, 0.0), (2, float("nan"))])
def test_no_workers_and_no_time_are_refused(workers: int, limit: float) -> None:
    with pytest.raises(GradingError, match="choose at least 1 and more than 0 s"):
        grade(rows(ANSWERS[0]), workers, limit)


def test_grading_needs_no_torch_and_its_workers_no_scikit_learn() -> None:
    program = (
        "import sys; from experiments.grading.math import __main__, scoring\n"
        "assert not {'torch', 'sympy'} & set(sys.modules)"  # only workers need sympy
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    program = "import sys; from experiments.grading.math import worker; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "seed0.answers.jsonl"
    header = {"family": "math", "task": "metamath", "metric": "gsm8k", "version": 1}
    path.write_text("".join(json.dumps(line) + "\n" for line in [header, *rows(*ANSWERS)]), encoding="utf-8")
    return path


def test_command_prints_a_table_and_the_answers_on_which_rules_differ(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = saved.with_name("verdicts.jsonl")
    assert command.main([str(saved), "--workers", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert " ".join(printed[0].split()) == "answers proper released exact differ timed out crashed"
    assert printed[1].split() == ["gsm8k", "6", "66.67%", "50.00%", "33.33%", "3", "0", "0"]
    assert printed[3] == "gsm8k 2: '3.4' for '3'; right by: released"
    assert printed[4] == "gsm8k 3: '1,450,000' for '1,450,000'; right by: proper, exact"
    assert len(printed) == 3 + 8
    verdicts = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert verdicts[3]["proper"] and not verdicts[3]["released"] and verdicts[3]["status"] == GRADED


def test_command_says_what_is_wrong_with_a_file(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved.write_text(
        saved.read_text(encoding="utf-8").replace('"group": "math"', '"group": "aime"', 1), encoding="utf-8"
    )
    assert command.main([str(saved)]) == 1
    assert f"{saved}: answer 6: group is 'aime'" in capsys.readouterr().err
    assert command.main([str(saved.with_name("none"))]) == 1
    assert "cannot be read" in capsys.readouterr().err
