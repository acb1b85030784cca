import pytest

from experiments.data.examples import DataError, Example, check_labels, digest, part

EXAMPLES = [Example(f"text {i}", None, i % 2) for i in range(100)]


def test_part_is_the_same_each_time_in_order_and_nested() -> None:
    half, tenth = part(EXAMPLES, 0.5), part(EXAMPLES, 0.1)
    assert half == part(EXAMPLES, 0.5)
    assert (len(half), len(tenth)) == (50, 10)
    assert half == [example for example in EXAMPLES if example in half]
    assert set(tenth) < set(half)
    assert part(EXAMPLES, 1.0) == EXAMPLES
    assert len(part(EXAMPLES, 1e-9)) == 1


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5, float("nan")])
def test_impossible_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="train_fraction"):
        part(EXAMPLES, fraction)


def test_digest_depends_on_every_field_and_the_order() -> None:
    first, second = Example("a", "b", 1), Example("c", None, 0)
    splits = {"train": [first, second], "validation": []}
    changed = [
        {"train": [second, first], "validation": []},
        {"train": [first], "validation": [second]},
        {"train": [Example("a", "b", 0), second], "validation": []},
        {"train": [Example("a", None, 1), second], "validation": []},
        {"train": [Example("ab", "", 1), second], "validation": []},
    ]
    assert len({digest(each) for each in [splits, *changed]}) == 6
    assert digest(splits) == digest(dict(reversed(splits.items())))


def test_unlabelled_and_empty_data_are_refused() -> None:
    with pytest.raises(DataError, match="there: no examples"):
        check_labels([], "there")
    with pytest.raises(DataError, match="there: row 1 has no label; use the train and dev sets"):
        check_labels([EXAMPLES[0], Example("a", None, -1)], "there")
