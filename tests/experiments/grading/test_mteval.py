import math

import pytest

from experiments.grading.mteval import bleu, nist, nist_perl

OUTPUTS = [
    "The Mill isn't a family-friendly pub, prices are £20-25.",
    "",
    "Near Café Rouge, the Punter serves cheap Chinese food.",
    "Cocum is a coffee shop.",
]
REFERENCES = [
    [
        "The Mill is a pub that is not family-friendly; prices range from £20-25.",
        "A pub with prices of £20-25, The Mill isn't family-friendly.",
        "The Mill isn't for families.",
    ],
    ["Zizzi is a pub near the river."],
    [
        "The Punter, near Café Rouge, serves Chinese food cheaply.",
        "Cheap Chinese food is served at the Punter near Café Rouge.",
    ],
    [
        "Cocum is a highly rated coffee shop.",
        "Coffee shop Cocum has 5 out of 5 stars.",
        "Cocum, a coffee shop, is rated 5 out of 5.",
        "Try Cocum.",
    ],
]


def test_scores_are_those_of_the_challenges_scorers() -> None:
    """Parity with what its scorers gave on these texts; mutations that failed: one mean length for both
    NISTs; no clipping at 0 in the Perl scorer's totals; tokens parted at spaces alone.
    """
    assert nist(OUTPUTS, REFERENCES) == pytest.approx(3.9678283724, abs=1e-9)  # its Python scorer
    assert nist_perl(OUTPUTS, REFERENCES) == pytest.approx(5.603784, abs=5e-7)  # its Perl scorer
    assert bleu(OUTPUTS, REFERENCES) == pytest.approx(0.253513, abs=5e-7)  # its Perl scorer


def test_an_output_that_is_its_reference_scores_the_information_of_its_words() -> None:
    # Each of five words: log2(5 / 1); a longer n-gram is certain after its first words.
    assert nist(["a b c d e"], [["a b c d e"]]) == pytest.approx(math.log2(5))
    assert bleu(["a b c d e"], [["a b c d e"]]) == pytest.approx(1)


def test_two_thirds_of_the_length_cost_half_of_nist() -> None:
    assert nist(["a b"], [["a b c"]]) == pytest.approx(0.5 * math.log2(3))
    assert nist(["a b c d"], [["a b c"]]) == pytest.approx(
        3 / 4 * math.log2(3)
    )  # longer costs precision only


def test_the_two_forms_of_nist_differ_in_length_where_numbers_of_references_do() -> None:
    """By hand: 2 words of output; references of 3 + 3 and of 3 words, so L is 6, or 9 / 2 for Perl."""
    outputs, references = ["a", "x"], [["a b c", "a b c"], ["x y z"]]
    gain = (math.log2(9 / 2) + math.log2(9 / 1)) / 2
    beta = math.log(2) / math.log(1.5) ** 2
    assert nist(outputs, references) == pytest.approx(gain * math.exp(-beta * math.log(2 / 6) ** 2))
    assert nist_perl(outputs, references) == pytest.approx(gain * math.exp(-beta * math.log(2 / 4.5) ** 2))
    same = [["a b c", "a b c"], ["x y z", "x y z"]]
    assert nist(outputs, same) == pytest.approx(nist_perl(outputs, same))


def test_a_word_is_matched_no_more_often_than_one_reference_holds_it() -> None:
    """By hand; a mutation that failed: counts of the references summed instead of their maximum."""
    outputs, references = ["a a a"], [["a b c", "a b d"]]
    gain = math.log2(6 / 2) / 3  # one `a` of three words; "a a" is nowhere
    assert nist(outputs, references) == pytest.approx(gain)
    assert nist_perl(outputs, references) == pytest.approx(gain)


def test_case_does_not_count_and_marks_are_words() -> None:
    assert bleu(["THE MILL, A PUB."], [["the mill , a pub ."]]) == pytest.approx(1)
    assert nist(["THE MILL, A PUB."], [["the mill , a pub ."]]) == pytest.approx(math.log2(6))


def test_the_python_scorer_counts_an_empty_output_as_a_word_and_the_perl_scorer_does_not() -> None:
    outputs, references = ["a b c", ""], [["a b c"], ["d e f"]]
    beta = math.log(2) / math.log(1.5) ** 2
    whole = 3 * math.log2(6)
    assert nist(outputs, references) == pytest.approx(whole / 4 * math.exp(-beta * math.log(4 / 6) ** 2))
    assert nist_perl(outputs, references) == pytest.approx(whole / 3 * math.exp(-beta * math.log(3 / 6) ** 2))


def test_nothing_in_common_scores_zero() -> None:
    assert nist(["q r s t u"], [["a b c d e"]]) == 0
    assert nist_perl(["q r s t u"], [["a b c d e"]]) == 0
    assert bleu(["q r s t u"], [["a b c d e"]]) < 0.1
