"""The splits are a constant of the project: their bytes are pinned."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import astuple

import pytest

from experiments.data import synthetic

# Made by digest() below at VERSION 2; a change of the world raises VERSION and renews this line.
PINNED = (2, "4f37d21c2629fffb00f4bee571aeb2efb841b8e2d78706827c98b805b09a2cc0")


def digest() -> str:
    data = {
        task: {part: [astuple(example) for example in examples] for part, examples in splits.items()}
        for task, splits in ((task, synthetic.glue_splits(task)) for task in sorted(synthetic.TASKS))
    }
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def test_splits_are_the_pinned_bytes() -> None:
    assert (synthetic.VERSION, digest()) == PINNED


def test_splits_do_not_depend_on_the_hash_seed() -> None:
    code = "from experiments.data.synthetic import glue_splits as g; print(g('qnli')['train'][:9])"
    told = [
        subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]


def test_examples_are_distinct_and_none_is_in_both_splits() -> None:
    for task in synthetic.TASKS:
        splits = synthetic.glue_splits(task)
        assert all(len(set(examples)) == len(examples) for examples in splits.values())
        texts = {part: {(e.text, e.pair) for e in examples} for part, examples in splits.items()}
        assert not texts["train"] & texts["validation"]


def test_unknown_task_names_the_choices() -> None:
    with pytest.raises(ValueError, match="no synthetic task named 'poetry'; choose from cola, mrpc, qnli"):
        synthetic.glue_splits("poetry")
