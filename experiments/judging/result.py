"""From the journal to the result for a record, and to FastChat's file of judgements.

    {"question_id": 81, "model": "llama2-7b-vblora", "judge": ["gpt-4", "single-v1"], "user_prompt": "…",
     "judgment": "… [[7]]", "score": 7, "turn": 1, "tstamp": 1760000000.0}

FastChat's show_result reads such lines and leaves out those whose score is -1.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from experiments.judging.calls import Call, key
from experiments.judging.journal import Entry
from experiments.judging.ratings import INVALID, mean, rating, stated
from experiments.judging.settings import Judge, JudgingError


class Judgement(TypedDict):
    """What a record holds of a judging.

    Attributes:
        mt_bench: mean rating of first turns, 1 to 10; None where no rating is valid.
        mt_bench_turn_2: of second turns, where they were judged.
        mt_bench_average: over both turns, where both were judged.
        num_judged: judgements, the invalid ones included.
        num_invalid: judgements without a rating from 1 to 10, left out of the means.
        num_out_of_range: those of them that state another number.
        invalid: their questions and turns.
        judge_model: as asked for.
        judge_model_reported: the names that the endpoint reports.
        prompts: names of the judge prompts.
        temperature: asked for; None left it to the endpoint.
        max_tokens: of a judgement.
        prompt_tokens: that the endpoint counted; None if it does not count.
        completion_tokens: likewise.
        date: of the last judgement, UTC.
        sha256: of the files by their role.
    """

    mt_bench: float | None
    mt_bench_turn_2: NotRequired[float | None]
    mt_bench_average: NotRequired[float | None]
    num_judged: int
    num_invalid: int
    num_out_of_range: int
    invalid: list[str]
    judge_model: str
    judge_model_reported: list[str]
    prompts: list[str]
    temperature: float | None
    max_tokens: int
    prompt_tokens: int | None
    completion_tokens: int | None
    date: str
    sha256: dict[str, str]


def lines(
    calls: Sequence[Call], judge: Judge, entries: Mapping[str, Entry], model_id: str
) -> list[dict[str, Any]]:
    """FastChat's lines, in the calls' order.

    Raises:
        JudgingError: a judgement is missing.
    """
    lacking = [call.place for call in calls if key(call, judge) not in entries]
    if lacking:
        raise JudgingError(f"{len(lacking)} judgements are missing, first {lacking[0]}; run the judge again")
    return [_line(call, judge, entries[key(call, judge)], model_id) for call in calls]


def judgement(
    calls: Sequence[Call], judge: Judge, entries: Mapping[str, Entry], sha256: Mapping[str, str]
) -> Judgement:
    """The result for the record; every call must have its entry.

    Args:
        calls: all that were to be judged.
        judge: who was asked.
        entries: the journal's, by key.
        sha256: digests of the files that went in and came out.
    """
    found = [entries[key(call, judge)] for call in calls]
    scores = [rating(entry["judgment"]) for entry in found]
    invalid = [call.place for call, score in zip(calls, scores, strict=True) if score == INVALID]
    numbers = [stated(entry["judgment"]) for entry in found]
    odd = [n for n, score in zip(numbers, scores, strict=True) if n is not None and score == INVALID]
    result: Judgement = {
        "mt_bench": _mean_of_turn(calls, scores, 1),
        "num_judged": len(found),
        "num_invalid": len(invalid),
        "num_out_of_range": len(odd),
        "invalid": invalid,
        "judge_model": judge.model,
        "judge_model_reported": sorted({entry["model"] for entry in found}),
        "prompts": sorted({call.template for call in calls}),
        "temperature": judge.temperature,
        "max_tokens": judge.max_tokens,
        "prompt_tokens": _total(found, "prompt_tokens"),
        "completion_tokens": _total(found, "completion_tokens"),
        "date": _date(max(entry["tstamp"] for entry in found)),
        "sha256": dict(sha256),
    }
    if any(call.turn == 2 for call in calls):
        result["mt_bench_turn_2"] = _mean_of_turn(calls, scores, 2)
        result["mt_bench_average"] = mean(scores)
    return result


def _line(call: Call, judge: Judge, entry: Entry, model_id: str) -> dict[str, Any]:
    return {
        "question_id": call.question_id,
        "model": model_id,
        "judge": [judge.model, call.template],
        "user_prompt": call.user,
        "judgment": entry["judgment"],
        "score": rating(entry["judgment"]),
        "turn": call.turn,
        "tstamp": entry["tstamp"],
    }


def _mean_of_turn(calls: Sequence[Call], scores: Sequence[float], turn: int) -> float | None:
    return mean([score for call, score in zip(calls, scores, strict=True) if call.turn == turn])


def _total(entries: Sequence[Entry], name: str) -> int | None:
    counts = [entry[name] for entry in entries]
    return None if None in counts else sum(counts)


def _date(tstamp: float) -> str:
    return datetime.datetime.fromtimestamp(tstamp, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
