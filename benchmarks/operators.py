"""Operators that an adapter adds to one forward and backward: the same on every machine.

Counted as PyTorch dispatches them below autograd, once with and once without those that only view memory; and
as torch.profiler lists them, where an operator made of others counts beside them. What the model itself
dispatches, with gradients flowing back to its input, is taken off.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import presets
from benchmarks.presets import Case, Trained

# Real depths and targets; the width changes no count.
CASES: Mapping[str, Case] = {
    "RoBERTa, 12 layers, all": Case(presets.roberta(12, 64, 4), presets.ROBERTA, vector_length=32),
    "RoBERTa, 12 layers, qv": Case(presets.roberta(12, 64, 4), presets.ROBERTA[:3:2], vector_length=32),
    "RoBERTa, 24 layers, all": Case(presets.roberta(24, 64, 4), presets.ROBERTA, vector_length=32),
    "GPT-2, 24 layers, all": Case(
        presets.gpt2(24, 64, 4), presets.GPT2, "transformer.ln_f", vector_length=32
    ),
    "Llama, 32 layers, all": Case(
        presets.llama(32, 64, 4, 128, False), presets.LLAMA, "model.norm", vector_length=32
    ),
}
SIDES = presets.SIDES[:3]


class Dispatched(TorchDispatchMode):
    """Counts operators, and the bytes that those read and write which are no views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.operators, self.not_views, self.moved = 0, 0, 0

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and count it."""
        found = operator(*args, **(kwargs or {}))
        self.operators += 1
        if not operator.is_view:
            self.not_views += 1
            self.moved += sum(map(_bytes, _tensors((args, kwargs, found))))
        return found


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in torch.utils._pytree.tree_leaves(values) if isinstance(value, Tensor)]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def measure() -> dict[str, Any]:
    """Every case's three adapters."""
    return {title: counted(case) for title, case in CASES.items()}


def counted(case: Case) -> dict[str, Any]:
    """One case: operators by side, and each number as a share of PEFT LoRA's."""
    base = presets.built(case)
    own = _counts(Trained(case, "head only", base), case)
    counts = {side: _counts(Trained(case, side, base), case) for side in SIDES}
    added = {side: {name: n - own[name] for name, n in found.items()} for side, found in counts.items()}
    lora = added[SIDES[0]]
    shares = {
        side: {f"{name}, share": round(n / lora[name], 3) for name, n in found.items()}
        for side, found in added.items()
    }
    return {"facts": {side: added[side] | shares[side] for side in SIDES}}


def _counts(trained: Trained, case: Case) -> dict[str, int]:
    trained.step()  # the first step allocates
    embeddings = trained.model.get_input_embeddings()  # type: ignore[operator]
    handle = embeddings.register_forward_hook(lambda module, given, found: found.requires_grad_())
    with Dispatched() as seen:
        trained.loss().backward()
    with profile(activities=[ProfilerActivity.CPU]) as listed:
        trained.loss().backward()
    handle.remove()
    events = sum(event.name.startswith("aten::") for event in listed.events() or ())
    return {"operators": seen.operators, "without views": seen.not_views, "profiler": events}
