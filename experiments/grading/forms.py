"""The two forms of E2E's sentences: as the challenge has them, and tokenised as in the LoRA authors' files.

    plain        Alimentum isn't family-friendly, and it costs £20-25.
    tokenised    Alimentum isn 't family - friendly , and it costs £ 20 - 25 .

From the official dev and test sets, `tokenised` makes 4,633 of the 4,672 references of the LoRA authors'
valid.txt and 4,537 of the 4,693 of their test.txt exactly; their makers used other rules here and there, such
as "is n't" in the test set. Their own files are therefore best read as they are.
"""

import re
from collections.abc import Callable

_TOKEN = re.compile(r"n't(?!\w)|'\w+|\w+|[^\w\s]")


def tokenised(text: str) -> str:
    """Words and punctuation marks, a space between them; upper case stays.

    Doing it twice changes nothing. An "n't" that stands alone, as in "is n't", stays one token.
    """
    return " ".join(_TOKEN.findall(text))


def plain(text: str) -> str:
    """The text itself, on one line and without doubled spaces, which no measure sees."""
    return " ".join(text.split())


FORMS: dict[str, Callable[[str], str]] = {"plain": plain, "tokenised": tokenised}
"""By name; "plain" is the challenge's."""
