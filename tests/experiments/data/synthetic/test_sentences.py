"""Every meaning belongs to one part, and what is written from it agrees."""

from random import Random

import pytest

from experiments.data.synthetic import glue_splits, sentences
from experiments.data.synthetic.sentences import SHARES, Event, Part

from .reading import ideas


def test_parts_share_out_all_meanings() -> None:
    assert sorted(tenth for tenths in SHARES.values() for tenth in tenths) == list(range(10))


@pytest.mark.parametrize("part", SHARES)
def test_events_and_opinions_are_drawn_from_their_part(part: Part) -> None:
    rng = Random(0)
    assert all(sentences.part_of(sentences.draw_event(rng, part)) == part for _ in range(50))
    assert all(sentences.part_of(sentences.draw_opinion(rng, part, True)) == part for _ in range(50))


@pytest.mark.parametrize("task", ["cola", "mrpc", "qnli", "rte", "stsb"])
def test_training_and_validation_share_no_statement_in_any_words(task: str) -> None:
    said = {
        part: {
            (*ideas(text), *(word.endswith("s") for word in text.split()))
            for example in examples
            for text in (example.text, example.pair)
            if text and len(ideas(text)) == 5
        }
        for part, examples in glue_splits(task).items()
    }
    assert said["train"]
    assert not said["train"] & said["validation"]


def test_drawn_pair_differs_in_the_slots_named_and_no_other() -> None:
    first, second = sentences.draw_pair(Random(1), "train", ("action", "place"))
    differing = {slot for slot in sentences.SLOTS if getattr(first, slot) != getattr(second, slot)}
    assert differing == {"action", "place"}
    assert sentences.part_of(first) == sentences.part_of(second) == "train"


def test_statement_marks_number_on_noun_and_verb() -> None:
    one = Event(0, 0, False, 0, 3, False, 1)
    many = Event(0, 0, True, 0, 3, True, 1)
    assert sentences.statement(one, Random(0)).split()[2:4] in (
        ["dog", "chases"],
        ["dog", "pursues"],
        ["hound", "chases"],
        ["hound", "pursues"],
    )
    assert sentences.statement(many, Random(0)).split()[2].endswith("s")
    assert not sentences.statement(many, Random(0)).split()[3].endswith("ses")
