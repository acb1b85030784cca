"""Judge a file of answers to MT-Bench: `python -m experiments.judging ANSWERS.jsonl …`; see the package."""

import argparse
import json
import os
import sys
from pathlib import Path

from experiments.judging import of_record
from experiments.judging.judging import Judging
from experiments.judging.settings import Judge, Patience

STOPPED = 130  # as a shell says for Ctrl-C
_SHOWN_PLACES = 5


def main(arguments: list[str] | None = None) -> int:
    """Judge, or with --dry-run say what it would take; prints the result as JSON.

    Returns:
        0, or 1 for an error, or 130 for Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        judging = _judging(options)
        _say("\n".join(judging.estimate().lines(options.price_in, options.price_out)))
        if options.dry_run:
            return 0
        found = judging.run(options.concurrency, os.environ, _say)
    except KeyboardInterrupt:
        _say("stopped; the judgements so far are kept, run again to go on")
        return STOPPED
    except (ValueError, OSError) as error:
        _say(f"error: {error}")
        return 1
    _say_invalid(found["invalid"])
    if (path := of_record.path_of(options.answers)) is not None:
        _say(of_record.write(path, found))
    print(json.dumps(found, indent=2))
    return 0


def _judging(options: argparse.Namespace) -> Judging:
    temperature = None if options.temperature == "default" else float(options.temperature)
    model = options.model or os.environ.get("JUDGE_MODEL", "")
    return Judging(
        answers=options.answers,
        questions=options.questions,
        prompts=options.prompts,
        references=options.references,
        folder=options.out or options.answers.with_suffix(".judged"),
        judge=Judge(model, temperature, options.max_tokens, options.limit_field),
        model_id=options.model_id,
        patience=Patience(options.attempts, options.timeout, options.first_wait),
    )


def _say_invalid(places: list[str]) -> None:
    if places:
        rest = f" and {len(places) - _SHOWN_PLACES} more" if len(places) > _SHOWN_PLACES else ""
        shown = "; ".join(places[:_SHOWN_PLACES])
        _say(f"no rating from 1 to 10 in {len(places)} judgements, left out of the mean: {shown}{rest}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.judging",
        description="Rate answers to MT-Bench by a judge model behind an OpenAI-compatible endpoint. Key and "
        "address come from OPENAI_API_KEY and OPENAI_BASE_URL.",
    )
    add = parser.add_argument
    add("answers", type=Path, metavar="ANSWERS", help="a run's file of answers, or one in FastChat's form")
    add("--questions", type=Path, required=True, help="FastChat's mt_bench/question.jsonl")
    add("--prompts", type=Path, required=True, help="FastChat's judge_prompts.jsonl")
    add("--references", type=Path, required=True, help="FastChat's reference_answer/gpt-4.jsonl")
    add("--out", type=Path, help="folder for journal and results; default: ANSWERS.judged")
    add("--model", help="the judge; default: the environment's JUDGE_MODEL")
    add(
        "--model-id", default="", help="the judged model's name in FastChat's files; default: the file's name"
    )
    add("--dry-run", action="store_true", help="only say how many calls and tokens it takes, and the cost")
    add("--price-in", type=float, help="dollars for a million tokens sent")
    add("--price-out", type=float, help="dollars for a million tokens got")
    add("--concurrency", type=int, default=4, help="calls at a time (%(default)s)")
    add(
        "--temperature",
        default="0",
        help="of the judge, or 'default' to leave it to the endpoint (%(default)s)",
    )
    add("--max-tokens", type=int, default=Judge.max_tokens, help="of a judgement (%(default)s)")
    add("--limit-field", default=Judge.limit_field, help="the request's name for it (%(default)s)")
    add("--attempts", type=int, default=Patience.attempts, help="calls for one judgement (%(default)s)")
    add("--timeout", type=float, default=Patience.timeout_seconds, help="seconds of a call (%(default)s)")
    add(
        "--first-wait", type=float, default=Patience.first_wait_seconds, help="seconds, doubled (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
