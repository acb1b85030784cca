"""A plain LoRA checkpoint from any adapter, in the layout that LoRA servers read.

`base_model.model.<layer>.lora_A.weight` (r, i) and `.lora_B.weight` (o, r) in adapter_model.safetensors, with
`lora_alpha` = `r` in adapter_config.json, so that the product is added as it is. PEFT writes the same; vLLM
(vllm/lora) and llama.cpp's convert_lora_to_gguf.py read it, without modules that train in full.
"""

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from vblora.adapter import Adapter
from vblora.attachment import required_attachment
from vblora.errors import VBLoRAError
from vblora.peft_files import PREFIX, common, named_heads, written
from vblora.sharding import gathered
from vblora.sites import linear_shape


@torch.no_grad()
def save_lora(
    model: nn.Module,
    folder: str | os.PathLike[str],
    name: str | None = None,
    dtype: torch.dtype = torch.float32,
    base_model: str | None = None,
) -> Path:
    """Write an adapter (by default the active one) of any method as a plain LoRA checkpoint.

    A and B are the adapter's own, `lora_alpha` = `r`. A layer adapted in slices gets its slices' ranks
    together, with zeros in the other slices' rows of B; then all layers are filled up with zeros to one rank,
    as servers read one `r` for all.

    Args:
        model: the model it is attached to.
        folder: made if missing.
        name: which adapter.
        dtype: of the factors; in float32 nothing is rounded.
        base_model: name or path of the model in the configuration; by default where transformers loaded it.

    Returns:
        The folder.

    Raises:
        AdapterStateError: no such adapter.
        VBLoRAError: `dtype` is not floating, or a number is not finite in it; nothing was saved.
    """
    if not dtype.is_floating_point:
        raise VBLoRAError(f"{dtype} is no floating type; choose torch.float32, bfloat16 or float16")
    adapter = required_attachment(model).adapter(name)
    training = adapter.training
    adapter.eval()  # the rule of inference: in training a selection may draw at random
    rank = adapter.config.rank * max(map(len, adapter.places.values()))
    try:
        with gathered(model, adapter):
            tensors = _factors(model, adapter, rank, dtype) | named_heads(adapter)
    finally:
        adapter.train(training)
    settings = {"r": rank, "lora_alpha": rank, "lora_dropout": adapter.config.dropout}
    settings |= {"use_rslora": False, "use_dora": False, "init_lora_weights": True}
    config = {**common(model, adapter, "LORA", base_model), **settings}
    written(Path(folder), config, tensors)
    return Path(folder)


def _factors(model: nn.Module, adapter: Adapter, rank: int, dtype: torch.dtype) -> dict[str, Tensor]:
    tensors = {}
    for layer in adapter.places:
        A, B = _stacked(adapter, model.get_submodule(layer), layer, rank)
        tensors[f"{PREFIX}{layer}.lora_A.weight"] = A.to(dtype)
        tensors[f"{PREFIX}{layer}.lora_B.weight"] = B.to(dtype)
    return tensors


def _stacked(adapter: Adapter, module: nn.Module, layer: str, rank: int) -> tuple[Tensor, Tensor]:
    """A (rank, i) and B (o, rank) of a whole layer, with zeros behind the ranks of its sites."""
    sites = [adapter.sites[place] for place in adapter.places[layer]]
    inputs, outputs = linear_shape(module) or (0, 0)
    A, B = torch.zeros(rank, inputs), torch.zeros(outputs, rank)
    for number, site in enumerate(sites):
        own = slice(number * adapter.config.rank, (number + 1) * adapter.config.rank)
        down, up = adapter.factors(site)
        A[own], B[site.start : site.start + site.out_features, own] = down.cpu(), up.cpu()
    return A, B
