import itertools
import os
import random
import resource
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
import torch
from tiny_models import gpt2, roberta, shake, tokens
from torch import nn

import vblora
from vblora.banks import identity
from vblora.errors import AdapterFileError, AdapterStateError, VBLoRAError
from vblora.store import Store

SETTINGS = {"rank": 2, "num_vectors": 6, "vector_length": 16, "targets": ["query", "value"]}


def adapted(bank: Path | None = None, seed: int = 0) -> nn.Module:
    """A model with an adapter of its own bank, or of a shared one, and a head."""
    model = roberta()
    shared = {} if bank is None else {"bank": bank, "train_bank": False}
    torch.manual_seed(seed)
    vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS, **shared), also_train=["classifier"])
    shake(model.vblora)
    with torch.no_grad():
        model.classifier.out_proj.weight.normal_(std=1 + seed)
    return model


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(tokens()).logits


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    vblora.save(adapted(), tmp_path / "donor")
    return tmp_path / "donor"


@pytest.fixture
def further(donor: Path, tmp_path: Path) -> Path:
    """The folder of an adapter on the donor's bank."""
    vblora.save(adapted(donor), tmp_path / "further", "topk")
    return tmp_path / "further"


@pytest.fixture
def store(donor: Path, tmp_path: Path) -> Iterator[Store]:
    """Three adapters on one bank, and one with a bank of its own."""
    with Store(tmp_path / "all.vblora", "a") as store:
        for seed in range(3):
            store.save(adapted(donor, seed), f"user-{seed}")
        store.save(adapted(seed=7), "own", kind="trained")
        yield store


def test_stored_adapters_give_the_very_outputs_again(donor: Path, store: Store) -> None:
    store.close()
    model, again = roberta(), Store(store.path)
    for seed in range(3):
        again.load(model, f"user-{seed}")
        assert torch.equal(logits(model), logits(adapted(donor, seed)))
    again.load(model, "own", adapter="mine")
    assert torch.equal(logits(model), logits(adapted(seed=7)))
    assert list(model.vblora) == ["user-0", "user-1", "user-2", "mine"] and model.vblora.mine.trainable


def test_stored_adapters_serve_the_rows_of_one_batch(donor: Path, store: Store) -> None:
    model, names = roberta(), ["user-2", "user-0", "user-1"]
    alone = []
    for row, name in enumerate(names):
        store.load(model, name)
        alone.append(logits(model)[row])
    with vblora.rows(model, names):
        torch.testing.assert_close(logits(model), torch.stack(alone), atol=1e-6, rtol=1e-6)


def test_a_shared_bank_lies_there_once_and_in_memory_once(donor: Path, store: Store) -> None:
    bank = vblora.banks.read_bank(donor)
    assert store.banks() == [identity(bank)] and torch.equal(store.bank("user-1"), bank)
    assert store.bank("own") is None
    model = roberta()
    loaded = [store.load(model, f"user-{seed}") for seed in range(3)]
    assert len({own.bank.vectors.data_ptr() for own in loaded}) == 1


def test_list_tells_what_is_in_it(store: Store) -> None:
    assert list(store) == ["own", "user-0", "user-1", "user-2"] and len(store) == 4
    assert "own" in store and "nobody" not in store
    entries = {entry.name: entry for entry in store.entries()}
    assert entries["own"].kind == "trained" and entries["own"].bank is None
    assert entries["user-1"] == store.entry("user-1") and entries["user-1"].bank == store.banks()[0]
    assert entries["user-1"].num_bytes == len(store.file("user-1").data)


def test_files_come_in_and_go_out_byte_by_byte(donor: Path, store: Store, tmp_path: Path) -> None:
    path = vblora.save(adapted(donor, 5), tmp_path / "five", "topk", precision="tiny")
    store.add("five", tmp_path / "five")  # its bank is known here
    assert store.file("five").data == path.read_bytes()
    with Store(tmp_path / "new.vblora", "a") as new:
        with pytest.raises(AdapterFileError, match="which the store lacks; give bank=path"):
            new.add("five", path)
        vblora.save(adapted(seed=3), tmp_path / "other")
        with pytest.raises(AdapterFileError, match="the bank given is .*, not "):
            new.add("five", path, bank=tmp_path / "other")
        new.add("five", path, bank=donor)
        assert torch.equal(logits_of(new, "five"), logits_of(store, "five"))


def logits_of(store: Store, name: str) -> torch.Tensor:
    model = roberta()
    store.load(model, name)
    return logits(model)


def test_store_with_one_bank_serves_as_a_bank(store: Store) -> None:
    model = roberta()
    config = vblora.VBLoRAConfig(**SETTINGS, bank=store.path, train_bank=False)
    assert identity(vblora.attach(model, config).bank.vectors) == store.banks()[0]
    store.save(model, "further")
    assert store.entry("further").bank == store.banks()[0] and len(store.banks()) == 1


def test_store_with_several_banks_serves_not_as_one(store: Store, tmp_path: Path) -> None:
    vblora.save(adapted(seed=4), tmp_path / "second")
    store.save(adapted(tmp_path / "second"), "second")
    with pytest.raises(AdapterFileError, match="holds 2 banks; give the file of an adapter"):
        vblora.banks.read_bank(store.path)
    path = tmp_path / "out/vblora.safetensors"
    path.parent.mkdir()
    path.write_bytes(store.file("second").data)
    model = roberta()
    vblora.load(model, path.parent, bank=store.path)  # which is asked for the one that the file names
    assert torch.equal(logits(model), logits_of(store, "second"))
    store.remove("second")
    assert len(store.banks()) == 1 and store.verify() == 4


def test_taken_name_is_refused_unless_it_is_to_be_replaced(donor: Path, store: Store) -> None:
    before = logits_of(store, "user-1")
    with pytest.raises(AdapterStateError, match="'user-1' is in it already; replace=True"):
        store.save(adapted(donor, 8), "user-1")
    assert torch.equal(logits_of(store, "user-1"), before)
    store.save(adapted(donor, 8), "user-1", replace=True)
    assert torch.equal(logits_of(store, "user-1"), logits(adapted(donor, 8))) and len(store) == 4


def test_removed_adapter_is_gone_from_the_bytes_and_the_file_shrinks(store: Store) -> None:
    data, size = store.file("own").data, store.path.stat().st_size
    assert data[-100:] in store.path.read_bytes()
    store.remove("own")
    assert data[-100:] not in store.path.read_bytes() and store.path.stat().st_size < size
    for name in list(store):
        store.remove(name)
    assert store.banks() == [] and store.verify() == 0
    with pytest.raises(AdapterStateError, match="no adapter 'own' among the 0 in it"):
        store.remove("own")


def test_changes_together_are_made_all_or_none(donor: Path, store: Store) -> None:
    with pytest.raises(AdapterStateError, match="already"), store.together():
        store.save(adapted(donor, 4), "user-4")
        store.remove("own")
        store.save(adapted(donor, 4), "user-4")
    assert list(store) == ["own", "user-0", "user-1", "user-2"]
    with store.together():
        store.remove("own")
        assert "own" in Store(store.path)  # others see it until the end
    assert "own" not in store


def test_inner_failure_that_is_caught_undoes_itself_alone(further: Path, store: Store) -> None:
    with store.together():
        store.add("a", further)
        for name in ("own", "a"):
            with pytest.raises(AdapterStateError, match="already"):
                store.add(name, further)
        with pytest.raises(AdapterStateError, match="no adapter 'nobody'"):
            store.file("nobody")
        store.add("c", further)
    assert {"a", "c"} < set(Store(store.path)) and store.verify() == 6
    with pytest.raises(RuntimeError, match="of the user"), store.together():
        store.add("d", further)
        with pytest.raises(AdapterStateError, match="no adapter"):
            store.remove("nobody")
        store.remove("own")
        raise RuntimeError("of the user")
    assert "own" in store and "d" not in store


def test_lost_transaction_takes_no_more_changes(further: Path, store: Store) -> None:
    with pytest.raises(AdapterFileError, match="the changes of this block are lost"), store.together():
        store.add("a", further)
        store._file._open().rollback()  # as SQLite does on a full disk
        store.add("b", further)
    assert "a" not in store and "b" not in store and store.verify() == 4


def test_store_that_changes_is_not_closed(further: Path, store: Store) -> None:
    with store.together():
        store.add("a", further)
        with pytest.raises(AdapterStateError, match="close it afterwards"):
            store.close()
    assert "a" in store


def test_damaged_bank_is_written_anew_when_it_is_at_hand(donor: Path, store: Store) -> None:
    change(store, "UPDATE banks SET vectors = zeroblob(4 * 6 * 16)")
    with Store(store.path, "a") as again:
        again.save(adapted(donor, 5), "five")
        assert again.verify() == 5


def test_bank_that_went_with_its_last_adapter_is_written_again(donor: Path, store: Store) -> None:
    for name in ("user-0", "user-1", "user-2"):
        store.load(roberta(), name)  # so that the bank is in memory
        store.remove(name)
    assert store.banks() == []
    store.save(adapted(donor, 5), "five")
    assert torch.equal(logits_of(Store(store.path), "five"), logits(adapted(donor, 5)))


def test_names_that_no_adapter_on_a_model_can_have(donor: Path, store: Store) -> None:
    store.save(adapted(donor), "anna@example.org")
    with pytest.raises(AdapterStateError, match="give adapter= another name there"):
        store.load(roberta(), "anna@example.org")
    model = roberta()
    store.load(model, "anna@example.org", adapter="anna")
    assert list(model.vblora) == ["anna"] and 5 not in store


def test_file_too_large_for_a_value_is_refused_by_its_size(donor: Path, store: Store, monkeypatch) -> None:
    monkeypatch.setattr("vblora.store.MOST_BYTES", 1000)
    with pytest.raises(VBLoRAError, match="a store takes less than 1,000"):
        store.save(adapted(donor), "large")
    assert len(store) == 4


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", 'no"; DROP TABLE adapters; --'])
def test_odd_names(donor: Path, store: Store, name: str) -> None:
    if "DROP" in name:
        store.save(adapted(donor), name)
        assert name in store and len(store) == 5 and store.verify() == 5
    else:
        with pytest.raises(VBLoRAError, match="cannot name an adapter in a store"):
            store.save(adapted(donor), name)
        assert len(store) == 4


def test_reading_only_changes_nothing(donor: Path, store: Store, tmp_path: Path) -> None:
    before, reader = store.path.read_bytes(), Store(store.path)
    for change in (lambda: reader.remove("own"), lambda: reader.save(adapted(donor, 5), "five")):
        with pytest.raises(AdapterFileError, match='it needs mode="a"'):
            change()
    assert store.path.read_bytes() == before
    with pytest.raises(AdapterFileError, match='no such file; mode="a" makes a store'):
        Store(tmp_path / "typo.vblora")
    assert not (tmp_path / "typo.vblora").exists()
    with pytest.raises(VBLoRAError, match="mode 'w' is unknown"):
        Store(store.path, "w")


def test_closed_store_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(AdapterStateError, match="the store is closed"):
        len(store)
    store.close()


def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(
        "not a database at all, but long enough for a header" * 9, encoding="utf-8"
    )
    with sqlite3.connect(tmp_path / "foreign") as foreign:
        foreign.execute("CREATE TABLE notes (text)")
    (tmp_path / "empty").touch()
    for name, message in (("text", "no store"), ("foreign", "a database of something else")):
        before = (tmp_path / name).read_bytes()
        for mode in ("r", "a"):
            with pytest.raises(AdapterFileError, match=message):
                Store(tmp_path / name, mode)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(AdapterFileError, match="a database of something else"):
        Store(tmp_path / "empty")
    assert len(Store(tmp_path / "empty", "a")) == 0
    with pytest.raises(AdapterFileError, match="unable to open"):
        Store(tmp_path / "no/folder/here", "a")


def change(store: Store, statement: str, *values: object) -> None:
    """Change the database behind the store's back."""
    store.close()
    with sqlite3.connect(store.path) as database:
        database.execute(statement, values)
    database.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON adapters BEGIN DELETE FROM files; END", "something else"),
        ("CREATE VIEW v AS SELECT * FROM adapters", "something else"),
        ("PRAGMA user_version = 2", "store of version 2; this version of vblora reads 1"),
        ("PRAGMA application_id = 5", "something else"),
    ],
)
def test_changed_schema_or_version_is_refused(store: Store, statement: str, message: str) -> None:
    change(store, statement)
    with pytest.raises(AdapterFileError, match=message):
        Store(store.path)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM files WHERE id = 2", "the file of adapter 'user-1' is missing"),
        ("UPDATE files SET data = 'text' WHERE id = 2", "the file of adapter 'user-1' is missing"),
        ("UPDATE files SET data = substr(data, 1, 900) WHERE id = 2", "user-1': .*cut off"),
        (
            "UPDATE files SET data = (SELECT data FROM files WHERE id = 1) WHERE id = 2",
            "something else of it",
        ),
        ("DELETE FROM banks", "the bank .* is missing"),
        ("UPDATE banks SET num_vectors = 7", "has other sizes"),
        ("UPDATE banks SET num_vectors = -6, vector_length = -16", "has other sizes"),
        ("UPDATE banks SET vectors = zeroblob(4 * 6 * 16)", "has other values"),
        ("UPDATE adapters SET bank = NULL", "something else of it"),
        ("UPDATE adapters SET bank = 'other'", "something else of it"),
        ("UPDATE adapters SET num_bytes = 'many'", "an entry that is none"),
        ("UPDATE adapters SET method = x'00ff'", "an entry that is none"),
        ("UPDATE adapters SET kind = char(27) || '[2J'", "an entry that is none"),
        ("UPDATE adapters SET kind = CAST(x'00ff' AS TEXT)", "damaged"),
    ],
)
def test_changed_row_is_an_error_that_names_it(store: Store, statement: str, message: str) -> None:
    change(store, statement)
    damaged, model = Store(store.path), roberta()
    with pytest.raises(AdapterFileError, match=message):
        damaged.load(model, "user-1")
    assert not hasattr(model, "vblora")
    with pytest.raises(AdapterFileError, match=r"all\.vblora"):
        damaged.verify()


def test_adapter_for_another_model_is_refused(store: Store) -> None:
    model = gpt2()
    with pytest.raises(AdapterFileError, match=r"all\.vblora, adapter 'own': made for another model"):
        store.load(model, "own")
    assert not hasattr(model, "vblora")


def test_threads_may_share_it(donor: Path, store: Store) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for round in range(5):
                with store.together():
                    store.save(made[number], f"{number}-{round}")
                    assert f"{number}-{round}" in store
        except BaseException as error:
            errors.append(error)

    made = [adapted(donor, seed) for seed in range(4)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and store.verify() == 4 + 20


@dataclass
class Writer:
    """A forked process that adds and removes adapters, and tells of each change when it is done."""

    pid: int
    told: IO[str]

    def lines(self) -> list[str]:
        """What it told until its end."""
        lines = [line.strip() for line in self.told if line.endswith("\n")]
        self.told.close()
        os.waitpid(self.pid, 0)
        return lines


def writer(path: Path, folder: Path, limit: int = 0) -> Writer:
    """Start one; with a `limit` no file of its can grow beyond so many bytes, as on a full disk."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Writer(pid, os.fdopen(reading))
    try:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        write_forever(path, folder, writing)
    except AdapterFileError as error:
        os.write(writing, f"error {error}\n".encode())
    finally:
        os._exit(0)


def write_forever(path: Path, folder: Path, told: int) -> None:
    store = Store(path, "a")
    for number in itertools.count():
        store.add(f"{os.getpid()}-{number}", folder)
        os.write(told, f"+{number}\n".encode())
        if number % 3 == 2:
            store.remove(f"{os.getpid()}-{number - 1}")
            os.write(told, f"-{number - 1}\n".encode())


def check(path: Path, pid: int, lines: list[str]) -> set[str]:
    """The store is whole and holds what was told, but for the one change under way; returns what is there."""
    added = [int(line[1:]) for line in lines if line.startswith("+")]
    removed = {int(line[1:]) for line in lines if line.startswith("-")}
    must, last = {f"{pid}-{n}" for n in added if n not in removed}, max(added, default=-1)
    with Store(path) as store:
        found = {name for name in store if name.startswith(f"{pid}-")}
        assert found ^ must <= {f"{pid}-{last + 1}", f"{pid}-{last - 1}"} and len(found ^ must) <= 1
        assert store.verify() >= len(found)  # another process may write now
    return found


def test_killed_at_any_time_it_loses_at_most_what_was_under_way(store: Store, further: Path) -> None:
    """40 kills; a second process writes meanwhile. Mutation that this finds: no transaction in `_insert`."""
    store.close()
    draw, kept = random.Random(0), set()
    running = [writer(store.path, further)]
    try:
        for _ in range(40):
            running.append(writer(store.path, further))
            time.sleep(draw.uniform(0, 0.1))
            os.kill(running[0].pid, signal.SIGKILL)
            process = running.pop(0)
            kept |= check(store.path, process.pid, process.lines())
    finally:
        os.kill(running[-1].pid, signal.SIGKILL)
    kept |= check(store.path, running[-1].pid, running[-1].lines())
    assert len(kept) > 40 and kept < set(Store(store.path))


def test_disk_full_at_any_byte_loses_nothing(donor: Path, further: Path, tmp_path: Path) -> None:
    """Mutation that this finds: PRAGMA journal_mode = OFF."""
    for limit in range(40_000, 60_000, 1_111):
        path = tmp_path / f"{limit}.vblora"
        with Store(path, "a") as store:
            store.add("first", further, bank=donor)
        process = writer(path, further, limit)
        lines = process.lines()
        assert lines[-1].startswith("error") and "nothing was written" in lines[-1]
        check(path, process.pid, lines)
        assert torch.equal(logits_of(Store(path), "first"), logits(adapted(donor)))


def test_journal_of_a_killed_writer_is_undone_by_a_reader(donor: Path, store: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy.vblora"
    with store.together():
        store.save(adapted(donor, 6), "six")
        store._file.rows("PRAGMA cache_size = 1")  # so that pages go to the file before the end
        store.save(adapted(donor, 6), "seven")
        shutil.copy(store.path, copy)
        shutil.copy(f"{store.path}-journal", f"{copy}-journal")
    with Store(copy) as reader:
        assert list(reader) == ["own", "user-0", "user-1", "user-2"] and reader.verify() == 4
    assert "seven" in store
