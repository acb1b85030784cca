"""Which run is which: the settings that can change its outcome, its hash, and what its record says of it."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.config import Config
from experiments.families import is_generative
from experiments.versions import versions

LATER = {
    "data": (
        *("train_set", "num_train", "held_out", "num_test", "text_form"),
        *("source_max_length", "target_max_length", "num_turns", "mmlu_shots"),
    ),
    "model": ("quantization", "add_pad_token", "pretrain", "pretrain_seed"),
    "targets": ("splits",),
    "optim": ("warmup_steps", "label_smoothing", "optimizer", "gradient_checkpointing"),
}
"""Settings younger than the first records: where one is not set, it stands in no hash, so that these hold."""


def settings(cfg: Config) -> dict[str, Any]:
    """Everything configured that can change a run's outcome, as plain data.

    A shared bank of vectors stands there by its identity. Left out: tracker, folders (`versions` knows data
    and model by their content), force, a grid's lists, the variant and the tables of tuned values and
    layers, whose chosen values stand in the other groups, and `generation` where nothing is generated.
    """
    plain = asdict(cfg)
    for key in ("tracker", "paths", "force", "check", "variant", "tuned"):
        del plain[key]
    del plain["scale"]["seeds"], plain["scale"]["lengths"], plain["data"]["root"]
    for key in ("kind", "layers", "splits", "sharded"):
        del plain["model"][key]
    if cfg.model.source == "local":
        del plain["model"]["path"]
    if not is_generative(cfg.task.family):
        del plain["generation"]
    _settle_bank(plain["method"])
    for group, keys in LATER.items():
        for key in keys:
            if plain[group][key] in (None, False, [], {}):
                del plain[group][key]
    return plain


def _settle_bank(method: dict[str, Any]) -> None:
    """Name a shared bank by its identity; the usual, a bank of one's own, stands in no hash."""
    options = method["options"]
    if method["library"] != "vblora":
        return
    for key, usual in (("bank", None), ("train_bank", True)):
        if options.get(key, usual) == usual:
            options.pop(key, None)
    if "bank" in options:
        options["bank"] = bank_identity(options["bank"])


def bank_identity(path: str) -> str:
    """What tells the bank of vectors in an adapter's file: its values, wherever the file lies.

    Raises:
        AdapterFileError: there is no such file, or it holds no bank.
    """
    from vblora import banks  # here, as it imports torch, which a finished run does not need

    return banks.identity(banks.read_bank(path))


def described(cfg: Config) -> dict[str, Any]:
    """The configuration as a record keeps it: settings, versions, variant, names of folders."""
    return asked(cfg) | {"versions": versions(cfg)}


def asked(cfg: Config) -> dict[str, Any]:
    """What of it a command line decides: all but the versions, which large files make slow to read."""
    plain = settings(cfg) | {"variant": cfg.variant}
    for group, key, folder in (("data", "root", cfg.data.root), ("model", "path", cfg.model.path)):
        if key not in plain[group]:
            plain[group][key] = folder and Path(os.path.abspath(folder)).name
    return plain


def run_hash(cfg: Config) -> str:
    """SHA-256 over settings and versions as canonical JSON, in hexadecimal digits."""
    content = settings(cfg) | {"versions": versions(cfg)}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def flat(config: object, place: str = "") -> dict[str, object]:
    """The leaves of nested settings by full key: {"optim": {"epochs": 3}} gives {"optim.epochs": 3}."""
    if not isinstance(config, dict):
        return {place: config}
    return {
        key: value
        for name, part in config.items()
        for key, value in flat(part, f"{place}.{name}".lstrip(".")).items()
    }
