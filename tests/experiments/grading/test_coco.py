import pytest

from experiments.grading import coco, java
from experiments.grading.coco import MissingMeasureWarning, scores
from tests.experiments.grading.test_mteval import OUTPUTS, REFERENCES

ROUGE_L, CIDER = 0.54148142, 2.16466733  # pycocoevalcap's on these texts, tokenised by its own wrapper


@pytest.fixture
def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def test_without_java_rouge_and_cider_are_the_same_and_meteor_is_left_out(without_java: None) -> None:
    """Parity with pycocoevalcap on Java's tokens; mutations that failed: £ kept, isn't in one."""
    with pytest.warns(
        MissingMeasureWarning, match="METEOR is left out: it needs Java, and there is none; inst"
    ):
        found = scores(OUTPUTS, REFERENCES)
    assert set(found) == {"rouge_l", "cider"}
    assert found["rouge_l"] == pytest.approx(ROUGE_L, abs=5e-9)
    assert found["cider"] == pytest.approx(CIDER, abs=5e-9)


def test_without_java_words_that_python_cannot_tokenise_leave_all_three_out(without_java: None) -> None:
    with pytest.warns(
        MissingMeasureWarning, match=r"METEOR, ROUGE-L and CIDEr are left out: .* words like a/b"
    ):
        assert scores(["a/b"], [["a"]]) == {}


def test_rouge_by_hand(without_java: None) -> None:
    # The longest common subsequence is "the pub" of 3 and of 4 words: P = 2/3, R = 1/2, β² = 1.44.
    with pytest.warns(MissingMeasureWarning):
        found = scores(["the cheap pub"], [["the old river pub"]])
    assert found["rouge_l"] == pytest.approx(2.44 * (2 / 3) * (1 / 2) / (1 / 2 + 1.44 * 2 / 3))


def test_measures_take_the_tokens_of_java_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for the programs: outputs and references reach METEOR tokenised and in their places."""
    heard = []
    monkeypatch.setattr(java, "found", lambda: True)
    monkeypatch.setattr(java, "tokenise", lambda lines: [line.upper() for line in lines])
    monkeypatch.setattr(java, "meteor", lambda *texts: heard.append(texts) or 0.25)
    assert coco.scores(["a b", ""], [["a c"], ["d", "e"]])["meteor"] == 0.25
    assert heard == [(["A B", ""], [["A C"], ["D", "E"]])]
