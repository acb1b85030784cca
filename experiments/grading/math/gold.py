r"""The data sets' own solutions, graded as if a model had written them.

    python -m experiments.grading.math.gold --root <folder of gsm8k/ and math/>

Every gold solution, ending in "The answer is: X", is graded against X: as it is, in other forms of the same
value, and in forms of another value, which must be wrong (rewriting.py). Rule `proper` must be right on all;
every answer on which it is not stands in the record with its reason. The record is the file that this command
writes, results/gold/math.json.
"""

import argparse
import datetime
import importlib.metadata
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.data import math as data
from experiments.data.examples import DataError, Prompted
from experiments.data.json_rows import read, sha256
from experiments.grading.math import pool, rewriting
from experiments.grading.math.rewriting import Form
from experiments.grading.math.scoring import LIMIT_SECONDS, RULES, Verdict, grade
from experiments.prompts import ANSWER_MARKER

RECORD = Path("results/gold/math.json")
_PACKAGES = ("math-verify", "latex2sympy2_extended", "sympy", "antlr4-python3-runtime")
_FORMS = {"gsm8k": rewriting.GSM8K, "math": rewriting.MATH}


def main(arguments: list[str] | None = None) -> int:
    """Grade both sets' training and test solutions and write the record; 1 without the data."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.grading.math.gold",
        description="Grade the gold solutions of GSM8K and MATH.",
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of gsm8k/ and math/")
    parser.add_argument("--out", type=Path, default=RECORD, metavar="FILE", help=f"the record ({RECORD})")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at a time (2)")
    options = parser.parse_args(arguments)
    try:
        record = graded(options.root, options.workers)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(summary(record))
    return 0


def graded(root: Path, workers: int) -> dict[str, Any]:
    """The record.

    Raises:
        DataError: a file is missing, damaged or not in its official form.
    """
    sets = {}
    for name in data.TEST_SETS:
        paths = {"test": data.files(root, name)[name], "train": data.train_file(root, name)}
        for split, path in paths.items():
            examples = read(path, data.MAKERS[name], "use the official file")
            forms = {**_by_rules(examples, _FORMS[name], workers), **_alone(examples, _FORMS[name], workers)}
            ordered = {form: forms[form] for form in _FORMS[name]}
            sets[f"{name}/{split}"] = {"file": path.name, "sha256": sha256(path), "forms": ordered}
    versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
    return {
        "command": "python -m experiments.grading.math.gold --root <folder of gsm8k/ and math/>",
        "date": datetime.date.today().isoformat(),
        "versions": {"python": platform.python_version(), **versions},
        "limit_seconds": LIMIT_SECONDS,
        "sets": sets,
    }


def _by_rules(examples: Sequence[Prompted], forms: Mapping[str, Form], workers: int) -> dict[str, Any]:
    """The forms that are graded as answers are: how many each rule calls right, and where a rule is wrong."""
    places: list[tuple[str, int]] = []
    rows: list[dict[str, Any]] = []
    for name, form in forms.items():
        for i, example in enumerate(examples):
            answer = None if form.alone else form.write(example.references[0])
            if answer is not None:
                places.append((name, i))
                rows.append(_row(len(rows), example, answer))
    found: dict[str, list[tuple[int, Verdict]]] = {}
    for (name, i), verdict in zip(places, grade(rows, workers).verdicts, strict=True):
        found.setdefault(name, []).append((i, verdict))
    return {name: _counts(forms[name], found.get(name, [])) for name in forms if not forms[name].alone}


def _row(index: int, example: Prompted, answer: str) -> dict[str, Any]:
    solution = example.target.rpartition(ANSWER_MARKER)[0]
    prediction = f"{solution}{ANSWER_MARKER}{answer}"
    return {
        "index": index,
        "group": example.group,
        "references": example.references,
        "prediction": prediction,
    }


def _counts(form: Form, verdicts: Sequence[tuple[int, Verdict]]) -> dict[str, Any]:
    rules = RULES if form.write is rewriting.as_written else RULES[:1]
    return {
        "num_answers": len(verdicts),
        "right_is": form.equal,
        **{f"num_{rule}": sum(getattr(verdict, rule) for _, verdict in verdicts) for rule in RULES},
        "num_timeouts": sum(verdict.status == pool.TIMED_OUT for _, verdict in verdicts),
        "exceptions": [
            {
                **{"index": i, "reference": verdict.reference, "answer": verdict.answer, "rule": rule},
                "reason": _reason(rule, verdict.reference, verdict.status),
            }
            for i, verdict in verdicts
            for rule in rules
            if getattr(verdict, rule) != form.equal
        ],
    }


def _alone(examples: Sequence[Prompted], forms: Mapping[str, Form], workers: int) -> dict[str, Any]:
    """The forms in which a worker's rule alone compares references with themselves."""
    rules = {name: form.alone for name, form in forms.items() if form.alone}
    texts = [example.references[0] for example in examples]
    tasks = [pool.Task(dict.fromkeys(rules.values(), (text, text))) for text in texts]
    with pool.Pool(workers, LIMIT_SECONDS) as processes:
        outcomes = processes.run(tasks if rules else [], _nothing)
    return {
        name: {
            "num_answers": len(texts),
            "right_is": True,
            f"num_{rule}": sum(outcome.equal.get(rule, False) for outcome in outcomes),
            "num_timeouts": sum(outcome.status == pool.TIMED_OUT for outcome in outcomes),
            "exceptions": [
                {"index": i, "reference": text, "rule": rule, "reason": _reason(rule, text, outcome.status)}
                for i, (text, outcome) in enumerate(zip(texts, outcomes, strict=True))
                if not outcome.equal.get(rule, False)
            ],
        }
        for name, rule in rules.items()
    }


def _nothing() -> None:
    """No bar: what is counted here passes quickly."""


def _reason(rule: str, reference: str, status: str) -> str:
    if not reference:
        return "the solution's \\boxed{} is empty, so there is nothing to be equal to"
    if status != pool.GRADED:
        return f"the comparison {status}"
    if reference.endswith((".", ",")):
        return "the reference ends in a punctuation mark, which the answer loses"
    if rule == "released" and reference.count(",") > 1:
        return "the published rule ends a number at its second separator"
    if rule == "formula":
        return "math-verify's grammar does not take it; an answer equals it if it is written alike"
    return "math-verify finds no equality, or one where there is none"


def summary(record: dict[str, Any]) -> str:
    """A line a form: on how many answers its rule, mostly `proper`, says what it should."""
    lines = []
    for name, found in record["sets"].items():
        for form, counts in found["forms"].items():
            said = counts.get("num_proper", counts.get("num_formula"))
            good = said if counts["right_is"] else counts["num_answers"] - said
            lines.append(f"{name:12} {form:31} as it should be: {good} of {counts['num_answers']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
