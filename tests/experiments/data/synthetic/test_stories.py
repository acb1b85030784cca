"""The stories: sums are right, answers follow, and nothing of the problems stands in the texts."""

import hashlib
import json
import re
from collections import Counter
from itertools import chain

import pytest

from experiments import prompts
from experiments.data.examples import Prompted
from experiments.data.synthetic import stories, worlds
from experiments.data.synthetic.stories import accounts
from experiments.grading.math import scoring

# Made by digest() below at VERSION 2; a change of the world raises VERSION and renews this line.
PINNED = (2, "8688be4d35433f65cf3124fe127b88160a694de3efff8f6d41fe5c38197bbb8b")
NUM_TEXTS = 6000
SIGNS = dict.fromkeys(("has", "finds", "buys", "gets", "wins"), 1)
SIGNS |= dict.fromkeys(("loses", "sells", "drops", "spends"), -1)
Meaning = tuple[str, tuple[int, ...]]


def digest() -> str:
    examples = {
        part: [(row.source, row.target, row.references, row.group) for row in rows]
        for part, rows in stories.splits().items()
    }
    return hashlib.sha256(json.dumps([examples, list(stories.texts(50, "0"))]).encode()).hexdigest()


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Prompted]]:
    return dict(worlds.load("math").splits())


@pytest.fixture(scope="module")
def rows(splits: dict[str, list[Prompted]]) -> list[Prompted]:
    return list(chain.from_iterable(splits.values()))


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(worlds.load("math").texts(NUM_TEXTS, "test"))


def meaning(said: str) -> Meaning:
    """The kind of a question or text and its numbers, read without the code that wrote them."""
    if told := re.findall(rf"[A-Z]\w+ ({'|'.join(SIGNS)}) (\d+) \w+ \.", re.sub(r"now .*", "", said)):
        return "story", tuple(SIGNS[verb] * int(size) for verb, size in told)
    if found := re.search(r"(?:([a-z]) ([+-]) (\d+) = (\d+) (?:\.|,) .*?)\1 ([+-]) (\d+) (?:\?|:)", said):
        _, sign, size, total, asked, other = found.groups()
        return "letter", (int(total), int(sign + size), int(asked + other))
    if found := re.search(r"(\d+(?: [+-] \d+)+) (?:\?|:)", said):
        return "sum", tuple(map(int, re.sub(r"([+-]) ", r"\1", found[1]).split()))
    return "", ()


def result(said: str) -> int:
    """What the answer to a question must be."""
    kind, numbers = meaning(said)
    return numbers[0] - numbers[1] + numbers[2] if kind == "letter" else sum(numbers)


def test_splits_and_texts_are_the_pinned_bytes() -> None:
    assert (stories.VERSION, digest()) == PINNED


def test_texts_are_the_same_for_the_same_seed_only(texts: list[str]) -> None:
    assert list(stories.texts(20, "test")) == texts[:20]
    assert list(stories.texts(20, "other")) != texts[:20]


def test_parts_share_out_all_meanings() -> None:
    assert sorted(tenth for tenths in accounts.SHARES.values() for tenth in tenths) == list(range(10))


def test_no_meaning_stands_in_two_splits_or_in_a_split_and_the_texts(
    splits: dict[str, list[Prompted]], texts: list[str]
) -> None:
    meanings = {part: {meaning(row.source) for row in rows} for part, rows in splits.items()}
    meanings["text"] = {meaning(text) for text in texts} - {("", ())}
    assert {kind for kind, _ in meanings["text"]} == {"story", "letter", "sum"}
    assert len(set().union(*meanings.values())) == sum(map(len, meanings.values()))


def test_nothing_of_the_problems_form_stands_in_the_texts(texts: list[str]) -> None:
    text = "\n".join(texts)
    template = prompts.math_training_prompt("").replace("\n\n", " ")
    sentences = [f"{sentence}." for sentence in template.split(".")[:2]]
    assert not [
        phrase for phrase in (*sentences, prompts.MATH_SUFFIX, prompts.ANSWER_MARKER) if phrase in text
    ]
    assert not {"?", "how", "many", "what", "if", "is:", "###"} & set(text.split())
    assert max(len(numbers) for kind, numbers in map(meaning, texts) if kind == "sum") == 2 + 1


def test_vocabulary_is_every_word_of_texts_and_prompts_and_answers_and_no_other(
    rows: list[Prompted], texts: list[str]
) -> None:
    asked = [prompts.math_evaluation_prompt(row.source) for row in rows]
    asked += [prompts.math_training_prompt(row.source) + row.target for row in rows]
    words = re.findall(r"### Response:|\S+", " ".join((*texts, *asked)))
    vocabulary = worlds.load("math").vocabulary()
    assert len(set(vocabulary)) == len(vocabulary)
    assert set(words) == set(vocabulary)


def test_every_sum_written_anywhere_is_right(rows: list[Prompted], texts: list[str]) -> None:
    sums = re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", " ".join((*texts, *(row.target for row in rows))))
    assert len(sums) > 2 * NUM_TEXTS
    assert not [each for each in sums if int(each[0]) + int(each[1] + each[2]) != int(each[3])]


def test_every_answer_follows_from_its_question_and_ends_with_it(rows: list[Prompted]) -> None:
    assert all(row.references == (str(result(row.source)),) for row in rows)
    assert all(row.target.endswith(f". The answer is: {row.references[0]}") for row in rows)
    assert all(0 <= int(row.references[0]) <= 30 for row in rows)


def test_answers_are_right_by_every_rule_and_the_next_number_by_none(
    splits: dict[str, list[Prompted]],
) -> None:
    for step, score in ((0, 1.0), (1, 0.0)):
        answers = [
            f"{row.target.rpartition(' ')[0]} {int(row.references[0]) + step}" for row in splits["test"]
        ]
        graded = scoring.grade(
            {"index": index, "group": row.group, "references": row.references, "prediction": answer}
            for index, (row, answer) in enumerate(zip(splits["test"], answers, strict=True))
        )
        assert graded.scores() == dict.fromkeys(graded.scores(), score)
        assert {"gsm8k", "math"} < set(graded.scores())


def test_texts_close_with_the_result_of_their_account(texts: list[str]) -> None:
    told = [text for text in texts if meaning(text)[0]]
    assert len(told) > NUM_TEXTS / 2
    assert all(int(re.findall(r"\d+", text)[-1]) == result(text) for text in told)


def test_groups_are_half_word_problems_and_half_calculations_and_equations(
    splits: dict[str, list[Prompted]],
) -> None:
    for part, rows in splits.items():
        kinds = Counter((row.group, meaning(row.source)[0]) for row in rows)
        number = stories.NUM_EXAMPLES[part] // 4
        assert kinds == {("gsm8k", "story"): 2 * number, ("math", "sum"): number, ("math", "letter"): number}
        assert len({row.source for row in rows}) == len(rows)


def test_half_of_the_answers_think_step_by_step(splits: dict[str, list[Prompted]]) -> None:
    opened = [row.target.startswith(prompts.MATH_SUFFIX.strip() + " ") for row in splits["train"]]
    assert 0.45 < sum(opened) / len(opened) < 0.55


def test_no_number_is_the_answer_to_many_questions(splits: dict[str, list[Prompted]]) -> None:
    answers = Counter(row.references[0] for row in splits["test"])
    assert answers.most_common(1)[0][1] < 0.1 * len(splits["test"])
