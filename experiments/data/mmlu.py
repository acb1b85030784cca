r"""MMLU's questions from the files that the instruction-tuning code carries, with no or up to five exemplars.

    <root>/mmlu/zero_shot_mmlu_dev.json[.gz]      the exemplars, five a subject
    <root>/mmlu/zero_shot_mmlu_val.json[.gz]      1,531 questions, the released code's default
    <root>/mmlu/zero_shot_mmlu_test.json[.gz]     14,042 questions

One question a line; a prompt is a heading, an empty line and the question:

    {"subject": "anatomy", "input": "The following are …\n\nWhich …?\nA. …\nB. …\nC. …\nD. …\nAnswer:",
     "output": "D"}

A prompt with exemplars has the heading once, then each exemplar followed by its letter and an empty line,
then the question. Hendrycks et al. 2021 drop exemplars from the end until a prompt fits into the model's
context (`with_fewer`). The published five-shot files do the same: up to the first subject with long texts
they are as long as this build to the byte, and there they hold two or three exemplars instead of five. That
is about 2,048 tokens, though cutting by Llama 2's own does not give the very same file.

Source: https://github.com/artidoro/qlora (data/mmlu), https://github.com/hendrycks/test.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.data.examples import DataError, Prompted
from experiments.data.json_rows import Row, check, first_file, read, sha256
from experiments.grading.mmlu import GROUP, LETTERS

SPLITS = {"validation": "zero_shot_mmlu_val.json", "test": "zero_shot_mmlu_test.json"}
EXEMPLARS = "zero_shot_mmlu_dev.json"

_END_OF_EXEMPLAR = re.compile(rf"(?<=\nAnswer: [{''.join(LETTERS)}])\n\n")
_HINT = "use the official zero_shot_mmlu files (subject, input, output), unedited"


def questions(root: Path, split: str, shots: int = 0) -> list[Prompted]:
    """The questions of one split: `source` is the whole prompt, `references` the letter, facts the subject.

    Args:
        root: the folder that holds mmlu/.
        split: "validation" or "test".
        shots: exemplars before each question, 0 to 5.

    Raises:
        DataError: a file is missing, damaged or not in its official form, or has too few exemplars.
    """
    paths = files(root, split, shots)
    found = read(paths[split], _question, _HINT)
    if shots:
        found = with_exemplars(found, read(paths["dev"], _question, _HINT), shots)
    return found


def with_exemplars(asked: Sequence[Prompted], exemplars: Sequence[Prompted], shots: int) -> list[Prompted]:
    """Every question behind the first `shots` exemplars of its subject.

    Raises:
        DataError: a subject has fewer than `shots` exemplars.
    """
    shown: defaultdict[str, list[str]] = defaultdict(list)
    for exemplar in exemplars:
        shown[exemplar.facts["subject"]].append(f"{_body(exemplar)} {exemplar.references[0]}\n\n")
    short = sorted({s for q in asked if len(shown[s := q.facts["subject"]]) < shots})
    if shots < 1 or short:
        raise DataError(f"{shots} exemplars: {', '.join(short) or 'none of it'} cannot be; choose 1 to 5")
    return [_shown(question, shown[question.facts["subject"]][:shots]) for question in asked]


def num_exemplars(prompt: str) -> int:
    """How many stand before the question."""
    return len(_END_OF_EXEMPLAR.findall(prompt))


def with_fewer(prompt: str) -> Iterator[str]:
    """The prompt, then without its last exemplar, and so on, down to the question alone."""
    *shown, question = _END_OF_EXEMPLAR.split(prompt)
    for number in range(len(shown), 0, -1):
        yield "\n\n".join([*shown[:number], question])
    yield f"{_heading(prompt)}\n\n{question}" if shown else prompt


def files(root: Path, split: str, shots: int = 0) -> dict[str, Path]:
    """The file of the questions, and that of the exemplars ("dev") where there are shots.

    Raises:
        DataError: the split is unknown or a file is missing.
    """
    if split not in SPLITS:
        raise DataError(f"MMLU has no split {split!r} to ask; choose one of {', '.join(SPLITS)}")
    names = {split: SPLITS[split]} | ({"dev": EXEMPLARS} if shots else {})
    hint = "put the official file there or change data.root"
    return {key: first_file(root / "mmlu", [name], hint) for key, name in names.items()}


def describe(root: Path, split: str, shots: int = 0) -> dict[str, object]:
    """The files read, with their SHA-256, the split and the number of exemplars.

    Raises:
        DataError: as `files` does.
    """
    paths = files(root, split, shots)
    return {"files": {p.name: sha256(p) for p in paths.values()}, "split": split, "shots": shots}


def _shown(question: Prompted, exemplars: Sequence[str]) -> Prompted:
    prompt = f"{_heading(question.source)}\n\n{''.join(exemplars)}{_body(question)}"
    group = f"{GROUP}{len(exemplars)}"
    return Prompted(prompt, references=question.references, group=group, facts=question.facts)


def _heading(prompt: str) -> str:
    return prompt.split("\n\n", 1)[0]


def _body(question: Prompted) -> str:
    return question.source.split("\n\n", 1)[1]


def _question(row: Row) -> Prompted:
    check(row, {"subject": str, "input": str, "output": str})
    prompt, letter = row["input"], row["output"]
    if letter not in LETTERS:
        raise ValueError(f"{letter!r} is no answer; one of {', '.join(LETTERS)} is due")
    if "\n\n" not in prompt or not prompt.endswith("Answer:"):
        raise ValueError("no prompt of a heading, an empty line and a question that ends in 'Answer:'")
    return Prompted(prompt, references=(letter,), group=f"{GROUP}0", facts={"subject": row["subject"]})
