"""The two sides that `features` tries: this project's VB-LoRA and PEFT's, behind one interface."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import peft
import torch
from torch import Tensor, nn

import vblora

RANK = 4
BANK: dict[str, Any] = {"num_vectors": 8, "vector_length": 8, "topk": 2}


class Side(Protocol):
    """What is tried. Models are transformers' own, or what `attach` made of one."""

    def attach(self, model: Any, targets: Sequence[str], name: str = "default", **options: Any) -> Any:
        """The model with an adapter that is far from its start, and active."""

    def activate(self, model: Any, name: str) -> None:
        """Choose one of several adapters."""

    def rows(self, model: Any, words: Tensor, names: Sequence[str]) -> Tensor:
        """Logits of a batch whose rows have adapters of their own."""

    def merge(self, model: Any) -> None:
        """Add the adapter to the weights; quantised layers stay quantised."""

    def merge_dense(self, model: Any) -> Any:
        """A model with the adapter in its weights; quantised layers become dense."""

    def unmerge(self, model: Any) -> None:
        """Take it out again."""

    def plain(self, model: Any) -> Any:
        """The model of transformers that is inside."""

    def layer(self, model: Any, name: str) -> Any:
        """The layer that holds an adapted weight."""

    def save(self, model: Any, folder: Path) -> Path:
        """Write the adapter; returns the file of its numbers."""

    def load(self, model: Any, folder: Path) -> Any:
        """The model with the adapter of a folder."""

    def lora(self, model: Any, plain: Any, folder: Path) -> Any:
        """Another model with this adapter as a plain LoRA of PEFT's."""

    def shared_bank(self, model: Any, other: Any, targets: Sequence[str], folder: Path) -> Any:
        """Another model with an adapter that trains selections alone against this one's bank."""


class Ours:
    """This project's; see `Side`."""

    def attach(self, model: Any, targets: Sequence[str], name: str = "default", **options: Any) -> Any:
        """The model itself."""
        config = vblora.VBLoRAConfig(rank=RANK, targets=list(targets), **BANK | options)
        _shake(vblora.attach(model, config, name))
        return model

    def activate(self, model: Any, name: str) -> None:
        """`vblora.activate`."""
        vblora.activate(model, name)

    def rows(self, model: Any, words: Tensor, names: Sequence[str]) -> Tensor:
        """`vblora.rows`."""
        with vblora.rows(model, list(names)):
            return logits(model, words)

    def merge(self, model: Any) -> None:
        """`vblora.merge` with `requantize`."""
        vblora.merge(model, requantize=True)

    def merge_dense(self, model: Any) -> Any:
        """`vblora.merge`."""
        vblora.merge(model)
        return model

    def unmerge(self, model: Any) -> None:
        """`vblora.unmerge`."""
        vblora.unmerge(model)

    def plain(self, model: Any) -> Any:
        """The model stays what it was."""
        return model

    def layer(self, model: Any, name: str) -> Any:
        """The model's own layer."""
        return model.get_submodule(name)

    def save(self, model: Any, folder: Path) -> Path:
        """`vblora.save`."""
        return vblora.save(model, folder)

    def load(self, model: Any, folder: Path) -> Any:
        """`vblora.load`."""
        vblora.load(model, folder)
        return model

    def lora(self, model: Any, plain: Any, folder: Path) -> Any:
        """`vblora.save_lora`, loaded by PEFT."""
        vblora.save_lora(model, folder)
        return peft.PeftModel.from_pretrained(plain, str(folder))

    def shared_bank(self, model: Any, other: Any, targets: Sequence[str], folder: Path) -> Any:
        """`bank=` and `train_bank=False`."""
        vblora.save(model, folder)
        return self.attach(other, targets, bank=folder, train_bank=False)


class Theirs:
    """PEFT's; see `Side`."""

    def attach(self, model: Any, targets: Sequence[str], name: str = "default", **options: Any) -> Any:
        """PEFT's wrapper; a second adapter goes into the first one's."""
        config = peft.VBLoRAConfig(r=RANK, target_modules=list(targets), **BANK | options)
        if isinstance(model, peft.PeftModel):
            model.add_adapter(name, config)
            model.set_adapter(name)
        else:
            model = cast(Any, peft.get_peft_model(model, config, name))
        own = nn.ParameterList(
            p for key, p in model.named_parameters() if f".{name}" in key and "vblora" in key
        )
        _shake(own)
        return model

    def activate(self, model: Any, name: str) -> None:
        """`set_adapter`."""
        model.set_adapter(name)

    def rows(self, model: Any, words: Tensor, names: Sequence[str]) -> Tensor:
        """`adapter_names`."""
        return logits(model, words, adapter_names=list(names))

    def merge(self, model: Any) -> None:
        """`merge_adapter`."""
        model.merge_adapter()

    def merge_dense(self, model: Any) -> Any:
        """Taken off, `dequantize`, put on again: with an adapter on, `dequantize` gives wrong weights."""
        state, config = peft.get_peft_model_state_dict(model), model.peft_config["default"]
        again: Any = peft.get_peft_model(model.unload().dequantize(), config)
        peft.set_peft_model_state_dict(again, state)
        again.merge_adapter()
        return again

    def unmerge(self, model: Any) -> None:
        """`unmerge_adapter`."""
        model.unmerge_adapter()

    def plain(self, model: Any) -> Any:
        """Inside the wrapper, with wrapped layers."""
        return model.base_model.model

    def layer(self, model: Any, name: str) -> Any:
        """The layer inside its wrapper."""
        return self.plain(model).get_submodule(name).base_layer

    def save(self, model: Any, folder: Path) -> Path:
        """`save_pretrained`."""
        model.save_pretrained(str(folder))
        return folder / "adapter_model.safetensors"

    def load(self, model: Any, folder: Path) -> Any:
        """`PeftModel.from_pretrained`."""
        return peft.PeftModel.from_pretrained(model, str(folder))

    def lora(self, model: Any, plain: Any, folder: Path) -> Any:
        """`convert_to_lora`."""
        config, state = peft.convert_to_lora(model, RANK)
        again: Any = peft.get_peft_model(plain, config)
        peft.set_peft_model_state_dict(again, state)
        return again

    def shared_bank(self, model: Any, other: Any, targets: Sequence[str], folder: Path) -> Any:
        """PEFT has no option for it, so by hand: the values copied, their gradient off."""
        again = self.attach(other, targets)
        banks = [each.base_model.vblora_vector_bank["default"] for each in (again, model)]
        with torch.no_grad():
            banks[0].copy_(banks[1])
        banks[0].requires_grad_(False)
        return again


def logits(model: Any, words: Tensor, **more: Any) -> Tensor:
    """Outputs in float32, without gradients and dropout."""
    with torch.no_grad():
        found: Tensor = model.eval()(words, **more).logits.float()
        return found


@torch.no_grad()
def _shake(module: nn.Module) -> None:
    """Move an adapter away from its start, so that it changes much."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.add_(torch.randn_like(parameter))
