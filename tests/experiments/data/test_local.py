import gzip
from pathlib import Path

import pytest

from experiments import data
from experiments.config import DataConfig
from experiments.data.examples import DataError, Example
from experiments.data.local import FORMATS, glue_splits

LINES = {
    "cola": "gj04\t1\t\tThe \"sailors rode.\ngj04\t0\t*\tRode the.\n",
    "sst2": "sentence\tlabel\na \" film \t1\nno \x85 \u2028 film \t0\n",
    "mrpc": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\t\" He said\tHe\n0\t9\t9\tx\ty\n",
    "stsb": "index\tgenre\tsentence1\tsentence2\tscore\n0\tg\ta plane\ta jet\t5.000\n1\tg\tx\ty\t0.2\n",
    "qnli": "index\tquestion\tsentence\tlabel\n0\twho ?\the\tentailment\n1\twho ?\tit\tnot_entailment\n",
    "rte": "index\tsentence1\tsentence2\tlabel\n0\tone\ttwo\tnot_entailment\n1\tone\tone\tentailment\n",
}  # fmt: skip
EXPECTED = {
    "cola": [Example('The "sailors rode.', None, 1), Example("Rode the.", None, 0)],
    "sst2": [Example('a " film ', None, 1), Example("no \x85 \u2028 film ", None, 0)],
    "mrpc": [Example('" He said', "He", 1), Example("x", "y", 0)],
    "stsb": [Example("a plane", "a jet", 5.0), Example("x", "y", 0.2)],
    "qnli": [Example("who ?", "he", 0), Example("who ?", "it", 1)],
    "rte": [Example("one", "two", 1), Example("one", "one", 0)],
}


def write(root: Path, task: str, train: bytes, dev: bytes | None = None, name: str = "train.tsv") -> Path:
    folder = root / FORMATS[task].folder
    folder.mkdir(parents=True)
    (folder / name).write_bytes(train)
    (folder / "dev.tsv").write_bytes(LINES[task].encode() if dev is None else dev)
    return root


@pytest.mark.parametrize("task", LINES)
def test_official_files_are_read_without_quoting(task: str, tmp_path: Path) -> None:
    write(tmp_path, task, gzip.compress(LINES[task].encode()), name="train.tsv.gz")
    assert glue_splits(task, tmp_path) == {"train": EXPECTED[task], "validation": EXPECTED[task]}


def bad(task: str, text: str) -> tuple[str, bytes]:
    return task, text.encode()


BAD = {
    "wrong header": (*bad("sst2", "text\tlabel\na\t1\n"), "line 1: the header lacks sentence"),
    "no header": (
        *bad("rte", "0\ta\tb\tentailment\n"),
        "line 1: the header lacks sentence1, sentence2, label",
    ),
    "header where none is due": (
        *bad("cola", "source\tlabel\tmark\tsentence\n"),
        "line 1: 'label' is no label",
    ),
    "empty file": (*bad("cola", ""), "line 1: 1 columns where 4 are due"),
    "empty with header": (*bad("sst2", "sentence\tlabel\n"), "line 2: no examples"),
    "bad label": (*bad("sst2", "sentence\tlabel\na\t1\nb\t2\n"), "line 3: '2' is no label of SST-2"),
    "label in words": (*bad("qnli", LINES["qnli"] + "2\tq\ts\t1\n"), "line 4: '1' is no label of QNLI"),
    "score out of range": (*bad("stsb", LINES["stsb"] + "2\tg\ta\tb\t5.1\n"), "line 4: '5.1' is no label"),
    "score not a number": (*bad("stsb", LINES["stsb"] + "2\tg\ta\tb\tnan\n"), "line 4: 'nan' is no label"),
    "column missing": (*bad("mrpc", LINES["mrpc"] + "1\t2\t3\ta\n"), "line 4: 4 columns where 5 are due"),
    "column too many": (*bad("sst2", "sentence\tlabel\na\tb\t1\n"), "line 2: 3 columns where 2 are due"),
    "empty line": (*bad("sst2", LINES["sst2"] + "\n"), "line 4: 1 columns where 2 are due"),
    "empty sentence": (*bad("rte", LINES["rte"] + "2\tx\t\tentailment\n"), "line 4: an empty sentence"),
    "CRLF": (*bad("sst2", LINES["sst2"].replace("\n", "\r\n")), "line 1: has a carriage return"),
    "not UTF-8": ("sst2", LINES["sst2"].encode() + b"caf\xe9\t1\n", "line 4: is not UTF-8"),
}


@pytest.mark.parametrize("which", BAD)
def test_bad_file_gives_one_error_with_file_and_line(which: str, tmp_path: Path) -> None:
    task, raw, message = BAD[which]
    with pytest.raises(DataError, match=message) as error:
        glue_splits(task, write(tmp_path, task, raw))
    assert str(tmp_path / FORMATS[task].folder / "train.tsv") in str(error.value)


@pytest.mark.parametrize("cut", [5, 30])
def test_truncated_gzip_is_refused(cut: int, tmp_path: Path) -> None:
    raw = gzip.compress(LINES["rte"].encode())[:-cut]
    with pytest.raises(DataError, match=r"train\.tsv\.gz: damaged or unreadable"):
        glue_splits("rte", write(tmp_path, "rte", raw, name="train.tsv.gz"))


def test_many_problems_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: .* and 15 more; use GLUE's official file"):
        glue_splits("sst2", write(tmp_path, "sst2", b"sentence\tlabel\n" + 20 * b"a\tgood\n"))


def test_missing_file_and_unknown_task_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"MRPC: no train\.tsv or train\.tsv\.gz .*change data\.root"):
        glue_splits("mrpc", tmp_path)
    with pytest.raises(DataError, match="no local format for task 'wnli'; choose one of cola"):
        glue_splits("wnli", tmp_path)


def test_description_names_files_and_a_partial_training_set(tmp_path: Path) -> None:
    write(tmp_path, "qnli", LINES["qnli"].encode(), name="train_partial.tsv")
    config = DataConfig(source="local", root=str(tmp_path), max_length=8, train_fraction=0.5)
    found = data.glue("qnli", config).description
    assert found["partial_train"] is True
    assert set(found["files"]) == {"train_partial.tsv", "dev.tsv"}
    assert (found["num_train"], found["num_validation"], found["train_fraction"]) == (1, 2, 0.5)


def test_local_needs_a_root_and_sources_are_named() -> None:
    with pytest.raises(DataError, match=r"needs data\.root"):
        data.glue("cola", DataConfig(source="local", max_length=8))
    with pytest.raises(DataError, match="choose one of hub, local, synthetic"):
        data.glue("cola", DataConfig(source="disk", max_length=8))


# Official numbers of rows; of QNLI's 104,743 only a published part is at hand.
ROWS = {
    "cola": (8551, 1043), "sst2": (67349, 872), "mrpc": (3668, 408), "stsb": (5749, 1500),
    "qnli": (21352, 5463), "rte": (2490, 277),
}  # fmt: skip


@pytest.mark.parametrize("task", ROWS)
def test_real_files_have_the_official_numbers_of_rows(task: str, shared_data: Path) -> None:
    splits = glue_splits(task, shared_data / "glue")
    assert (len(splits["train"]), len(splits["validation"])) == ROWS[task]
    share = sum(e.label for e in splits["validation"]) / ROWS[task][1]
    expected = {"cola": 721 / 1043, "sst2": 444 / 872, "mrpc": 279 / 408, "stsb": 2.364, "qnli": 2761 / 5463,
                "rte": 131 / 277}  # fmt: skip
    assert share == pytest.approx(expected[task], abs=5e-4)


def test_a_byte_order_mark_as_in_msrs_own_file_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    write(tmp_path, "mrpc", b"\xef\xbb\xbf" + LINES["mrpc"].encode())
    assert glue_splits("mrpc", tmp_path)["train"] == EXPECTED["mrpc"]
