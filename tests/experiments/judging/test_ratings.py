import pytest

from experiments.judging.ratings import mean, rating, stated


@pytest.mark.parametrize(
    ("judgment", "expected"),
    [
        ("Good. Rating: [[7]]", 7),
        ("Rating: [[7.5]] since", 7.5),
        ("[[7.]]", 7),
        ("First [3], then [[9]]", 9),  # two brackets before one, wherever they stand
        ("First [[3]], then [[9]]", 3),
        ("Rating: [8]", 8),
        ("[[10]]", 10),
        ("[[1]]", 1),
        ("", -1),
        ("Rating: 7", -1),
        ("[[seven]] [[7/10]] [[ 7 ]] [[-7]]", -1),
        ("[[5,6]]", -1),
        ("[[0]]", -1),
        ("[[11]]", -1),
        ("[[10.5]]", -1),
        ("[[0.9]]", -1),
        ("[[" + "9" * 5000 + "]]", -1),
    ],
)
def test_a_rating_is_read_as_fastchat_reads_it(judgment: str, expected: float) -> None:
    found = rating(judgment)
    assert found == expected
    assert type(found) is type(expected)


def test_a_number_out_of_range_is_told_from_none() -> None:
    assert (stated("[[11]]"), stated("[85]"), stated("none")) == (11, 85, None)


def test_invalid_ratings_are_left_out_of_the_mean() -> None:
    assert mean([7, -1, 8.5]) == 7.75
    assert mean([-1]) is None
    assert mean([]) is None
