"""The restaurants: what is said is what was meant, and no meaning or form of the task stands in the text."""

import hashlib
import json
import re
from random import Random

import pytest

from experiments.data.examples import Prompted
from experiments.data.synthetic import restaurants, worlds
from experiments.data.synthetic.restaurants import SLOTS
from experiments.grading import mteval

# Made by digest() below at VERSION 2; a change of the world raises VERSION and renews this line.
PINNED = (2, "76699fb6065d9854c192823fca07753515a013dbfb7fcfaac23b7518a32bb7a3")
NUM_TEXTS = 3000
SIGNS = {
    "price": r"(?:price range is|prices are|pay) {}(?= prices| \.| and)",
    "customer rating": r"(?:customer rating is|rate it|call it) {}(?= \.| and)",
}
"""How a reader tells which slot a value such as "high" belongs to; the other values stand for themselves."""
UNFRIENDLY = r"not family|not welcome|do not like"
FRIENDLY = r"(?:is family|are welcome|[Cc]hildren like)"


def read(description: str) -> dict[str, str]:
    """The slots that a description tells, read from the values alone; more than one value of a slot shows."""
    found: dict[str, str] = {}
    for slot, values in SLOTS.items():
        sign = SIGNS.get(slot, r"(?<!\S){}(?!\S)")
        told = [value for value in values if re.search(sign.format(re.escape(value)), description)]
        if told:
            found[slot] = " and ".join(told)
    if re.search(UNFRIENDLY, description):
        found["family friendly"] = "no"
    elif re.search(FRIENDLY, description):
        found["family friendly"] = "yes"
    return found


def slots_of(source: str) -> dict[str, str]:
    """The slots of a linearised meaning."""
    return dict(re.findall(r"([\w ]+) : ([^|]+?)(?: \| |$)", source))


def noted(half: str) -> dict[str, str]:
    """The slots of notes; empty where the half is a description."""
    slots = "|".join(SLOTS)
    return dict(re.findall(rf"(?:the )?({slots}) (?:is|\?) (.+?) \.", half)) if _is_notes(half) else {}


def _is_notes(half: str) -> bool:
    return re.match(rf"the ({'|'.join(SLOTS)}) is |({'|'.join(SLOTS)}) \? ", half) is not None


def digest() -> str:
    examples = {
        part: [(row.source, row.target, row.references) for row in rows]
        for part, rows in restaurants.splits().items()
    }
    return hashlib.sha256(json.dumps([examples, list(restaurants.texts(50, "0"))]).encode()).hexdigest()


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Prompted]]:
    return dict(worlds.load("e2e").splits())


@pytest.fixture(scope="module")
def halves() -> list[tuple[str, str]]:
    texts = worlds.load("e2e").texts(NUM_TEXTS, "test")
    return [(first, second) for first, _, second in (text.partition(" => ") for text in texts)]


def test_splits_and_texts_are_the_pinned_bytes() -> None:
    assert (restaurants.VERSION, digest()) == PINNED


def test_texts_are_the_same_for_the_same_seed_only() -> None:
    assert list(restaurants.texts(20, "a")) == list(restaurants.texts(20, "a"))
    assert list(restaurants.texts(20, "a")) != list(restaurants.texts(20, "b"))


def test_parts_share_out_all_meanings() -> None:
    assert sorted(tenth for tenths in restaurants.SHARES.values() for tenth in tenths) == list(range(10))


def test_no_meaning_stands_in_two_splits_or_in_a_split_and_the_texts(
    splits: dict[str, list[Prompted]], halves: list[tuple[str, str]]
) -> None:
    meanings = {part: {tuple(slots_of(row.source).items()) for row in rows} for part, rows in splits.items()}
    meanings["text"] = {tuple(sorted(_told(pair).items(), key=_place)) for pair in halves}
    assert {
        part: len(found) for part, found in meanings.items() if part != "text"
    } == restaurants.NUM_MEANINGS
    assert len(set().union(*meanings.values())) == sum(map(len, meanings.values()))


def _told(pair: tuple[str, str]) -> dict[str, str]:
    return noted(pair[0]) or read(pair[0])


def _place(item: tuple[str, str]) -> int:
    return list(SLOTS).index(item[0])


def test_both_halves_of_a_text_tell_the_same(halves: list[tuple[str, str]]) -> None:
    assert all(_told((first, second)) == _told((second, first)) for first, second in halves)
    with_notes = [pair for pair in halves if noted(pair[0])]
    assert 0.55 < len(with_notes) / NUM_TEXTS < 0.65


def test_nothing_in_the_texts_has_the_form_of_a_meaning_representation(
    halves: list[tuple[str, str]],
) -> None:
    assert not {":", "|"} & {word for pair in halves for half in pair for word in half.split()}


def test_vocabulary_is_every_word_of_texts_and_examples_and_no_other(
    splits: dict[str, list[Prompted]], halves: list[tuple[str, str]]
) -> None:
    said = {" => ", *(half for pair in halves for half in pair)}
    said |= {text for rows in splits.values() for row in rows for text in (row.source, *row.references)}
    vocabulary = worlds.load("e2e").vocabulary()
    assert len(set(vocabulary)) == len(vocabulary)
    assert {word for text in said for word in text.split()} == set(vocabulary)


def test_references_tell_what_their_source_does_but_for_a_few_that_leave_one_sentence_out(
    splits: dict[str, list[Prompted]],
) -> None:
    lacking = []
    for row in (row for part in splits.values() for row in part):
        for reference in row.references:
            told, meant = read(reference), slots_of(row.source)
            assert told.items() <= meant.items() and {"name", "Type"} <= told.keys()
            lacking.append(len(meant) - len(told))
    assert set(lacking) <= {0, 1, 2}  # a sentence may hold two facts
    assert 0.03 < sum(map(bool, lacking)) / len(lacking) < restaurants.LEFT_OUT_RATIO


def test_a_test_meaning_has_two_references_and_a_training_row_its_target(
    splits: dict[str, list[Prompted]],
) -> None:
    assert {len(set(row.references)) for row in splits["test"]} == {2}
    assert all(row.references == (row.target,) for part in ("train", "validation") for row in splits[part])
    assert 600 <= len(splits["train"]) <= 1000
    assert 100 <= len(splits["validation"]) <= 200


def test_training_shows_every_value_that_test_asks_for(splits: dict[str, list[Prompted]]) -> None:
    values = {
        part: {item for row in rows for item in slots_of(row.source).items()} for part, rows in splits.items()
    }
    assert values["test"] <= values["train"]


def test_a_wrong_value_costs_bleu_and_a_right_description_none(splits: dict[str, list[Prompted]]) -> None:
    references = [list(row.references) for row in splits["test"]]
    right = [Random(place).choice(ways) for place, ways in enumerate(references)]
    names = [slots_of(row.source)["name"] for row in splits["test"]]
    others = names[1:] + names[:1]
    wrong = [text.replace(name, other) for text, name, other in zip(right, names, others, strict=True)]
    assert mteval.bleu(right, references) == pytest.approx(1.0)
    assert mteval.bleu(wrong, references) < 0.9


@pytest.mark.parametrize(("food", "said"), [("Italian", "an Italian pub"), ("Thai", "a Thai pub")])
def test_article_fits_the_noun(food: str, said: str) -> None:
    meaning = (("name", "Zizi"), ("Type", "pub"), ("food", food))
    assert restaurants.descriptions(meaning)[0] == f"Zizi is {said} ."


def test_linearised_meaning_is_in_the_lora_authors_notation() -> None:
    meaning = (("name", "Zizi"), ("Type", "pub"), ("customer rating", "5 out of 5"))
    assert restaurants.linearised(meaning) == "name : Zizi | Type : pub | customer rating : 5 out of 5"
