"""FastChat's files of MT-Bench: questions, judge prompts and reference answers to read, answers to write too.

    question.jsonl            {"question_id": 81, "category": "writing", "turns": ["Compose …", "Rewrite …"]}
    judge_prompts.jsonl       {"name": "single-v1", "type": "single", "system_prompt": "…",
                               "prompt_template": "… {question} … {answer} …", "output_format": "[[rating]]"}
    reference_answer/gpt-4.jsonl, model_answer/<model>.jsonl
                              {"question_id": 101, "answer_id": "TFom…", "model_id": "gpt-4",
                               "choices": [{"index": 0, "turns": ["…", "…"]}], "tstamp": 1686286924.8}

All are data that the user points to; none is part of this project.

Source: https://github.com/lm-sys/FastChat (fastchat/llm_judge).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from experiments.data.examples import DataError
from experiments.data.json_rows import Row, check, read

Key = TypeVar("Key")
Value = TypeVar("Value")
Turns = Mapping[int, tuple[str, ...]]
"""The texts of one or two turns by question_id."""


@dataclass(frozen=True)
class Question:
    """One question of one or two turns."""

    question_id: int
    category: str
    turns: tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """One judge prompt: `text` has the fields that its kind of judging fills."""

    name: str
    system: str
    text: str


def questions(path: Path) -> dict[int, Question]:
    """The questions by their id.

    Raises:
        DataError: the file is missing, damaged or not in FastChat's form, or an id stands twice.
    """
    found = read(path, _question, "use FastChat's question.jsonl")
    return dict(_distinct(path, ((question.question_id, question) for question in found)))


def templates(path: Path) -> dict[str, Template]:
    """The prompts of single-answer grading by their name; those that compare two answers are left out.

    Raises:
        DataError: the file is missing, damaged or not in FastChat's form, or a name stands twice.
    """
    found = read(path, _template, "use FastChat's judge_prompts.jsonl")
    return dict(_distinct(path, ((one.name, one) for one in found if one is not None)))


def read_answers(path: Path) -> dict[int, tuple[str, ...]]:
    """The turns of each question's first choice: a model's answers, or the reference answers.

    Raises:
        DataError: the file is missing, damaged or not in FastChat's form, or a question is answered twice.
    """
    return dict(_distinct(path, read(path, _answer, "use a file of answers in FastChat's form")))


def answer_lines(turns: Turns, model_id: str, tstamp: float) -> list[dict[str, Any]]:
    """FastChat's lines for these answers, by question_id.

    FastChat draws a random `answer_id`; here it is a digest, so that equal answers give equal files.
    """
    return [
        {
            "question_id": question_id,
            "answer_id": _digest(model_id, question_id, *turns[question_id])[:22],  # as long as FastChat's
            "model_id": model_id,
            "choices": [{"index": 0, "turns": list(turns[question_id])}],
            "tstamp": tstamp,
        }
        for question_id in sorted(turns)
    ]


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> str:
    """Write one object a line in one step, so that the file is never seen half-written.

    Returns:
        Its SHA-256, for the record.
    """
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return hashlib.sha256(text.encode()).hexdigest()


def texts(value: object) -> tuple[str, ...]:
    """One or two texts as a tuple.

    Raises:
        ValueError: it is no list of them.
    """
    if not isinstance(value, list) or len(value) not in (1, 2):
        raise ValueError("turns are no list of one or two texts")
    if not all(isinstance(text, str) for text in value):
        raise ValueError("a turn is no text")
    return tuple(value)


def _question(row: Row) -> Question:
    check(row, {"question_id": int, "category": str, "turns": list})
    return Question(row["question_id"], row["category"], texts(row["turns"]))


def _template(row: Row) -> Template | None:
    check(row, {"name": str, "type": str, "system_prompt": str, "prompt_template": str, "output_format": str})
    if row["type"] != "single":
        return None
    if row["output_format"] != "[[rating]]":
        raise ValueError(f"output_format {row['output_format']!r} of {row['name']}; [[rating]] is due")
    return Template(row["name"], row["system_prompt"], row["prompt_template"])


def _answer(row: Row) -> tuple[int, tuple[str, ...]]:
    check(row, {"question_id": int, "choices": list})
    if not row["choices"] or not isinstance(row["choices"][0], dict):
        raise ValueError(f"question {row['question_id']} has no choice")
    return row["question_id"], texts(row["choices"][0].get("turns"))


def _distinct(path: Path, pairs: Iterable[tuple[Key, Value]]) -> Iterable[tuple[Key, Value]]:
    seen = set()
    for key, value in pairs:
        if key in seen:
            raise DataError(f"{path}: {key} stands twice; leave one line of it")
        seen.add(key)
        yield key, value


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
