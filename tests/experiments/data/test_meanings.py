import gzip
from pathlib import Path

import pytest

from experiments.data.e2e import read_lora, read_official
from experiments.data.meanings import linearise, to_lora_line

MEANING = "name[The Café], eatType[coffee shop], priceRange[£20-25], area[city centre], familyFriendly[no]"
LINE = "name : The Café | Type : coffee shop | price : £ 20 - 25 | area : city centre | family friendly : no"


def test_slots_are_renamed_and_values_tokenised() -> None:
    assert linearise(MEANING) == LINE
    assert linearise("near[Burger King]") == "near : Burger King"


def test_a_row_becomes_a_line_of_the_lora_authors() -> None:
    assert to_lora_line("area[riverside]", "It's  by the river.") == "area : riverside||It 's by the river . "


@pytest.mark.parametrize(
    "meaning",
    ["", "name", "name[]", "[x]", "name[a]]", "name[[a]", "name[a],food[b]", "name[a], ", "name[a] food[b]",
     "name : a", " name[a]; food[b]"],
)  # fmt: skip
def test_what_is_no_list_of_slots_is_refused(meaning: str) -> None:
    with pytest.raises(ValueError, match="is no meaning representation like"):
        linearise(meaning)


@pytest.mark.parametrize(
    ("official", "lora", "same"), [("devset", "valid", 4633), ("testset_w_refs", "test", 4537)]
)
def test_every_official_row_is_the_lora_authors_line_up_to_white_space(
    official: str, lora: str, same: int, shared_data: Path
) -> None:
    """Parity with their files, meanings to the letter; mutations that failed: familyFriendly not renamed,
    values not tokenised. `same` lines are theirs byte for byte; the others differ in the reference's spaces.
    """
    root = shared_data / "e2e"
    ours = read_official(root / f"{official}.csv.gz")
    theirs = read_lora(root / "lora_format" / f"{lora}.txt.gz")
    assert [meaning for meaning, _ in ours] == [meaning for meaning, _ in theirs]
    assert ["".join(text.split()) for _, text in ours] == ["".join(text.split()) for _, text in theirs]
    lines = gzip.decompress((root / "lora_format" / f"{lora}.txt.gz").read_bytes()).decode().splitlines()
    made = [to_lora_line("name[x]", text).removeprefix("name : x") for _, text in ours]
    assert sum(line.endswith(end) for line, end in zip(lines, made, strict=True)) == same
