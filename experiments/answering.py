"""A tuned language model answers the test set: in sorted batches, saved as they come, resumable.

    <folder>/answers.partial.jsonl    a line for each batch that is done, the first says whose they are

Batches depend on the prompts alone, so that a run that was killed goes on at the next batch and ends with the
same answers as an unbroken one.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiments import engines, mmlu
from experiments.config import GenerationConfig
from experiments.data.examples import Prompted
from experiments.data.mmlu import num_exemplars
from experiments.grading.mmlu import GROUP
from experiments.models import Backbone
from experiments.tasks.text import TextTask

PARTIAL = "answers.partial.jsonl"
_FOR_VLLM = 512  # prompts at a time, which it batches by itself; so many answers a kill can cost


class AnsweringError(ValueError):
    """A question that cannot be answered; the message says which and why."""


Row = dict[str, Any]


def answer(
    backbone: Backbone,
    task: TextTask,
    examples: Sequence[Prompted],
    config: GenerationConfig,
    folder: Path,
    identity: str,
) -> list[Row]:
    """The answer to each example, in their order, as rows of a file of answers.

    Args:
        backbone: the tuned model, its adapter attached or merged, and its tokenizer.
        task: writes prompts and finishes texts.
        examples: the test set.
        config: engine, decoding, sizes of batches.
        folder: this run's own, where answers are kept until all are there.
        identity: of model and settings; answers of another identity are not used.
    """
    model = backbone.model.eval()
    use_cache, model.config.use_cache = model.config.use_cache, True
    prompts = [task.prompt(backbone.tokenizer, example) for example in examples]
    size = max(config.batch_size, _FOR_VLLM) if config.engine == "vllm" else config.batch_size
    batches = list(_batches(examples, prompts, size))
    engine = engines.build(model, backbone.tokenizer, config, task.stops)
    store = Store(folder / PARTIAL, _digest(identity, prompts, config))
    done = store.read()
    try:
        for number, batch in enumerate(tqdm(batches, "answering", leave=False, disable=None)):
            if number not in done:
                asked = [examples[i] for i in batch]
                done[number] = _answered(backbone, task, engine, asked, [prompts[i] for i in batch], config)
                store.add(number, done[number])
    finally:
        model.config.use_cache = use_cache
    texts = {
        i: found for number, batch in enumerate(batches) for i, found in zip(batch, done[number], strict=True)
    }
    return [_row(i, example, texts[i]) for i, example in enumerate(examples)]


def _batches(
    examples: Sequence[Prompted], prompts: Sequence[Sequence[int]], size: int
) -> Iterator[list[int]]:
    """Prompts of one group and of similar length together, the longest first: memory is known early."""
    groups = list(dict.fromkeys(example.group for example in examples))
    for group in groups:
        members = [i for i, example in enumerate(examples) if example.group == group]
        members.sort(key=lambda i: (-len(prompts[i]), i))
        yield from (members[first : first + size] for first in range(0, len(members), size))


def _answered(
    backbone: Backbone,
    task: TextTask,
    engine: engines.Engine,
    examples: Sequence[Prompted],
    prompts: Sequence[list[int]],
    config: GenerationConfig,
) -> list[Row]:
    """What a batch's rows hold beside their questions."""
    group = examples[0].group
    if group.startswith(GROUP):
        sources = [example.source for example in examples]
        most = int(min(mmlu.MAX_LENGTH, _places(backbone)))
        fitting = [mmlu.shortened(backbone.tokenizer, source, most) for source in sources]
        letters = mmlu.letters(backbone.model, backbone.tokenizer, fitting, max_length=most)
        return [
            {"prediction": letter, "num_exemplars": num_exemplars(prompt)}
            for letter, prompt in zip(letters, fitting, strict=True)
        ]
    wanted = config.max_new_tokens_of.get(group, config.max_new_tokens)
    first = _texts(backbone, task, engine, prompts, wanted)
    follow_ups = [
        task.follow_up(backbone.tokenizer, example, text)
        for example, text in zip(examples, first, strict=True)
    ]
    rows: list[Row] = [{"prediction": text} for text in first]
    asked = {i: prompt for i, prompt in enumerate(follow_ups) if prompt is not None}
    second = _texts(backbone, task, engine, list(asked.values()), wanted) if asked else []
    for i, text in zip(asked, second, strict=True):
        rows[i]["turns"] = [first[i], text]
    return rows


def _texts(
    backbone: Backbone, task: TextTask, engine: engines.Engine, prompts: Sequence[list[int]], wanted: int
) -> list[str]:
    """Generated and finished."""
    places = _places(backbone)
    longest = max(map(len, prompts))
    if longest >= places:
        raise AnsweringError(
            f"a prompt of {longest} tokens leaves no place for an answer in a model of {places} positions; "
            "choose another model, or fewer questions with data.num_test"
        )
    tokens = engine(prompts, int(min(wanted, places - longest)))
    texts = backbone.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return [task.finish(text) for text in texts]


def _places(backbone: Backbone) -> float:
    """Tokens that the model has positions for."""
    return float(getattr(backbone.model.config, "max_position_embeddings", math.inf))


def _row(index: int, example: Prompted, found: Row) -> Row:
    asked = {"group": example.group, "source": example.source, "references": list(example.references)}
    about = {"context": example.context} if example.context else {}
    return {**example.facts, "index": index, **asked, **about, **found}


class Store:
    """The batches that are answered, on disk.

    Args:
        path: the file.
        identity: of the answers; a file of another identity, or a damaged one, is begun anew.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity

    def read(self) -> dict[int, list[Row]]:
        """Rows by number of batch; a last line that was cut off is dropped with the file's end."""
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        try:
            first, *entries = map(json.loads, whole)
        except ValueError:  # no line, or a damaged one
            first, entries = None, []
        if first != {"identity": self.identity}:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write("wb", json.dumps({"identity": self.identity}))
            return {}
        if len(whole) < len(lines):
            os.truncate(self.path, sum(map(len, whole)))
        return {entry["batch"]: entry["rows"] for entry in entries}

    def add(self, number: int, rows: list[Row]) -> None:
        """Append a batch; it is on disk when this returns."""
        self._write("ab", json.dumps({"batch": number, "rows": rows}))

    def _write(self, mode: str, text: str) -> None:
        with open(self.path, mode) as file:
            file.write(f"{text}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def _digest(identity: str, prompts: Sequence[Sequence[int]], config: GenerationConfig) -> str:
    facts = [identity, prompts, asdict(config)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
