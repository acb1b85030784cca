"""A store of many adapters: bytes an adapter, and the time to open it, to list it and to load one.

The adapters are RoBERTa-large's, all layers, rank 4, against a shared bank of 90 x 256, in 8 bits, without a
head; in a store, and in a folder each as `vblora.save` writes it. PEFT's LoRA of the same rank and its
VB-LoRA in the smallest form are compared: a folder each. A store's adapters are one adapter under
many names, as no time depends on the numbers. All files are in the page cache.

To load is to read one of the adapters by name, drawn anew each time, put it on a model that holds another one
already, and make it the active one. To list is to get every name, for a store also kind, precision and size.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vblora
from benchmarks import presets
from benchmarks.alternating import Side, alternate
from benchmarks.presets import SIDES, Case, Trained

CASE = Case(presets.LARGE, presets.ROBERTA)
COUNTS = (100, 10_000)
NAME = "other"  # of the adapter that comes and goes
LISTED = 5  # times that a store is opened and listed, for a median


def measure(rounds: int, counts: tuple[int, ...] = COUNTS, case: Case = CASE) -> dict[str, Any]:
    """Every number of adapters."""
    return {f"{count:,} adapters": of(count, rounds, case) for count in counts}


def of(count: int, rounds: int, case: Case) -> dict[str, Any]:
    """One number of adapters: facts of each side, and loading."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        model, saved = _saved(case, root)
        theirs = {side: _by_peft(case, side, root / side.replace(" ", "-")) for side in SIDES[:2]}
        _fill(root, saved, count)
        ours = {"vblora, folders": _folders(model, root, count), "vblora, store": _store(model, root, count)}
        sides = {side: Side(load, 1) for side, load in {**theirs, **ours}.items()}
        facts: dict[str, dict[str, float]] = {
            side: {"bytes an adapter": _weight(root / side.replace(" ", "-"))} for side in theirs
        }
        facts["vblora, folders"] = {
            "bytes an adapter": saved.stat().st_size,
            "open and list, ms": _milliseconds(
                lambda: sorted(path.name for path in (root / "all").iterdir())
            ),
        }
        facts["vblora, store"] = {
            "bytes an adapter": round((root / "all.vblora").stat().st_size / count),
            "open and list, ms": _milliseconds(lambda: vblora.Store(root / "all.vblora").entries()),
            "open, ms": _milliseconds(lambda: vblora.Store(root / "all.vblora")),
        }
        return {"unit": "loads", "facts": facts, "sides": alternate(sides, rounds)}


def _saved(case: Case, root: Path) -> tuple[Any, Path]:
    """A model that has an adapter already, and the file of another one against its bank."""
    sizes = {name: getattr(case, name) for name in ("num_vectors", "vector_length")}
    config = vblora.VBLoRAConfig(rank=presets.RANK, topk=presets.TOPK, targets=list(case.targets), **sizes)
    model = presets.built(case).eval()
    vblora.attach(model, config, "first")
    vblora.save(model, root / "donor")
    config.bank, config.train_bank = root / "donor", False
    vblora.attach(model, config, NAME)
    path = vblora.save(model, root / "further", "topk", precision="tiny")
    vblora.detach(model, NAME)
    return model, path


def _fill(root: Path, saved: Path, count: int) -> None:
    with vblora.Store(root / "all.vblora", "a") as store, store.together():
        for number in range(count):
            store.add(f"user-{number}", saved, root / "donor" if number == 0 else None)
    for number in range(count):
        folder = root / "all" / f"user-{number}"
        folder.mkdir(parents=True)
        (folder / saved.name).write_bytes(saved.read_bytes())


def _names(count: int) -> Callable[[], str]:
    draw = random.Random(0)
    return lambda: f"user-{draw.randrange(count)}"


def _folders(model: Any, root: Path, count: int) -> Callable[[], None]:
    name = _names(count)

    def load() -> None:
        vblora.load(model, root / "all" / name(), NAME)
        vblora.detach(model, NAME)

    return load


def _store(model: Any, root: Path, count: int) -> Callable[[], None]:
    name, store = _names(count), vblora.Store(root / "all.vblora")

    def load() -> None:
        store.load(model, name(), NAME)
        vblora.detach(model, NAME)

    return load


def _by_peft(case: Case, side: str, folder: Path) -> Callable[[], None]:
    trained = Trained(case, side, presets.built(case))
    model: Any = trained.model.eval()
    if side == "PEFT VB-LoRA":
        model.peft_config["default"].save_only_topk_weights = True
    model.save_pretrained(folder)

    def load() -> None:
        model.load_adapter(folder, NAME)
        model.set_adapter(NAME)
        model.delete_adapter(NAME)

    return load


def _weight(folder: Path) -> int:
    return (folder / "adapter_model.safetensors").stat().st_size


def _milliseconds(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(LISTED):
        begin = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - begin))
    return round(statistics.median(taken), 2)
