"""Bytes of an adapter on disk, in every form that it can be saved in: PEFT's LoRA and VB-LoRA, and ours.

Real shapes at rank 4 (LoRA at 8, as in the paper's tables), h = 90, b = 256, k = 2, RoBERTa; with the
classifier beside the adapter and without it. For PEFT the folder's weights are counted, without its
configuration; our file holds its own.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import peft
from torch import nn

import vblora
from benchmarks import presets
from benchmarks.presets import Case
from vblora.sites import find_sites

CASES: Mapping[str, Case] = {
    "RoBERTa-base qv": Case(presets.BASE, presets.ROBERTA[:3:2]),
    "RoBERTa-base all": Case(presets.BASE, presets.ROBERTA),
    "RoBERTa-large qv": Case(presets.LARGE, presets.ROBERTA[:3:2]),
    "RoBERTa-large all": Case(presets.LARGE, presets.ROBERTA),
}
LORA_RANK = 8
OURS: Mapping[str, dict[str, str]] = {
    "vblora, trained": {"kind": "trained"},
    "vblora, exact": {"kind": "topk"},
    "vblora, compact": {"kind": "topk", "precision": "compact"},
    "vblora, tiny": {"kind": "topk", "precision": "tiny"},
}


def measure() -> dict[str, Any]:
    """Every case."""
    return {title: sizes(case) for title, case in CASES.items()}


def sizes(case: Case) -> dict[str, Any]:
    """Bytes of one case's adapters by the form they are saved in."""
    alone, with_head = ({**_theirs(case, head), **_ours(case, head)} for head in ([], [case.head]))
    lora = next(iter(alone.values()))
    facts = {
        name: {"bytes": n, "share": round(n / lora, 4), "bytes with head": with_head[name]}
        for name, n in alone.items()
    }
    return {"facts": facts}


def _theirs(case: Case, head: list[str]) -> dict[str, int]:
    names = [site.name for site in find_sites(presets.built(case), case.targets)]
    shared: dict[str, Any] = {"target_modules": names, "modules_to_save": head or None}
    bank = {name: getattr(case, name) for name in ("num_vectors", "vector_length")}
    vb_lora: dict[str, Any] = {**bank, "topk": presets.TOPK, "r": presets.RANK, **shared}
    configs: dict[str, Any] = {
        f"PEFT LoRA, rank {LORA_RANK}": peft.LoraConfig(r=LORA_RANK, **shared),
        "PEFT VB-LoRA, trained": peft.VBLoRAConfig(**vb_lora),
        "PEFT VB-LoRA, top-k": peft.VBLoRAConfig(save_only_topk_weights=True, **vb_lora),
    }
    return {name: _saved_by_peft(presets.built(case), config) for name, config in configs.items()}


def _saved_by_peft(model: nn.Module, config: Any) -> int:
    with tempfile.TemporaryDirectory() as folder:
        cast(Any, peft.get_peft_model(cast(Any, model), config)).save_pretrained(folder)
        return (Path(folder) / "adapter_model.safetensors").stat().st_size


def _ours(case: Case, head: list[str]) -> dict[str, int]:
    model = presets.built(case)
    config = vblora.VBLoRAConfig(
        rank=presets.RANK,
        num_vectors=case.num_vectors,
        vector_length=case.vector_length,
        topk=presets.TOPK,
        targets=list(case.targets),
    )
    vblora.attach(model, config, also_train=head)
    with tempfile.TemporaryDirectory() as folder:
        forms = OURS.items()
        return {name: vblora.save(model, folder, **form).stat().st_size for name, form in forms}
