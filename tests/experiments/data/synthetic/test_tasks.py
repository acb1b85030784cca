"""The labels follow the stated rules, and no shortcut finds them."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from experiments.data.examples import Example
from experiments.data.synthetic import NUM_EXAMPLES, TASKS, glue_splits, words

from .reading import IDEAS, ideas, is_plural, kinds

PAIRS = ("mrpc", "qnli", "rte", "stsb")


def well_formed(example: Example) -> int:
    article, quality, subject, verb, _, _, *place = example.text.split()
    kind = [IDEAS[word][0] if word in IDEAS else "" for word in example.text.split()]
    ordered = kind == ["", "quality", "noun", "verb", "", "noun", "", "", "place"]
    return int(ordered and verb.endswith("s") != is_plural(subject))


def pleasant(example: Example) -> int:
    *_, how, adjective = example.text.split()
    return int((adjective in words.PLEASANT) == (how == "very"))


def same(example: Example) -> int:
    return int(ideas(example.text) == ideas(str(example.pair)))


def answers(example: Example) -> int:
    asked, told = example.text.split()[0], ideas(str(example.pair))
    quality, subject, verb, thing, place = told
    expected = {"who": [verb, thing, place], "what": [quality, subject, verb, place]}
    return int(ideas(example.text) != expected.get(asked, [quality, subject, verb, thing]))


def follows(example: Example) -> int:
    return int(kinds(example.text) != kinds(str(example.pair)))


def agreeing(example: Example) -> float:
    return float(sum(a == b for a, b in zip(ideas(example.text), ideas(str(example.pair)), strict=True)))


ORACLES = {
    "cola": well_formed,
    "sst2": pleasant,
    "mrpc": same,
    "qnli": answers,
    "rte": follows,
    "stsb": agreeing,
}


@pytest.mark.parametrize("task", sorted(TASKS))
def test_labels_follow_from_the_text(task: str) -> None:
    for examples in glue_splits(task).values():
        assert [ORACLES[task](example) for example in examples] == [example.label for example in examples]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_labels_are_balanced_and_sizes_as_stated(task: str) -> None:
    for part, examples in glue_splits(task).items():
        counts = np.unique([example.label for example in examples], return_counts=True)[1]
        assert len(examples) == NUM_EXAMPLES[part]
        assert len(counts) == (6 if task == "stsb" else 2)
        assert counts.min() > 0.75 * len(examples) / len(counts)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_only_pair_tasks_have_a_second_text(task: str) -> None:
    examples = [example for part in glue_splits(task).values() for example in part]
    assert all((example.pair is not None) == (task in PAIRS) for example in examples)


@pytest.mark.parametrize("task", PAIRS)
def test_counting_words_does_not_solve_a_pair_task(task: str) -> None:
    splits = glue_splits(task)
    texts = {
        part: [
            " ".join([*(f"a{w}" for w in e.text.split()), *(f"b{w}" for w in str(e.pair).split())])
            for e in splits[part]
        ]
        for part in splits
    }
    labels = {part: [example.label for example in splits[part]] for part in splits}
    counter = CountVectorizer(token_pattern=r"\S+")
    train, validation = counter.fit_transform(texts["train"]), counter.transform(texts["validation"])
    if task == "stsb":
        told = Ridge(10.0).fit(train, labels["train"]).predict(validation)
        assert abs(np.corrcoef(told, labels["validation"])[0, 1]) < 0.2
    else:
        model = LogisticRegression(C=0.1, max_iter=1000).fit(train, labels["train"])
        assert abs(model.score(validation, labels["validation"]) - 0.5) < 0.1


def test_negative_pairs_differ_in_several_ideas() -> None:
    negatives = [example for example in glue_splits("mrpc")["train"] if example.label == 0]
    assert {5 - agreeing(example) for example in negatives} == {2, 3}
