"""The E2E challenge's five measures of generated text, equal to its own scorer's to four decimals.

    python -m experiments.grading.e2e outputs.txt references.txt

prints the scores of a system's outputs, in the challenge's formats: an output a line; references a line each,
those of different inputs parted by an empty line (or, without any empty line, one reference for each output).

    outputs.txt     Alimentum is located in the city centre. It is not family-friendly.
    references.txt  There is a place in the city centre, Alimentum, that is not family-friendly.
                    Alimentum is not a family-friendly place, located in city centre.

Source: https://github.com/tuetschek/e2e-metrics (measure_scores.py).
"""

import argparse
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.grading.forms import FORMS
from experiments.grading.glue import GradingError

MEASURES = ("bleu", "nist", "nist_perl", "meteor", "rouge_l", "cider")
"""Every measure in the order of the challenge's table; see `experiments.grading.mteval` for the two NISTs."""

_SHOWN = 10  # numbers of empty outputs in a message


class Grouped(NamedTuple):
    """What is scored: an input, its output and all its references, at the same place of three lists."""

    sources: list[str]
    predictions: list[str]
    references: list[tuple[str, ...]]


def group(rows: Sequence[Mapping[str, Any]]) -> Grouped:
    """One output for each distinct `source`, against the references of all its rows, by first appearance.

    Args:
        rows: of a file of answers: source, references, prediction.

    Raises:
        GradingError: one input has two different predictions.
    """
    predictions: dict[str, str] = {}
    references: dict[str, list[str]] = {}
    for row in rows:
        source = row["source"]
        if predictions.setdefault(source, row["prediction"]) != row["prediction"]:
            raise GradingError(f"two different outputs for {source!r:.200}; answer each input once")
        references.setdefault(source, []).extend(row["references"])
    return Grouped(
        list(predictions), list(predictions.values()), [tuple(texts) for texts in references.values()]
    )


def score(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, form: str = "plain"
) -> dict[str, float]:
    """The measures by name: bleu, meteor and rouge_l as fractions, nist, nist_perl and cider as they are.

    An empty output among others is scored as an empty sentence, with a warning. METEOR, and where needed
    ROUGE-L and CIDEr, are absent without Java, with a warning: see `experiments.grading.coco`.

    Args:
        predictions: an output for each input.
        references: the references of each input, any number.
        form: "plain", as the challenge scores, or "tokenised": both sides are brought into the form of the
            LoRA authors' files first (`experiments.grading.forms`). Texts that have it already stay "plain".

    Raises:
        GradingError: numbers do not match, all outputs or an input's references are empty, the form is
            unknown, a Java program fails, or the libraries are not installed.
    """
    if form not in FORMS:
        raise GradingError(f"no form {form!r}; choose one of {', '.join(FORMS)}")
    if len(predictions) != len(references):
        raise GradingError(
            f"{len(predictions)} outputs for {len(references)} inputs with references; one each is due"
        )
    outputs = [" ".join(FORMS[form](text).split()) for text in predictions]
    wanted = [[" ".join(FORMS[form](text).split()) for text in texts] for texts in references]
    _check(outputs, wanted)
    try:
        from experiments.grading import coco, mteval
    except ImportError as error:
        raise GradingError(f"{error}; pip install -e '.[e2e]'") from error
    measured = {name: getattr(mteval, name)(outputs, wanted) for name in ("bleu", "nist", "nist_perl")}
    return measured | coco.scores(outputs, wanted)


def _check(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    bare = [i for i, texts in enumerate(references, start=1) if not texts or not all(texts)]
    if bare:
        raise GradingError(f"input {bare[0]} has no reference or an empty one")
    empty = [str(i) for i, output in enumerate(outputs, start=1) if not output]
    if len(empty) == len(outputs):
        raise GradingError("every output is empty; there is nothing to score")
    if empty:
        rest = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
        message = f"{len(empty)} of {len(outputs)} outputs are empty: {', '.join(empty[:_SHOWN])}{rest}"
        warnings.warn(f"{message}; each is scored as an empty sentence", stacklevel=3)


def read_outputs(path: Path) -> list[str]:
    """An output a line, without the space around it; a line may be empty.

    Raises:
        GradingError: the file cannot be read.
    """
    return [line.strip() for line in _lines(path)]


def read_references(path: Path) -> list[list[str]]:
    """The references of each input: lines up to an empty line; or, if none is empty, one for each input.

    Raises:
        GradingError: the file cannot be read, holds nothing, or has two empty lines in succession.
    """
    groups: list[list[str]] = [[]]
    lines = "\n".join(line.strip() for line in _lines(path)).rstrip("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line:
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
        else:
            raise GradingError(f"{path}: line {number}: empty after nothing; one empty line parts two inputs")
    return [[line] for line in groups[0]] if len(groups) == 1 else groups


def _lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise GradingError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise GradingError(f"{path}: line {line}: is not UTF-8; convert the file") from error
    return text.removesuffix("\n").split("\n")


def main(arguments: list[str] | None = None) -> int:
    """Print every measure and its score, a dash where it is left out; 1 if nothing can be scored."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.grading.e2e", description="The E2E challenge's measures of outputs."
    )
    parser.add_argument("outputs", type=Path, metavar="OUTPUTS", help="an output a line")
    parser.add_argument("references", type=Path, metavar="REFERENCES", help="parted by empty lines")
    parser.add_argument("--form", choices=list(FORMS), default="plain", help="of both texts (plain)")
    chosen = parser.parse_args(arguments)
    try:
        references = read_references(chosen.references)
        outputs = read_outputs(chosen.outputs)
        if len(outputs) != len(references):
            lines = f"{chosen.outputs}: {len(outputs)} lines"
            raise GradingError(f"{lines} for the {len(references)} inputs of {chosen.references}")
        found = score(outputs, references, form=chosen.form)
    except GradingError as error:
        print(error, file=sys.stderr)
        return 1
    for name in MEASURES:
        print(f"{name}\t{found[name]:.4f}" if name in found else f"{name}\t-")
    return 0


if __name__ == "__main__":
    sys.exit(main())
