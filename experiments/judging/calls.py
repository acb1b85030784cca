"""What the judge is asked: one call for each answered turn, written with FastChat's prompts.

    first turn     single-v1, or single-math-v1 with the reference answer for math, reasoning and coding
    second turn    single-v1-multi-turn, or single-math-v1-multi-turn, which show both turns

Source: https://github.com/lm-sys/FastChat (fastchat/llm_judge/gen_judgment.py).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from experiments.judging.fastchat import Question, Template, Turns
from experiments.judging.settings import Judge, JudgingError

NEED_REFERENCE = ("math", "reasoning", "coding")
_SHOWN_IDS = 5


@dataclass(frozen=True)
class Call:
    """One judgement to be asked for: `system` and `user` are the whole text that the judge reads."""

    question_id: int
    turn: int
    template: str
    system: str
    user: str

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"question {self.question_id}, turn {self.turn}"

    def messages(self) -> list[dict[str, str]]:
        """The chat of the request."""
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]


def key(call: Call, judge: Judge) -> str:
    """SHA-256 of all that a judgement depends on: the whole text, model, temperature, limit."""
    return hashlib.sha256(json.dumps([asdict(call), asdict(judge)], sort_keys=True).encode()).hexdigest()


def calls(
    questions: Mapping[int, Question],
    answers: Turns,
    templates: Mapping[str, Template],
    references: Turns,
) -> list[Call]:
    """One call for each turn that is answered, first turns before second ones.

    Raises:
        JudgingError: a question lacks its answer or an answer its question, some have two turns and others
            one, or a prompt or reference answer is missing or does not fit.
    """
    _check(questions, answers)
    num_turns = max(map(len, answers.values()))
    return [
        _call(questions[question_id], turn, answers[question_id], templates, references)
        for turn in range(1, num_turns + 1)
        for question_id in sorted(answers)
        if turn <= len(questions[question_id].turns)
    ]


def template_name(category: str, turn: int) -> str:
    """The prompt that judges a turn of a question of that category."""
    name = "single-math-v1" if category in NEED_REFERENCE else "single-v1"
    return f"{name}-multi-turn" if turn == 2 else name


def _check(questions: Mapping[int, Question], answers: Turns) -> None:
    if not answers or set(questions) != set(answers):
        lacking = {
            "questions without an answer": sorted(set(questions) - set(answers)),
            "answers without a question": sorted(set(answers) - set(questions)),
        }
        found = "; ".join(f"{what}: {_ids(ids)}" for what, ids in lacking.items() if ids)
        raise JudgingError(f"{found or 'no answers'}; judge a file that answers each question of --questions")
    num_turns = max(map(len, answers.values()))
    short = [i for i, turns in answers.items() if len(turns) < min(num_turns, len(questions[i].turns))]
    if short:
        raise JudgingError(
            f"one turn where others have two: {_ids(short)}; answer both turns of all or of none"
        )


def _ids(ids: list[int]) -> str:
    rest = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return ", ".join(map(str, ids[:_SHOWN_IDS])) + rest


def _call(
    question: Question,
    turn: int,
    answer: tuple[str, ...],
    templates: Mapping[str, Template],
    references: Turns,
) -> Call:
    name = template_name(question.category, turn)
    if name not in templates:
        raise JudgingError(f"no judge prompt {name}; use FastChat's judge_prompts.jsonl")
    fields = _fields(question, turn, answer)
    if question.category in NEED_REFERENCE:
        reference = references.get(question.question_id, ())
        if len(reference) < turn:
            raise JudgingError(
                f"no reference answer to question {question.question_id} ({question.category}), turn {turn}; "
                "use FastChat's reference_answer/gpt-4.jsonl"
            )
        fields |= {f"ref_answer_{number}": text for number, text in enumerate(reference, start=1)}
    template = templates[name]
    try:
        user = template.text.format_map(fields)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise JudgingError(
            f"judge prompt {name} asks for {error}, which is none of {', '.join(fields)}; use FastChat's"
        ) from error
    return Call(question.question_id, turn, name, template.system, user)


def _fields(question: Question, turn: int, answer: tuple[str, ...]) -> dict[str, str]:
    if turn == 1:
        return {"question": question.turns[0], "answer": answer[0]}
    asked = {f"question_{number}": text for number, text in enumerate(question.turns, start=1)}
    return asked | {f"answer_{number}": text for number, text in enumerate(answer, start=1)}
