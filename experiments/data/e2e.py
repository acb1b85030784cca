"""E2E: meaning representations of restaurants and what people said of them, from files or the hub.

    <root>/trainset.csv  devset.csv  testset_w_refs.csv     the challenge's official files: mr,ref
    <root>/train.txt     valid.txt   test.txt               the LoRA authors' files: meaning||reference

Each may be gzipped (`.gz`). One example in both:

    "name[Blue Spice], eatType[pub], priceRange[£20-25]","Blue Spice isn't cheap."
    name : Blue Spice | Type : pub | price : £ 20 - 25||Blue Spice isn 't cheap .

An input is always written as in the second, whatever it was read from. Sources:
https://github.com/tuetschek/e2e-dataset, https://github.com/microsoft/LoRA (examples/NLG/data/e2e).
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets

from experiments.data import hub, text_files
from experiments.data.examples import DataError, Prompted, TextSplits
from experiments.data.json_rows import first_file, sha256
from experiments.data.meanings import linearise
from experiments.grading.forms import FORMS

REPOSITORY = "tuetschek/e2e_nlg"
"""The challenge's data on the hub. GEM/e2e_nlg can be read too: a cleaned edition, whose scores differ."""

OFFICIAL = {"train": "trainset.csv", "validation": "devset.csv", "test": "testset_w_refs.csv"}
LORA = {"train": "train.txt", "validation": "valid.txt", "test": "test.txt"}
Pair = tuple[str, str]
_OFFICIAL_HINT = "use the challenge's official file, unedited"
_LORA_HINT = "use the LoRA authors' file, unedited"


def local_splits(root: Path, form: str = "plain") -> TextSplits:
    """The examples of the files in `root`.

    Train and validation have an example for each row, whose one reference is its target; test has one for
    each distinct meaning representation, in order of first appearance, with the references of all its rows.

    Args:
        root: the folder.
        form: of targets and references, a name of `grading.forms.FORMS`. The LoRA authors' files hold
            tokenised text, which is left as it is.

    Raises:
        DataError: a file is missing, damaged or not in its form, or plain text is asked of tokenised files.
    """
    paths = files(root)
    if not _is_official(paths):
        if form != "tokenised":
            raise DataError(
                f"{root}: its files hold tokenised text; set data.text_form=tokenised, not {form}"
            )
        return _examples({split: read_lora(path) for split, path in paths.items()}, "plain")
    return _examples({split: read_official(path) for split, path in paths.items()}, form)


def hub_splits(revision: str | None, repository: str = REPOSITORY, form: str = "plain") -> TextSplits:
    """The examples of a data set on the hub, as `local_splits` makes them.

    Args:
        revision: a branch, a tag or a commit; None is the newest. `hub.resolve` names the commit.
        repository: its name on the hub, or a local folder that `datasets` can read.
        form: of targets and references, a name of `grading.forms.FORMS`.

    Raises:
        DataError: the data cannot be reached, lack a column or hold what is no meaning representation.
    """
    commit = hub.resolve(revision, repository)
    return _examples({split: list(_hub_pairs(repository, split, commit)) for split in OFFICIAL}, form)


def files(root: Path) -> dict[str, Path]:
    """The file of each split: the official ones, or the LoRA authors' if only their training set is there.

    Raises:
        DataError: one is missing.
    """
    there = [
        names
        for names in (OFFICIAL, LORA)
        if any((root / f"{names['train']}{end}").is_file() for end in ("", ".gz"))
    ]
    if not there:
        raise DataError(
            f"{root}: no {OFFICIAL['train']} or {LORA['train']} (or .gz); put the challenge's or the LoRA "
            "authors' files there or change data.root"
        )
    hint = "put it beside the training set"
    return {split: first_file(root, [name], hint) for split, name in there[0].items()}


def describe(root: Path) -> dict[str, object]:
    """Whose files they are, and their SHA-256."""
    paths = files(root)
    return {
        "format": "official" if _is_official(paths) else "lora",
        "files": {path.name: sha256(path) for path in paths.values()},
    }


def read_official(path: Path) -> list[Pair]:
    r"""Linearised meaning and reference of each row of a CSV file with the columns `mr` and `ref`.

    Two of the challenge's files end lines with \r\n; two references of its training set hold a line end.

    Raises:
        DataError: the file is damaged or not in its form; names the lines.
    """
    rows = _csv_rows(path)
    _, header = next(rows)
    missing = [name for name in ("mr", "ref") if name not in header]
    if missing:
        raise DataError(
            f"{path}: line 1: the header lacks {' and '.join(missing)}; it is {header}; {_OFFICIAL_HINT}"
        )
    places = header.index("mr"), header.index("ref")
    found, problems = [], []
    for line, cells in rows:
        try:
            found.append(_official_pair(cells, places, len(header)))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    return _checked(path, found, problems, _OFFICIAL_HINT)


def read_lora(path: Path) -> list[Pair]:
    """Meaning and reference of each line, as they stand there.

    Raises:
        DataError: the file is damaged or not in its form; names the lines.
    """
    found, problems = [], []
    for number, line in enumerate(text_files.lines(path), start=1):
        try:
            found.append(_lora_pair(line))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    return _checked(path, found, problems, _LORA_HINT)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows and the line on which each begins."""
    text = text_files.text(path).replace("\r\n", "\n")
    text_files.refuse_carriage_returns(path, text)
    if not text:
        raise DataError(f"{path}: line 1: empty; {_OFFICIAL_HINT}")
    reader = csv.reader(io.StringIO(text), strict=True)
    first = 1
    try:
        for cells in reader:
            yield first, cells
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}: line {first}: not readable as CSV ({error}); {_OFFICIAL_HINT}") from error


def _official_pair(cells: list[str], places: tuple[int, int], width: int) -> Pair:
    if len(cells) != width:
        raise ValueError(f"{len(cells)} columns where {width} are due")
    meaning, reference = (cells[place].strip() for place in places)
    if not meaning or not reference:
        raise ValueError("an empty cell")
    return linearise(meaning), reference


def _lora_pair(line: str) -> Pair:
    parts = [part.strip() for part in line.split("||")]
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"{line!r:.200} is no meaning and reference parted by one '||'")
    if not all(re.fullmatch(r"[^|]*\S : \S[^|]*", slot) for slot in parts[0].split(" | ")):
        raise ValueError(f"{parts[0]!r:.200} is no list of 'slot : value' parted by ' | '")
    return parts[0], parts[1]


def _checked(path: Path, found: list[Pair], problems: list[str], hint: str) -> list[Pair]:
    text_files.refuse(path, problems, hint)
    if not found:
        raise DataError(f"{path}: no examples; {hint}")
    return found


def _hub_pairs(repository: str, split: str, commit: str) -> Iterator[Pair]:
    try:
        rows = datasets.load_dataset(repository, split=split, revision=commit)
    except (*hub.UNREACHABLE, datasets.exceptions.DatasetsError, ValueError) as error:
        raise DataError(
            f"{repository}, {split}, at revision {commit} cannot be read from the hub: {error}. Connect, or "
            "unset HF_HUB_OFFLINE, or set data.revision to a cached commit, or use data.source=local with "
            "data.root"
        ) from error
    told = "human_reference" if "human_reference" in rows.column_names else "target"
    missing = [name for name in ("meaning_representation", told) if name not in rows.column_names]
    if missing:
        raise DataError(
            f"{repository}, {split}: no column {' or '.join(missing)} at {commit}; pin another revision"
        )
    for number, row in enumerate(rows):
        yield from _hub_row(row, told, f"{repository}, {split}: row {number} at {commit}")


def _hub_row(row: dict[str, Any], told: str, place: str) -> Iterator[Pair]:
    """A row's pairs: GEM keeps all references of an input in one row of its test set."""
    texts = [text.strip() for text in (row.get("references") or [row[told]])]
    if not all(texts):
        raise DataError(f"{place}: an empty reference; pin another revision")
    try:
        meaning = linearise(row["meaning_representation"].strip())
    except ValueError as error:
        raise DataError(f"{place}: {error}; pin another revision") from error
    for text in texts:
        yield meaning, text


def _examples(pairs: dict[str, list[Pair]], form: str) -> TextSplits:
    if form not in FORMS:
        raise DataError(f"data.text_form is {form!r}; choose one of {', '.join(FORMS)}")
    splits = {
        name: [(meaning, FORMS[form](reference)) for meaning, reference in found]
        for name, found in pairs.items()
    }
    test = _grouped(splits.pop("test"))
    learned = {
        name: [Prompted(meaning, target=reference, references=(reference,)) for meaning, reference in found]
        for name, found in splits.items()
    }
    return {
        **learned,
        "test": [Prompted(meaning, references=tuple(texts)) for meaning, texts in test.items()],
    }


def _grouped(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for meaning, reference in pairs:
        found.setdefault(meaning, []).append(reference)
    return found


def _is_official(paths: dict[str, Path]) -> bool:
    return paths["train"].name.startswith(OFFICIAL["train"])
