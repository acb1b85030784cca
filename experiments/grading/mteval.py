"""BLEU and NIST as mteval-v13a has them, for any number of references an output.

BLEU is sacrebleu's, lower-cased: 13a tokens, 4-grams, brevity by the closest reference. NIST sums the
information that matched n-grams (n = 1..5) carry:

    NIST = Σ_n [ Σ_matches info / (n-grams of the outputs) ] · exp(-β ln²(min(1, length of outputs / L)))
    info(w_1 … w_n) = log2(count(w_1 … w_{n-1}) / count(w_1 … w_n)) over all references
    β = ln 2 / ln² 1.5: two thirds of the length L cost half of the score             Doddington 2002

The E2E challenge has two scorers, which differ in L where inputs have different numbers of references:

    `nist`       its Python scorer (-p), which papers use   L = Σ over inputs of the mean reference's length
    `nist_perl`  its Perl scorer, the default               L = length of all references / largest number

Source: https://github.com/tuetschek/e2e-metrics (metrics/pymteval.py, mteval/mteval-v13a-sig.pl).
"""

import math
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

import sacrebleu
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

LONGEST = 5  # words in NIST's longest n-gram
BETA = math.log(2) / math.log(1.5) ** 2

Words = list[str]
Ngram = tuple[str, ...]
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_tokenise: Callable[[str], str] = Tokenizer13a()  # type: ignore[no-untyped-call]


def bleu(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """BLEU-4 of all outputs together, as a fraction.

    The challenge's two scorers agree on it, except where outputs are shorter than four words or have no
    4-gram at all in common with their references; there this is the Perl scorer's value. It is 0 where all
    outputs together hold no 4-gram, of which the scorers make 1 (Perl) and 0.03 (Python).
    """
    most = max(map(len, references))
    # None is sacrebleu's filling where an output has fewer references; its types do not say so.
    columns = [[texts[i] if i < len(texts) else None for texts in references] for i in range(most)]
    filled = cast("list[list[str]]", columns)
    # force: it would warn that texts look tokenised, which they may be.
    found = sacrebleu.corpus_bleu(outputs, filled, lowercase=True, tokenize="13a", force=True)
    return float(found.score / 100)


def nist(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """NIST-5 as the challenge's Python scorer computes it.

    Two of its ways show only with very short outputs: an empty output counts as one word, and an output of m
    words as m - n + 1 n-grams even where that is negative.
    """
    words = [_words(output) for output in outputs]
    reference_words = [[_words(text) for text in texts] for texts in references]
    length = sum(sum(map(len, texts)) / len(texts) for texts in reference_words)
    totals = [sum(len(output) - n for output in words) for n in range(LONGEST)]
    return _nist(words, reference_words, length, totals)


def nist_perl(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """NIST-5 as the challenge's Perl scorer computes it, the form that the challenge published.

    It pads every input to the same number of references with empty ones. Two more of its ways: only ASCII is
    lower-cased, and the word "0" before another counts as no context.
    """
    words = [_perl_words(output) for output in outputs]
    reference_words = [[_perl_words(text) for text in texts] for texts in references]
    length = sum(len(text) for texts in reference_words for text in texts) / max(map(len, references))
    totals = [sum(max(0, len(output) - n) for output in words) for n in range(LONGEST)]
    return _nist(words, reference_words, length, totals, no_context=("0",))


def _nist(
    outputs: list[Words],
    references: list[list[Words]],
    length: float,
    totals: list[int],
    no_context: Ngram = (),
) -> float:
    """NIST from its parts.

    Args:
        outputs: their words.
        references: theirs, for each output.
        length: L, which the outputs' length is held against.
        totals: the outputs' number of n-grams, for n = 1..5.
        no_context: a word before another that counts as none.
    """
    counts: Counter[Ngram] = Counter()
    for texts in references:
        for text in texts:
            counts.update(_ngrams(text))
            counts[()] += len(text)
    gains = [0.0] * LONGEST
    for output, texts in zip(outputs, references, strict=True):
        for ngram, number in _matches(output, texts).items():
            context = () if ngram[:-1] == no_context else ngram[:-1]
            gains[len(ngram) - 1] += number * math.log2(counts[context] / counts[ngram])
    precision = sum(gain / total for gain, total in zip(gains, totals, strict=True) if gain)
    ratio = sum(map(len, outputs)) / length
    return precision * (math.exp(-BETA * math.log(ratio) ** 2) if 0 < ratio < 1 else float(ratio > 0))


def _matches(output: Words, references: list[Words]) -> Counter[Ngram]:
    """How often each n-gram of the output is matched: at most as often as one reference holds it."""
    most: Counter[Ngram] = Counter()
    for text in references:
        most |= Counter(_ngrams(text))
    return Counter(_ngrams(output)) & most


def _ngrams(words: Words) -> list[Ngram]:
    return [tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1)]


def _words(text: str) -> Words:
    return _tokenise(text).lower().split(" ")


def _perl_words(text: str) -> Words:
    return _tokenise(text.translate(_ASCII_LOWER)).split()
