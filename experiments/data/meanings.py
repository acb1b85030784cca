"""E2E's meaning representations, in the challenge's writing and in the LoRA authors'.

    name[Blue Spice], eatType[pub], priceRange[£20-25]
    name : Blue Spice | Type : pub | price : £ 20 - 25

Equal to the LoRA authors' files on all 4,672 rows of the dev set and all 4,693 of the test set.
Source: https://github.com/microsoft/LoRA (examples/NLG/data/e2e).
"""

import re

from experiments.grading.forms import tokenised

SLOTS = {"eatType": "Type", "priceRange": "price", "familyFriendly": "family friendly"}
"""The slots that the LoRA authors renamed."""

_SLOT = r"[^\[\],]+\[[^\[\]]+\]"
_MEANING = re.compile(rf"{_SLOT}(?:, {_SLOT})*")


def linearise(meaning: str) -> str:
    """A meaning representation as the LoRA authors write it: three slots renamed, values tokenised.

    Raises:
        ValueError: it is no list of `slot[value]`.
    """
    if not _MEANING.fullmatch(meaning):
        raise ValueError(
            f"{meaning!r:.200} is no meaning representation like 'name[Blue Spice], food[French]'"
        )
    pairs = [part.removesuffix("]").split("[") for part in re.split(r"(?<=\]), ", meaning)]
    return " | ".join(f"{SLOTS.get(slot, slot)} : {tokenised(value)}" for slot, value in pairs)


def to_lora_line(meaning: str, reference: str) -> str:
    """A row of an official file as a line of the LoRA authors' files, which end with a space.

    Raises:
        ValueError: as `linearise`.
    """
    return f"{linearise(meaning)}||{tokenised(reference)} "
