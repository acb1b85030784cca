"""Instructions to learn from and questions to answer: Cleaned Alpaca and MT-Bench.

    <root>/alpaca/alpaca_data_cleaned.json     51,760 cleaned examples, or a part: alpaca_cleaned_first….json
    <root>/alpaca/alpaca_data.json             52,002 uncleaned ones, read only when asked for
    <root>/mt_bench/question.jsonl             FastChat's 80 questions of one or two turns

Each may be an array or one object a line (`.json`, `.jsonl`), plain or gzipped. One example, one question:

    {"instruction": "Identify the odd one out.", "input": "Twitter, Telegram", "output": "Telegram"}
    {"question_id": 81, "category": "writing", "turns": ["Compose an engaging …", "Rewrite your previous …"]}

28 outputs of the uncleaned set are empty. Learning them would teach to answer nothing, so they are left out
and counted in the description; the released code trains on them. None of the first 5,000 cleaned ones is.

Sources: https://huggingface.co/datasets/yahma/alpaca-cleaned, https://github.com/tatsu-lab/stanford_alpaca,
https://github.com/lm-sys/FastChat (fastchat/llm_judge/data/mt_bench).
"""

from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np

from experiments.data import hub
from experiments.data.examples import DataError, Prompted, TextSplits
from experiments.data.json_rows import Row, check, first_file, read, sha256

REPOSITORY = "yahma/alpaca-cleaned"
MT_BENCH = "mt_bench"
EDITIONS = {"cleaned": "alpaca_data_cleaned", "uncleaned": "alpaca_data"}
PARTIAL = "alpaca_cleaned_first*.json*"
SPLIT_SEED = 42  # of the released code's train_test_split

_ALPACA_HINT = "use Alpaca's official file (instruction, input, output), unedited"
_QUESTIONS_HINT = "use FastChat's mt_bench/question.jsonl"


def local_splits(root: Path, edition: str = "cleaned", held_out: int = 0) -> TextSplits:
    """Alpaca as "train" and "validation", MT-Bench's questions as "test".

    Args:
        root: the folder that holds alpaca/ and mt_bench/.
        edition: "cleaned", as in the paper, or "uncleaned".
        held_out: examples kept for validation: 1,024 in the released LoRA scripts, 0 in VB-LoRA's.

    Raises:
        DataError: a file is missing, damaged or not in its official form, or `held_out` does not fit.
    """
    return {**split(local_rows(root, edition), held_out), "test": questions(root)}


def local_rows(root: Path, edition: str = "cleaned") -> list[Prompted]:
    """All rows of the local Alpaca file in their order, those with an empty output included.

    Raises:
        DataError: the file is missing, damaged or not in its official form.
    """
    return read(alpaca_file(root, edition), _alpaca, _ALPACA_HINT)


def hub_rows(revision: str | None, repository: str = REPOSITORY) -> list[Prompted]:
    """All rows of Cleaned Alpaca on the hub, in their order.

    Args:
        revision: a branch, a tag or a commit; None is the newest. `hub.resolve` names the commit.
        repository: the data set's name on the hub, or a local folder that `datasets` can read.

    Raises:
        DataError: the data cannot be reached or lack a column.
    """
    commit = hub.resolve(revision, repository)
    try:
        rows = datasets.load_dataset(repository, split="train", revision=commit)
    except (*hub.UNREACHABLE, datasets.exceptions.DatasetsError, ValueError) as error:
        raise DataError(
            f"{repository} at revision {commit} cannot be read from the hub: {error}. Connect, or unset "
            "HF_HUB_OFFLINE, or set data.revision to a cached commit, or use data.source=local with data.root"
        ) from error
    names = ("instruction", "input", "output")
    missing = [name for name in names if name not in rows.column_names]
    if missing:
        raise DataError(f"{repository}: no column {', '.join(missing)} at {commit}; pin another revision")
    return [_prompted(*texts) for texts in zip(*(rows[name] for name in names), strict=True)]


def split(rows: Sequence[Prompted], held_out: int) -> TextSplits:
    """Training and validation set without the rows whose output is empty.

    The validation rows are those that the released code's `train_test_split(test_size=held_out, seed=42)` of
    `datasets` draws from the same rows, in the order drawn; the training rows keep their own order.

    Raises:
        DataError: `held_out` is negative or leaves nothing to train on.
    """
    if not 0 <= held_out < len(rows):
        raise DataError(f"held_out is {held_out}; choose 0 to {len(rows) - 1} of the {len(rows)} examples")
    drawn = np.random.default_rng(SPLIT_SEED).permutation(len(rows))[:held_out].tolist()
    kept = set(range(len(rows))) - set(drawn)
    chosen = {"train": sorted(kept), "validation": drawn}
    return {name: [rows[i] for i in places if rows[i].target.strip()] for name, places in chosen.items()}


def num_empty(rows: Sequence[Prompted]) -> int:
    """How many rows `split` leaves out, for the description."""
    return sum(not row.target.strip() for row in rows)


def questions(root: Path) -> list[Prompted]:
    """MT-Bench's questions: `source` is the first turn; facts: question_id, category, turn_2 if there is one.

    Raises:
        DataError: the file is missing, damaged or not in FastChat's form, or an id stands twice.
    """
    path = questions_file(root)
    found = read(path, _question, _QUESTIONS_HINT)
    ids = [question.facts["question_id"] for question in found]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise DataError(f"{path}: question {', '.join(twice)} stands twice; {_QUESTIONS_HINT}")
    return found


def files(root: Path, edition: str = "cleaned") -> dict[str, Path]:
    """The file that "train" is read from, and that of "test".

    Raises:
        DataError: the edition is unknown or a file is missing.
    """
    return {"train": alpaca_file(root, edition), "test": questions_file(root)}


def describe(root: Path, edition: str = "cleaned") -> dict[str, object]:
    """The files with their SHA-256, the edition, whether it is a part, and how many empty rows are left out.

    Raises:
        DataError: as `local_rows` does.
    """
    paths = files(root, edition)
    return {
        "files": {path.name: sha256(path) for path in paths.values()},
        "edition": edition,
        "partial_train": paths["train"].match(PARTIAL),
        "num_empty_left_out": num_empty(local_rows(root, edition)),
    }


def alpaca_file(root: Path, edition: str) -> Path:
    """The local Alpaca file: the whole cleaned set before a part of it; the uncleaned one by its name only.

    Raises:
        DataError: the edition is unknown, no file is there, or several parts are.
    """
    if edition not in EDITIONS:
        raise DataError(f"no edition {edition!r} of Alpaca; choose one of {', '.join(EDITIONS)}")
    folder, stem = root / "alpaca", EDITIONS[edition]
    parts = sorted(folder.glob(PARTIAL)) if edition == "cleaned" else []
    if parts and not list(folder.glob(f"{stem}.json*")):
        if len(parts) > 1:
            raise DataError(f"{folder}: several parts: {', '.join(p.name for p in parts)}; leave one")
        return parts[0]
    hint = f"put the {edition} Alpaca there or change data.root"
    return first_file(folder, [f"{stem}.json", f"{stem}.jsonl"], hint)


def questions_file(root: Path) -> Path:
    """MT-Bench's file of questions.

    Raises:
        DataError: it is missing.
    """
    return first_file(root / "mt_bench", ["question.jsonl"], "put FastChat's file there or change data.root")


def _alpaca(row: Row) -> Prompted:
    check(row, {"instruction": str, "input": str, "output": str})
    if not row["instruction"].strip():
        raise ValueError("an empty instruction")
    return _prompted(row["instruction"], row["input"], row["output"])


def _prompted(instruction: str, context: str, output: str) -> Prompted:
    return Prompted(source=instruction, context=context, target=output)


def _question(row: Row) -> Prompted:
    check(row, {"question_id": int, "category": str, "turns": list})
    turns = row["turns"]
    if len(turns) not in (1, 2) or not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise ValueError(f"turns of question {row['question_id']} are not one or two texts")
    facts = {"question_id": str(row["question_id"]), "category": row["category"]}
    facts |= {"turn_2": turns[1]} if len(turns) == 2 else {}
    return Prompted(source=turns[0], group=MT_BENCH, facts=facts)
