import pytest

from experiments.grading.forms import FORMS, plain, tokenised

TEXTS = {
    "It isn't family-friendly.": "It isn 't family - friendly .",
    "Café Rouge's £20-25, (yes).": "Café Rouge 's £ 20 - 25 , ( yes ) .",
    "UPPER stays;  doubled   spaces\ngo": "UPPER stays ; doubled spaces go",
    "it is n't": "it is n't",
    "": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_words_and_marks_stand_apart(text: str) -> None:
    assert tokenised(text) == TEXTS[text]


@pytest.mark.parametrize("text", TEXTS)
def test_doing_it_twice_changes_nothing(text: str) -> None:
    for form in FORMS.values():
        assert form(form(text)) == form(text)


def test_the_plain_form_only_closes_up_white_space() -> None:
    assert plain(" It isn't\n family-friendly. ") == "It isn't family-friendly."
