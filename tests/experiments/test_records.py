"""Tests of experiments/records.py and experiments/record_schema.py."""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from made_records import RUN_ID, outcome, record

from experiments import records
from experiments.records import RecordError


def test_written_record_reads_back_equal(tmp_path: Path) -> None:
    path = records.write(record(), tmp_path)
    assert path == tmp_path / "tiny/glue/cola/tiny_roberta/vblora-qv/seed3.json"
    assert records.read(path) == record()


def test_write_leaves_no_temporary_file_and_replaces(tmp_path: Path) -> None:
    records.write(record(), tmp_path)
    path = records.write(record(hash="new"), tmp_path)
    assert [p.name for p in path.parent.iterdir()] == ["seed3.json"]
    assert records.read(path).hash == "new"


def test_killed_before_rename_keeps_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = records.write(record(), tmp_path)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        records.write(record(hash="new"), tmp_path)
    assert records.read(path).hash == "0123abcd"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_finite_numbers_are_never_written(tmp_path: Path, value: float) -> None:
    bad = outcome() | {"last_scores": {"matthews": value}}
    with pytest.raises(RecordError, match=r"outcome\.last_scores\.matthews is"):
        records.write(record(outcome=bad), tmp_path)
    assert not any(tmp_path.rglob("*.json"))


def test_values_json_cannot_hold_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="PosixPath"):
        records.write(record(config={**record().config, "root": Path("x")}), tmp_path)


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        "../../etc/passwd",
        "/glue/cola/m/a-b/seed0",
        "glue/../m/a-b/seed0",
        "glue/cola/m/a-b/seed",
        "glue/cola/m/ab/seed0",
        "glue/cola/m/a-b/seed0/x",
        "glue/co la/m/a-b/seed0",
        "glue/cola/m/a-b/seed0\n",
    ],
)
def test_malformed_run_id_raises(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(RecordError, match="run_id"):
        records.path_of(tmp_path, "tiny", run_id)


def test_scale_cannot_leave_the_root(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="plain name"):
        records.path_of(tmp_path, "../tiny", RUN_ID)


def test_identity_names_the_variant() -> None:
    identity = records.parse_run_id("glue/rte/all-MiniLM-L6-v2/tied_lora-all-k4-2.5e-1/seed12")
    assert (identity.model, identity.method, identity.targets) == ("all-MiniLM-L6-v2", "tied_lora", "all")
    assert (identity.variant, identity.seed) == ("k4-2.5e-1", 12)
    assert record().identity.variant == "paper"


def broken(**changes: object) -> str:
    content = json.loads(json.dumps({**vars(record()), **changes}, allow_nan=True))
    return json.dumps({key: value for key, value in content.items() if value != "GONE"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged or cut off"),
        (broken()[:100], "damaged or cut off"),
        ("[" * 100_000, "nested too deeply"),
        ("[1, 2]", "no run record"),
        ('{"name": "package"}', "no run record"),
        (broken(schema_version=2), "schema_version 2; this project reads 1"),
        (broken(hash="GONE", circumstances="GONE"), "lacks hash, circumstances"),
        (broken(status="done"), "status 'done'; choose from success"),
        (broken(outcome=None), "outcome is no mapping"),
        (broken(status="failed", outcome=None), "error is no mapping"),
        (broken(status="cancelled"), "an outcome beside status 'cancelled'"),
        (broken(outcome=outcome() | {"scores": {"accuracy": 1.0}}), "lacks the metric, 'matthews'"),
        (broken(outcome=outcome() | {"scores": {"matthews": "0.5"}}), "matthews is no number"),
        (broken(outcome=outcome() | {"num_steps": True}), "num_steps is no number"),
        (broken(outcome={"scores": {}}), "outcome lacks last_scores, data"),
        (broken(outcome=outcome() | {"best_epoch": math.nan}), "holds NaN"),
        (broken(run_id="../x"), "malformed"),
        (broken(config={"lr": "LR"}).replace('"LR"', "1e999"), "config.lr is inf"),
        (broken(config={"lr": "LR"}).replace('"LR"', "9" * 5000), "damaged"),
    ],
)
def test_bad_files_are_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=message.replace(".", r"\.")) as caught:
        records.read(path)
    assert str(path) in str(caught.value)


def test_unreadable_things_are_explained(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(records.MAX_BYTES + 1)
    reasons = {
        "folder": "regular",
        "binary": "UTF-8",
        "link": "No such file",
        "pipe": "regular",
        "huge": "bytes",
    }
    for name, message in reasons.items():
        with pytest.raises(RecordError, match=message):
            records.read(tmp_path / f"{name}.json")


def test_find_names_bad_files_and_reads_the_rest(tmp_path: Path) -> None:
    good = records.write(record(), tmp_path)
    failed = record(
        RUN_ID.replace("seed3", "seed4"), status="failed", outcome=None, error={"type": "ValueError"}
    )
    records.write(failed, tmp_path)
    (good.parent / "seed5.json").write_text(good.read_text(encoding="utf-8"), encoding="utf-8")
    (good.parent / "seed6.json").write_text(good.read_text(encoding="utf-8")[:50], encoding="utf-8")
    (good.parent / "seed3.answers.jsonl").write_text("{}\n", encoding="utf-8")
    (good.parent / ".seed7.json.tmp").write_text("{", encoding="utf-8")
    os.mkfifo(good.parent / "seed8.json")
    found = records.find([tmp_path, tmp_path / "absent"], "tiny")
    assert [r.status for r in found.records] == ["success", "failed"]
    assert [p.path.name for p in found.problems] == ["seed5.json", "seed6.json", "seed8.json"]
    assert found.problems[0].message == f"holds the run {RUN_ID}, whose place is elsewhere"


def test_find_never_mixes_scales(tmp_path: Path) -> None:
    good = records.write(record(), tmp_path)
    stray = tmp_path / "paper" / RUN_ID
    stray.parent.mkdir(parents=True)
    stray.with_suffix(".json").write_text(good.read_text(encoding="utf-8"), encoding="utf-8")
    found = records.find([tmp_path], "paper")
    assert not found.records
    assert found.problems[0].message == "scale 'tiny', but it lies under 'paper'"


def test_first_root_wins_but_finished_beats_unfinished(tmp_path: Path) -> None:
    first, second = tmp_path / "runs", tmp_path / "reference"
    other = RUN_ID.replace("seed3", "seed4")
    records.write(record(hash="mine"), first)
    records.write(record(hash="theirs"), second)
    records.write(record(other, status="cancelled", outcome=None), first)
    records.write(record(other, hash="theirs"), second)
    found = records.find([first, second], "tiny")
    assert [(r.hash, r.status) for r in found.records] == [("mine", "success"), ("theirs", "success")]
    assert found.from_first_root == {RUN_ID}


def test_ten_thousand_files_take_seconds(tmp_path: Path) -> None:
    path = records.write(record(), tmp_path)
    text = path.read_text(encoding="utf-8")
    for seed in range(10_000):
        (path.parent / f"seed{seed}.json").write_text(text.replace("seed3", f"seed{seed}"), encoding="utf-8")
    start = time.process_time()
    found = records.find([tmp_path], "tiny")
    assert (len(found.records), found.problems) == (10_000, [])
    assert time.process_time() - start < 60  # about 3 are needed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: r["circumstances"].update(total_seconds="abc"),
            "total_seconds is no number",
        ),
        (lambda r: r["circumstances"].update(model_bytes=None), "circumstances.model_bytes is no number"),
        (lambda r: r["config"].pop("optim"), "config.optim is no mapping"),
        (lambda r: r["config"].update(data="x"), "config.data is no mapping"),
        (lambda r: r["outcome"].update(stored_params=10**400), "stored_params is no number"),
        (lambda r: r["outcome"]["scores"].update(matthews=10**400), "scores.matthews is no number"),
        (lambda r: r["outcome"].update(metric="accuracy"), "lacks the metric"),
        (
            lambda r: r.update(run_id=r["run_id"].replace("cola", "rte")),
            "is not that of GLUE's rte, accuracy",
        ),
        (
            lambda r: r.update(run_id=r["run_id"].replace("cola", "mnli")),
            "is not that of GLUE's mnli, unknown",
        ),
        (lambda r: r.update(run_id=r["run_id"].replace("seed3", "seed03")), "run_id .* is malformed"),
    ],
)
def test_a_foreign_value_is_named_and_no_report_meets_it(change: Any, message: str, tmp_path: Path) -> None:
    path = records.write(record(), tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        records.read(path)
