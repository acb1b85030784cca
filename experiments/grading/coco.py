"""METEOR, ROUGE-L and CIDEr as the COCO caption evaluation computes them, on Penn Treebank tokens.

With Java all three, as the E2E challenge's scorer has them. Without Java the tokens come from
`experiments.grading.treebank`, which gives the same ones or refuses: then ROUGE-L and CIDEr are the same
numbers too, or are left out, and METEOR, a Java program itself, is left out.

Source: https://github.com/tylin/coco-caption, which pycocoevalcap packs for Python 3.
"""

import warnings
from collections.abc import Callable, Sequence

from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from experiments.grading import java, treebank

Texts = Sequence[str]


class MissingMeasureWarning(UserWarning):
    """Measures that are left out because something is not installed."""


def scores(outputs: Texts, references: Sequence[Texts]) -> dict[str, float]:
    """The measures "meteor", "rouge_l" (fractions) and "cider", as far as they can be computed rightly.

    ROUGE-L takes an output's best precision and best recall over its references, β = 1.2; CIDEr is the mean
    over inputs of ten times the tf-idf weighted n-gram similarity, n = 1..4.

    Raises:
        GradingError: a Java program fails.
    """
    has_java = java.found()
    if has_java:
        tokenised = _tokenised(java.tokenise, outputs, references)
    else:
        try:
            tokenised = _tokenised(treebank.tokenise, outputs, references)
        except treebank.NotCoveredError as error:
            _warn(
                f"METEOR, ROUGE-L and CIDEr are left out: no Java, which METEOR and words like {error} need"
            )
            return {}
        _warn("METEOR is left out: it needs Java, and there is none")
    measured = {"meteor": java.meteor(*tokenised)} if has_java else {}
    found = {i: [text] for i, text in enumerate(tokenised[0])}
    wanted = dict(enumerate(tokenised[1]))
    measured["rouge_l"] = float(Rouge().compute_score(wanted, found)[0])
    measured["cider"] = float(Cider().compute_score(wanted, found)[0])
    return measured


def _tokenised(
    tokenise: Callable[[Texts], list[str]], outputs: Texts, references: Sequence[Texts]
) -> tuple[list[str], list[list[str]]]:
    """All outputs, then all references of all outputs, in two goes as the challenge's scorer does."""
    words = iter(tokenise([text for texts in references for text in texts]))
    return tokenise(outputs), [[next(words) for _ in texts] for texts in references]


def _warn(message: str) -> None:
    advice = "install a Java runtime (8 or later) so that `java` is on the PATH"
    warnings.warn(f"{message}; {advice}", MissingMeasureWarning, stacklevel=4)
