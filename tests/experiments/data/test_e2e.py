import gzip
import hashlib
import json
from pathlib import Path

import datasets
import huggingface_hub
import pytest

from experiments.data import e2e
from experiments.data.examples import DataError, Prompted

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = [
    ('"name[The Mill], priceRange[£20-25]"', "The Mill isn't cheap."),
    ('"name[Cocum], eatType[pub]"', '"Cocum, a pub, is ""nice""."'),
    ('"name[The Mill], priceRange[£20-25]"', '"It costs\n£20-25."'),
]
CSV = "mr,ref\n" + "".join(f"{meaning},{reference}\n" for meaning, reference in ROWS)
MILL, COCUM = "name : The Mill | price : £ 20 - 25", "name : Cocum | Type : pub"
LORA = f"{MILL}||The Mill isn 't cheap . \n{COCUM}||Cocum , a pub . \n{MILL}||It is n't cheap . \n"


def write(
    root: Path, text: str | bytes, names: dict[str, str] = e2e.OFFICIAL, train: str | bytes | None = None
) -> Path:
    for name in names.values():
        raw = text if train is None or name != names["train"] else train
        (root / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return root


def learned(source: str, text: str) -> Prompted:
    return Prompted(source, target=text, references=(text,))


def test_official_files_give_an_example_a_row_and_for_test_one_a_meaning(tmp_path: Path) -> None:
    splits = e2e.local_splits(write(tmp_path, CSV))
    rows = [
        learned(MILL, "The Mill isn't cheap."),
        learned(COCUM, 'Cocum, a pub, is "nice".'),
        learned(MILL, "It costs £20-25."),
    ]
    assert splits["train"] == splits["validation"] == rows
    assert splits["test"] == [
        Prompted(MILL, references=("The Mill isn't cheap.", "It costs £20-25.")),
        Prompted(COCUM, references=('Cocum, a pub, is "nice".',)),
    ]


def test_the_tokenised_form_is_that_of_targets_and_references(tmp_path: Path) -> None:
    splits = e2e.local_splits(write(tmp_path, CSV), "tokenised")
    assert splits["train"][0] == learned(MILL, "The Mill isn 't cheap .")
    assert splits["test"][0].references == ("The Mill isn 't cheap .", "It costs £ 20 - 25 .")


def test_windows_line_ends_quoted_cells_another_order_and_gzip_read_the_same(tmp_path: Path) -> None:
    expected = e2e.read_official(write(tmp_path, CSV) / "trainset.csv")
    other = "ref,id,mr\n" + "".join(f"{reference},7,{meaning}\n" for meaning, reference in ROWS)
    for text in (CSV.replace("\n", "\r\n"), CSV.replace("mr,ref", '"mr","ref"'), "\ufeff" + CSV, other):
        (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text.encode()))
        found = e2e.read_official(tmp_path / "x.csv.gz")
        assert [(meaning, text.split()) for meaning, text in found] == [
            (meaning, text.split()) for meaning, text in expected
        ]


def test_the_lora_authors_files_are_read_as_they_are(tmp_path: Path) -> None:
    splits = e2e.local_splits(write(tmp_path, LORA, e2e.LORA), "tokenised")
    assert splits["train"][2] == learned(MILL, "It is n't cheap .")
    assert splits["test"][0] == Prompted(MILL, references=("The Mill isn 't cheap .", "It is n't cheap ."))
    with pytest.raises(DataError, match=r"hold tokenised text; set data\.text_form=tokenised, not plain"):
        e2e.local_splits(tmp_path)


def test_both_formats_give_the_same_inputs(tmp_path: Path) -> None:
    for folder, text, names in (("a", CSV, e2e.OFFICIAL), ("b", LORA, e2e.LORA)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, text, names)
    one, other = (e2e.local_splits(tmp_path / folder, "tokenised") for folder in ("a", "b"))
    for split in one:
        assert [example.source for example in one[split]] == [example.source for example in other[split]]


def test_description_names_format_and_files_by_their_hash(tmp_path: Path) -> None:
    found = e2e.describe(write(tmp_path, CSV))
    digest = hashlib.sha256(CSV.encode()).hexdigest()
    assert found == {"format": "official", "files": dict.fromkeys(e2e.OFFICIAL.values(), digest)}
    (tmp_path / "trainset.csv").unlink()
    assert e2e.describe(write(tmp_path, LORA, e2e.LORA))["format"] == "lora"


BAD = {
    "no ref": ("mr\nname[a]\n", "line 1: the header lacks ref"),
    "test set without references": ("MR\nname[a]\n", "line 1: the header lacks mr and ref"),
    "no header": ("".join(CSV.splitlines(True)[1:]), "line 1: the header lacks mr and ref"),
    "empty": ("", "line 1: empty"),
    "header only": ("mr,ref\n", "no examples"),
    "empty cell": (CSV + '"name[a]", \n', "line 6: an empty cell"),
    "column missing": (CSV + "name[a]\n", "line 6: 1 columns where 2 are due"),
    "column too many": (CSV + '"name[a], food[b]",c,d\n', "line 6: 3 columns where 2 are due"),
    "quote left open": (CSV + '"name[a],b\nname[c],d\n', "line 6: not readable as CSV"),
    "quote within": (CSV + '"name[a]"x,b\n', "line 6: not readable as CSV"),
    "empty line": (CSV + "\nname[a],b\n", "line 6: 0 columns where 2 are due"),
    "no meaning": (CSV + "name : a,b\n", "line 6: 'name : a' is no meaning representation"),
    "semicolons": (CSV.replace(",", ";"), "line 1: the header lacks mr and ref"),
    "lone carriage return": (CSV.replace("cheap", "che\rap"), "line 2: has a carriage return"),
    "not UTF-8": (CSV.encode() + b"name[a],Caf\xe9\n", "line 6: is not UTF-8"),
}
BAD_LORA = {
    "no separator": (LORA + "name : a | b\n", "line 4: 'name : a | b' is no meaning and reference"),
    "two separators": (LORA + "name : a||b||c\n", "line 4: .* is no meaning and reference"),
    "no reference": (LORA + "name : a|| \n", "line 4: .* is no meaning and reference"),
    "no meaning": (LORA + "||b\n", "line 4: .* is no meaning and reference"),
    "other slots": (LORA + "name[a]||b\n", r"line 4: 'name\[a\]' is no list of 'slot : value'"),
    "empty slot": (LORA + "name : a | ||b\n", "line 4: 'name : a |' is no list of 'slot : value'"),
    "empty line": (LORA + "\n", "line 4: '' is no meaning and reference"),
    "empty": ("", "line 1: '' is no meaning and reference"),
    "carriage return": (LORA.replace("\n", "\r\n"), "line 1: has a carriage return"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_official_file_gives_one_error_with_file_and_line(which: str, tmp_path: Path) -> None:
    raw, message = BAD[which]
    with pytest.raises(DataError, match=message) as error:
        e2e.local_splits(write(tmp_path, CSV, train=raw))
    assert str(tmp_path / "trainset.csv") in str(error.value)


@pytest.mark.parametrize("which", BAD_LORA)
def test_a_bad_file_of_the_lora_authors_gives_one_error_with_file_and_line(
    which: str, tmp_path: Path
) -> None:
    raw, message = BAD_LORA[which]
    with pytest.raises(DataError, match=message) as error:
        e2e.local_splits(write(tmp_path, LORA, e2e.LORA, train=raw), "tokenised")
    assert str(tmp_path / "train.txt") in str(error.value)


@pytest.mark.parametrize("cut", [5, 30])
def test_a_truncated_gzip_is_refused(cut: int, tmp_path: Path) -> None:
    write(tmp_path, CSV)
    (tmp_path / "trainset.csv").unlink()
    (tmp_path / "trainset.csv.gz").write_bytes(gzip.compress(CSV.encode())[:-cut])
    with pytest.raises(DataError, match=r"trainset\.csv\.gz: damaged or unreadable"):
        e2e.local_splits(tmp_path)


def test_missing_files_and_unknown_forms_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no trainset\.csv or train\.txt \(or \.gz\); .* change data\.root"):
        e2e.files(tmp_path)
    write(tmp_path, CSV)
    (tmp_path / "testset_w_refs.csv").unlink()
    with pytest.raises(
        DataError, match=r"no testset_w_refs\.csv \(or \.gz\); put it beside the training set"
    ):
        e2e.local_splits(tmp_path)
    with pytest.raises(DataError, match="data.text_form is 'lower'; choose one of plain, tokenised"):
        e2e.local_splits(write(tmp_path, CSV), "lower")


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a local folder that `datasets` reads as it reads the hub's."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def make(rows: list[dict]) -> str:
        files = []
        for split in e2e.OFFICIAL:
            (tmp_path / f"{split}.jsonl").write_text(
                "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
            )
            files.append(f"  - {{split: {split}, path: {split}.jsonl}}")
        head = ["---", "configs:", "- config_name: default", "  data_files:", *files, "---", ""]
        (tmp_path / "README.md").write_text("\n".join(head), encoding="utf-8")
        return str(tmp_path)

    return make


def test_the_hub_gives_the_same_examples_as_the_official_files(hub_folder, tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    expected = e2e.local_splits(write(tmp_path / "csv", CSV))
    rows = [
        {
            "meaning_representation": meaning.strip('"'),
            "human_reference": reference.strip('"').replace('""', '"'),
        }
        for meaning, reference in ROWS
    ]
    assert e2e.hub_splits(COMMIT, hub_folder(rows)) == expected


def test_gems_edition_has_all_references_of_a_meaning_in_one_row(hub_folder) -> None:
    rows = [
        {"meaning_representation": "name[a]", "target": "one", "references": ["one", "two"]},
        {"meaning_representation": "name[b]", "target": "three", "references": []},
    ]
    splits = e2e.hub_splits(COMMIT, hub_folder(rows))
    assert splits["test"] == [Prompted("name : a", references=("one", "two")),
                              Prompted("name : b", references=("three",))]  # fmt: skip
    assert splits["train"] == [
        learned("name : a", "one"),
        learned("name : a", "two"),
        learned("name : b", "three"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"mr": "name[a]", "human_reference": "x"}, "train: no column meaning_representation at 0123"),
        ({"meaning_representation": "name[a]", "ref": "x"}, "train: no column target at 0123"),
        (
            {"meaning_representation": "a", "human_reference": "x"},
            "train: row 0 at 0123.*: 'a' is no meaning",
        ),
        (
            {"meaning_representation": "name[a]", "human_reference": " "},
            "train: row 0 at 0123.*: an empty ref",
        ),
    ],
)
def test_a_data_set_of_another_form_is_refused(row: dict, message: str, hub_folder) -> None:
    with pytest.raises(DataError, match=message):
        e2e.hub_splits(COMMIT, hub_folder([row]))


def test_a_branch_is_resolved_to_a_commit(hub_folder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Info:
        sha = COMMIT

    asked = []
    loaded = datasets.load_dataset
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name, revision: Info())
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *names, **options: asked.append(options) or loaded(*names, **options)
    )
    e2e.hub_splits("main", hub_folder([{"meaning_representation": "name[a]", "human_reference": "x"}]))
    assert {options["revision"] for options in asked} == {COMMIT}


@pytest.mark.parametrize("revision", [None, COMMIT])
def test_offline_gives_a_message_that_helps(revision: str | None) -> None:
    with pytest.raises(DataError, match=f"{e2e.REPOSITORY}.* cannot be read from the hub.*data.source=local"):
        e2e.hub_splits(revision)


def test_the_real_files_have_the_official_numbers_of_rows(shared_data: Path) -> None:
    splits = e2e.local_splits(shared_data / "e2e")
    assert {name: len(examples) for name, examples in splits.items()} == {
        "train": 42061, "validation": 4672, "test": 630
    }  # fmt: skip
    assert sum(len(example.references) for example in splits["test"]) == 4693
    assert len({example.source for example in splits["train"]}) == 4862
    assert not any("\n" in example.target for example in splits["train"])
