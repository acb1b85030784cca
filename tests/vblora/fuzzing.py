"""Valid adapters on disk, mutated: bytes flipped, cut and put in; headers and tensors changed, hashed anew.

Run as a command, it loads so many of them one by one, with little memory to spare.

Usage: python fuzzing.py CASES SEED FOLDER
"""

import contextlib
import json
import random
import resource
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from test_storage import rewrite
from tiny_models import roberta, shake, tokens

import vblora
from vblora.places import find
from vblora.stand_in import read

SETTINGS = {"rank": 2, "num_vectors": 6, "vector_length": 16, "targets": ["query", "intermediate.dense"]}
SPARE_BYTES = 512 * 2**20  # beyond what the process holds before the first case
MOST_SECONDS = 20  # of one case
NAMES = (
    "roberta.encoder.layer.0.output.dense",
    "classifier",
    "vblora",
    "",
    "a.b",
    "x" * 300,
    "../../x",
    "é\n",
)
VALUES = (None, True, -1, 0, 1, 3, 7, 2**15, 2**31, 2**40, 2**63, 1e308, 0.5, float("nan"), float("inf"))
HOSTILE = (*VALUES, *NAMES, [], {}, [[]], [["a", 1, 2]], {"a": {}}, "topk", "trained", "tiny")


@dataclass(frozen=True)
class Subject:
    """One kind of adapter on disk.

    Attributes:
        folder: of the valid one.
        load: attaches what lies in a folder.
        changes: structured mutations of a copy of the folder.
    """

    folder: Path
    load: Callable[[torch.nn.Module, Path], object]
    changes: Callable[[Path, random.Random], None]


def adapted(config, noise: float = 0.3):
    model = roberta()
    vblora.attach(model, config, also_train=["classifier"])
    shake(model.vblora, noise)
    return model


def subjects(root: Path) -> dict[str, Subject]:
    """All kinds, written below a folder."""
    plain, found = adapted(vblora.VBLoRAConfig(**SETTINGS)), {}
    own = {"trained": "exact", "exact": "exact", "compact": "compact", "tiny": "tiny"}
    for name, precision in own.items():
        vblora.save(plain, root / name, "trained" if name == "trained" else "topk", precision=precision)
        found[name] = Subject(root / name, lambda model, folder: vblora.load(model, folder), change_ours)
    for method, config in (("tied", vblora.TiedLoRAConfig), ("xs", vblora.LoRAXSConfig)):
        vblora.save(adapted(config(rank=2, targets=["query"]), 0.1), root / method)
        found[method] = Subject(root / method, lambda model, folder: vblora.load(model, folder), change_ours)
    shared = adapted(vblora.VBLoRAConfig(**SETTINGS, bank=root / "trained", train_bank=False))
    vblora.save(shared, root / "shared", "topk")

    def on_bank(model, folder):
        return vblora.load(model, folder, bank=root / "trained")

    found["shared"] = Subject(root / "shared", on_bank, change_ours)
    (root / "store").mkdir()
    with vblora.Store(root / "store/all.vblora", "a") as store:
        for number in range(3):
            store.save(shared, f"user-{number}", precision="tiny")
        store.save(plain, "own")

    def from_store(model, folder):
        with vblora.Store(folder / "all.vblora") as store:
            names = list(store)
            store.load(model, names[len(names) // 2], adapter="default")

    found["store"] = Subject(root / "store", from_store, change_store)
    for kind in ("trained", "topk"):
        vblora.save_peft(plain, root / f"peft-{kind}", kind)
        found[f"peft-{kind}"] = Subject(root / f"peft-{kind}", vblora.load_peft, change_peft)
    return found


def change_bytes(folder: Path, draw: random.Random) -> None:
    """Flip, cut, double or insert bytes of one file, most often near its start, where the structure is."""
    path = draw.choice(sorted(folder.iterdir()))
    data = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 1, 1, 3, 20))):
        place = draw.randrange(min(len(data), draw.choice((64, 4096, 2**40)))) if data else 0
        kind = draw.randrange(5)
        if kind < 2 and data:
            data[place] ^= 1 << draw.randrange(8) if kind else draw.randrange(1, 256)
        elif kind == 2:
            del data[place : place + draw.choice((1, 8, 500, 2**40))]
        elif kind == 3:
            data[place:place] = draw.randbytes(draw.choice((1, 8, 500)))
        else:
            data[place : place + 8] = draw.choice((b"\0" * 8, b"\xff" * 8, draw.randbytes(8)))
    path.write_bytes(data)


def change_json(content, draw: random.Random):
    """The content with one value replaced, dropped, or put in, somewhere."""
    if isinstance(content, dict | list) and content and draw.random() < 0.8:
        keys = list(content) if isinstance(content, dict) else range(len(content))
        key = draw.choice(keys)
        if draw.random() < 0.1:
            del content[key]
        else:
            content[key] = change_json(content[key], draw)
        return content
    if isinstance(content, dict) and draw.random() < 0.5:
        return content | {draw.choice(NAMES): draw.choice(HOSTILE)}
    return draw.choice(HOSTILE)


def change_tensors(tensors: dict, draw: random.Random) -> None:
    """Drop, add, rename, reshape, retype or refill one tensor."""
    key = draw.choice(sorted(tensors))
    old = tensors[key]
    kind = draw.randrange(6)
    if kind == 0:
        del tensors[key]
    elif kind == 1:
        tensors[key.replace(".", draw.choice(("..", "_", "")), 1) + draw.choice(("", "x"))] = old.clone()
    elif kind == 2:
        tensors[key] = old.reshape(-1)[: draw.randrange(old.numel() + 1)].clone()
    elif kind == 3:
        tensors[key] = old.to(
            draw.choice((torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool))
        )
    elif kind == 4:
        tensors[key] = (torch.rand(old.shape, dtype=torch.float64) * 10 ** draw.uniform(-3, 12)).to(old.dtype)
    else:
        new = old.clone()
        value = draw.choice((float("nan"), float("inf"), -1, 255, 6e4))
        new.view(-1)[draw.randrange(max(1, new.numel())) :] = (
            value if new.is_floating_point() else draw.randrange(128)
        )
        tensors[key] = new


def change_ours(folder: Path, draw: random.Random) -> None:
    """Header or tensors, with a checksum that fits."""

    def change(header, tensors) -> None:
        if draw.random() < 0.6:
            new = change_json(json.loads(json.dumps(header)), draw)
            header.clear()
            header.update(new if isinstance(new, dict) else {"format": new})
        else:
            change_tensors(tensors, draw)

    rewrite(folder / "vblora.safetensors", change)


def change_peft(folder: Path, draw: random.Random) -> None:
    """Configuration or tensors."""
    if draw.random() < 0.5:
        path = folder / "adapter_config.json"
        path.write_text(
            json.dumps(change_json(json.loads(path.read_text(encoding="utf-8")), draw)), encoding="utf-8"
        )
    else:
        tensors = load_file(folder / "adapter_model.safetensors")
        change_tensors(tensors, draw)
        save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})


def change_store(folder: Path, draw: random.Random) -> None:
    """A value of a row, or the schema."""
    table, column = draw.choice(
        (
            *(
                ("adapters", name)
                for name in ("name", "method", "kind", "precision", "bank", "num_bytes", "sha256")
            ),
            *(("banks", name) for name in ("identity", "num_vectors", "vector_length", "vectors")),
            *(("files", name) for name in ("data", "id")),
        )
    )
    value = draw.choice((None, -1, 0, 2**40, 2**62, "", "x", b"", b"\xff" * 40, b"\0" * 384, 0.5))
    database = sqlite3.connect(folder / "all.vblora")
    try:
        database.execute(
            f"UPDATE OR REPLACE {table} SET {column} = ? WHERE rowid % 2 = ?", (value, draw.randrange(2))
        )
    except sqlite3.Error:  # a rule of the schema
        database.execute("PRAGMA user_version = 9")
    database.commit()
    database.close()


class Model:
    """The model that everything is loaded onto, and what it was."""

    def __init__(self) -> None:
        self.model = roberta()
        self.state = {key: value.clone() for key, value in self.model.state_dict().items()}
        self.outputs = self.logits()

    def logits(self) -> torch.Tensor:
        with torch.no_grad():
            return self.model(tokens(2)).logits

    def check_untouched(self) -> None:
        """Nothing is attached, hooked or changed."""
        assert not hasattr(self.model, "vblora"), "attached half-way"
        hooked = [m for m in self.model.modules() if m._forward_hooks or m._forward_pre_hooks]
        assert not hooked, "a hook was left"
        state = self.model.state_dict()
        assert state.keys() == self.state.keys() and all(torch.equal(state[k], self.state[k]) for k in state)


def one(subject: Subject, model: Model, work: Path, draw: random.Random) -> str:
    """Mutate and load one; returns what came of it."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(subject.folder, work)
    structured = draw.random() < 0.5
    (subject.changes if structured else change_bytes)(work, draw)
    try:
        subject.load(model.model, work)
    except vblora.AdapterFileError:
        model.check_untouched()
        return "refused"
    found = model.logits()
    assert structured or bool(torch.isfinite(found).all()), "outputs that are not finite"
    vblora.detach(model.model)
    model.check_untouched()
    return "loaded"


def without_model(subject: Subject, work: Path) -> None:
    """The command line's way: refused as any mistake of a user is, or read."""
    path, name = (work / "all.vblora", "user-1") if (work / "all.vblora").exists() else (work, None)
    with contextlib.suppress(vblora.VBLoRAError, OSError):
        read(find(path, name, None))


def main(cases: int, seed: int, root: Path) -> None:
    kinds, model, count = subjects(root), Model(), Counter()
    held = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + SPARE_BYTES, held + SPARE_BYTES))
    for number in range(cases):
        draw = random.Random(f"{seed} {number}")
        torch.manual_seed(number)
        name = draw.choice(sorted(kinds))
        signal.alarm(MOST_SECONDS)
        try:
            count[name, one(kinds[name], model, root / "work", draw)] += 1
            without_model(kinds[name], root / "work")
        except BaseException:
            print(f"case {number} of seed {seed}: {name}", file=sys.stderr)
            raise
    print(json.dumps({f"{name} {result}": n for (name, result), n in sorted(count.items())}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
