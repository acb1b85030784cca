r"""Questions with worked answers: MetaMathQA, GSM8K and MATH, from local files in their official forms.

    <root>/MetaMathQA-395K.json                            query, response, type
    <root>/gsm8k/{train,test}.jsonl, or gsm8k_test.jsonl   question, answer
    <root>/math/{train,test}.jsonl, or MATH_test.jsonl     problem, solution; or instruction, output

Each may be an array or one object a line, plain or gzipped. An answer to learn ends as MetaMathQA's do:

    GSM8K   … 48+24 = <<48+24=72>>72 clips.\n#### 72    ->   … 48+24 = 72 clips.\nThe answer is: 72
    MATH    … that $x = \boxed{\frac12}$.               ->   … $x = \boxed{\frac12}$.\nThe answer is: \frac12

Two solutions of MATH's training set have an empty \boxed{}; they are kept, as the official 7,500 hold them.

Sources: https://github.com/openai/grade-school-math, https://github.com/hendrycks/math,
https://huggingface.co/datasets/meta-math/MetaMathQA.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from experiments.data.examples import DataError, Prompted, TextSplits
from experiments.data.json_rows import Row, check, first_file, read, sha256
from experiments.grading.math.extraction import after_marker, last_boxed
from experiments.prompts import ANSWER_MARKER

TEST_SETS = ("gsm8k", "math")
NUM_METAMATH = 100_000
"""Examples of MetaMathQA that are learned: the first ones, as published."""

_METAMATH = ["MetaMathQA-395K.json", "MetaMathQA-395K.jsonl"]
_RELEASED = {"gsm8k": "gsm8k_test.jsonl", "math": "MATH_test.jsonl"}
_CALCULATION = re.compile(r"<<[^<>]*>>")
_GOLD_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_SPLIT_SEED = 0  # of the held-out examples, whatever a run's seed


def local_splits(
    root: Path, train_set: str = "metamath", num_train: int | None = NUM_METAMATH, held_out: int = 0
) -> TextSplits:
    """What is learned as "train" and "validation", GSM8K's and MATH's test sets as "test", in that order.

    Args:
        root: the folder of the files.
        train_set: "metamath", "gsm8k" or "math"; no other is taken in its place.
        num_train: only the first so many examples, of which `held_out` go to validation; None for all.
        held_out: examples of the training set that are kept for validation, the same ones in every run.

    Raises:
        DataError: a file is missing, damaged or not in its official form, or a number does not fit.
    """
    check_choice(train_set, num_train)
    paths = files(root, train_set)
    train = read(paths["train"], _beginning(MAKERS[train_set], num_train), _hint(train_set))
    tests = [example for name in TEST_SETS for example in read(paths[name], MAKERS[name], _hint(name))]
    return split([example for example in train if example is not None], held_out) | {"test": tests}


def files(root: Path, train_set: str = "metamath") -> dict[str, Path]:
    """The file that is learned, as "train", and the test sets', by their names.

    Raises:
        DataError: the training set is unknown or a file is missing.
    """
    hint = "put the official file there or change data.root"
    tests = {name: first_file(root, [f"{name}/test.jsonl", _RELEASED[name]], hint) for name in TEST_SETS}
    return {"train": train_file(root, train_set), **tests}


def train_file(root: Path, train_set: str) -> Path:
    """The file of a training set.

    Raises:
        DataError: it is unknown or missing.
    """
    check_choice(train_set)
    if train_set == "metamath":
        hint = "put MetaMathQA there, change data.root, or choose data.train_set=gsm8k or math"
        return first_file(root, _METAMATH, hint)
    return first_file(root, [f"{train_set}/train.jsonl"], "put the official file there or change data.root")


def describe(root: Path, train_set: str = "metamath") -> dict[str, object]:
    """The files with their SHA-256, by their paths under the root, and which training set is learned.

    Raises:
        DataError: as `files`.
    """
    paths = files(root, train_set).values()
    return {
        "train_set": train_set,
        "files": {path.relative_to(root).as_posix(): sha256(path) for path in paths},
    }


def check_choice(train_set: str, num_train: int | None = None) -> None:
    """Refuse an unknown training set and a number of examples that is not positive.

    Raises:
        DataError: names the choices.
    """
    if train_set not in MAKERS:
        raise DataError(f"no training set {train_set!r} for math; choose one of {', '.join(MAKERS)}")
    if num_train is not None and num_train < 1:
        raise DataError(f"num_train is {num_train}; choose 1 or more, or leave it out for all")


def split(examples: Sequence[Prompted], held_out: int) -> TextSplits:
    """Training and validation set, both in their old order.

    Raises:
        DataError: `held_out` is negative or leaves nothing to train on.
    """
    if not 0 <= held_out < len(examples):
        raise DataError(
            f"held_out is {held_out}; choose 0 to {len(examples) - 1} of {len(examples)} examples"
        )
    drawn = np.random.default_rng(_SPLIT_SEED).permutation(len(examples))[:held_out].tolist()
    chosen = set(drawn)
    return {
        "train": [example for i, example in enumerate(examples) if i not in chosen],
        "validation": [examples[i] for i in sorted(drawn)],
    }


def metamath(row: Row) -> Prompted:
    """One row of MetaMathQA; its group is the set that it was made from."""
    check(row, {"query": str, "response": str})
    gold = after_marker(row["response"])
    references = () if gold is None else (gold.strip(),)
    group = "gsm8k" if str(row.get("type", "")).startswith("GSM") else "math"
    return Prompted(row["query"], row["response"], references, group)


def gsm8k(row: Row) -> Prompted:
    """One row of GSM8K, without its calculator's marks."""
    check(row, {"question": str, "answer": str})
    steps, mark, gold = row["answer"].rpartition("####")
    if not mark or not _GOLD_NUMBER.fullmatch(gold.strip()):
        raise ValueError(f"the answer ends in {row['answer'][-40:]!r}, where #### and a number are due")
    target = f"{_CALCULATION.sub('', steps)}{ANSWER_MARKER}{gold.strip()}"
    return Prompted(row["question"], target, (gold.strip(),), "gsm8k")


def competition(row: Row) -> Prompted:
    """One row of MATH, in the official form or in that of the released file."""
    names = ("instruction", "output") if "instruction" in row else ("problem", "solution")
    check(row, dict.fromkeys(names, str))
    question, solution = (row[name] for name in names)
    gold = last_boxed(solution)
    if gold is None:
        raise ValueError("the solution has no \\boxed{} answer")
    target = f"{solution}\n{ANSWER_MARKER}{gold.strip()}"
    return Prompted(question, target, (gold.strip(),), "math")


MAKERS: dict[str, Callable[[Row], Prompted]] = {"metamath": metamath, "gsm8k": gsm8k, "math": competition}
"""From a row to an example, by the set's name."""


def _beginning(make: Callable[[Row], Prompted], number: int | None) -> Callable[[Row], Prompted | None]:
    """Makes examples of the first rows only: 395,000 rows then take the memory of 100,000 examples."""
    if number is None:
        return make
    left = iter(range(number))
    return lambda row: make(row) if next(left, None) is not None else None


def _hint(name: str) -> str:
    official = {"metamath": "MetaMathQA", "gsm8k": "GSM8K", "math": "MATH"}[name]
    return f"use {official}'s official file, unedited"
