"""How a backbone is tuned: all of it, the head alone, an adapter of vblora, or any method of PEFT.

A method is attached to a model in place, so the model keeps its class; it then answers the optimizer's groups
and its counts. A new method of PEFT needs no line here, only YAML.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import peft
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import save_file
from torch import nn

import vblora
from experiments import splitting
from experiments.config import MethodConfig, OptimConfig, TargetsConfig
from experiments.run_state import trained
from vblora import counting, quantizer
from vblora.adapter import AdapterConfig, ParamGroup, param_group
from vblora.sites import find_sites

OWN: dict[str, type[AdapterConfig]] = {
    config.method: config for config in (vblora.VBLoRAConfig, vblora.TiedLoRAConfig, vblora.LoRAXSConfig)
}


class Method(Protocol):
    """One way of tuning, on one model."""

    def attach(self, model: nn.Module, head: Sequence[str]) -> None:
        """Change the model in place so that exactly what this method trains requires a gradient.

        Args:
            model: the backbone with its head.
            head: names of the modules that are the task's head.
        """

    def param_groups(self, optim: OptimConfig) -> list[ParamGroup]:
        """The optimizer's groups: every trainable parameter exactly once."""

    def merge(self) -> None:
        """Add the adapter to the weights and take it off: the model is then a plain one."""

    def counts(self) -> dict[str, int]:
        """`trainable_params` with the head; `adapter_params`, `stored_params`, `stored_bytes` without it."""

    def save(self, folder: Path) -> None:
        """Write what was trained, head included, into a folder; its library reads it again."""

    @property
    def selecting(self) -> vblora.VBLoRA | None:
        """The attached adapter whose selections can be recorded; None for a method that selects nothing."""


class Base:
    """What the methods share: which part of the model is the head, and what is counted."""

    def __init__(self, method: MethodConfig, targets: TargetsConfig) -> None:
        self.config, self.targets = method, targets
        self.model: nn.Module = nn.Module()
        self.head: list[nn.Module] = []

    def attach(self, model: nn.Module, head: Sequence[str]) -> None:
        """Freeze the backbone; the head trains."""
        self.model = model.requires_grad_(False)
        self.head = [model.get_submodule(name) for name in head]
        for module in self.head:
            module.requires_grad_(True)

    def body(self) -> list[nn.Parameter]:
        """What trains beside the head."""
        head = {parameter for module in self.head for parameter in module.parameters()}
        return [p for p in self.model.parameters() if p.requires_grad and p not in head]

    def body_groups(self, optim: OptimConfig) -> list[ParamGroup]:
        """The optimizer's groups of `body`."""
        return []

    def param_groups(self, optim: OptimConfig) -> list[ParamGroup]:
        """The optimizer's groups: every trainable parameter exactly once."""
        if not self.head:
            return self.body_groups(optim)
        assert optim.head_lr is not None, "checks.py refuses a method without its rates"
        head = vblora.head_param_groups(self.head, optim.head_lr, optim.head_weight_decay)
        return [*self.body_groups(optim), *head]

    def merge(self) -> None:
        """Nothing to do where the weights themselves were trained."""

    def stored(self) -> tuple[int, int]:
        """Parameters and bytes that must be kept to use the tuned model, without the head."""
        params = sum(parameter.numel() for parameter in self.body())
        return params, params * counting.FLOAT_BYTES

    def counts(self) -> dict[str, int]:
        """`trainable_params` with the head; `adapter_params`, `stored_params`, `stored_bytes` without it."""
        params, size = self.stored()
        return {
            "trainable_params": counting.trainable_parameters(self.model),
            "adapter_params": sum(parameter.numel() for parameter in self.body()),
            "stored_params": params,
            "stored_bytes": size,
        }

    @property
    def selecting(self) -> vblora.VBLoRA | None:
        """Nothing."""
        return None

    def save(self, folder: Path) -> None:
        """Every trained tensor by its name in the model."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trained(self.model), folder / "trained.safetensors")


class Head(Base):
    """The head alone."""


class Untuned(Base):
    """The backbone as it is: what tuning adds is measured against it. A language model only."""


class Full(Base):
    """Full fine-tuning."""

    def attach(self, model: nn.Module, head: Sequence[str]) -> None:
        """Everything trains."""
        super().attach(model, head)
        model.requires_grad_(True)

    def body_groups(self, optim: OptimConfig) -> list[ParamGroup]:
        """Two groups: weight matrices decay, biases and norms do not."""
        groups = (("full", True, optim.full_weight_decay), ("full_no_decay", False, 0.0))
        return [
            param_group(
                name, [p for p in self.body() if (p.dim() >= 2) == matrix], cast(float, optim.full_lr), decay
            )
            for name, matrix, decay in groups
        ]


class Own(Base):
    """An adapter of vblora."""

    adapter: Any

    def attach(self, model: nn.Module, head: Sequence[str]) -> None:
        """Attach the adapter; backbone frozen, head trained."""
        where: dict[str, Any] = {"targets": list(self.targets.modules), "splits": dict(self.targets.splits)}
        config = OWN[self.config.name](**where, **self.config.options)
        self.adapter = vblora.attach(model, config, also_train=list(head))
        self.model, self.head = model, [model.get_submodule(name) for name in head]

    def param_groups(self, optim: OptimConfig) -> list[ParamGroup]:
        """The adapter's own groups, with the head's."""
        used = rates(self.config, head=bool(self.head))
        chosen = {name: getattr(optim, name) for name in used}
        if self.head:
            chosen["head_weight_decay"] = optim.head_weight_decay
        if "adapter_lr" in chosen:
            chosen["adapter_weight_decay"] = optim.adapter_weight_decay
        groups: list[ParamGroup] = self.adapter.param_groups(**chosen)
        return groups

    def merge(self) -> None:
        """Add the adapter to the weights and take it off."""
        vblora.merge(self.model)
        vblora.detach(self.model)

    def stored(self) -> tuple[int, int]:
        """By the paper's definition: bank, indices and all but one weight for VB-LoRA, else what trains."""
        if not isinstance(self.adapter.config, vblora.VBLoRAConfig):
            return super().stored()
        shape = self.adapter.sites, self.adapter.config
        return counting.vblora_stored_parameters(*shape), counting.vblora_stored_bytes(*shape)

    @property
    def selecting(self) -> vblora.VBLoRA | None:
        """A VB-LoRA adapter."""
        return self.adapter if isinstance(self.adapter, vblora.VBLoRA) else None

    def save(self, folder: Path) -> None:
        """The adapter and its head, so that training could go on."""
        vblora.save(self.model, folder)


class Peft(Base):
    """Any method of PEFT, injected into the layers."""

    def attach(self, model: nn.Module, head: Sequence[str]) -> None:
        """Inject the method into the layers that the targets name, by their full names; the head trains too.

        By endings, PEFT's `output.dense` would mean `attention.output.dense` too.
        """
        quantizer.prepare(model)  # else the Trainer refuses a quantised model, as it does not see PEFT inside
        splitting.split(model, self.targets.splits)
        sites = [site.name for site in find_sites(model, self.targets.modules)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT 0.21 reads a name that transformers 6 drops
            wrapper = peft.get_peft_model(cast(Any, model), peft_config(self.config, sites))
        assert not wrapper.peft_config["default"].is_prompt_learning, "checks.py refuses prompts"
        self.wrapper = wrapper
        self.model, self.head = model, [model.get_submodule(name) for name in head]
        for module in self.head:
            module.requires_grad_(True)

    def body_groups(self, optim: OptimConfig) -> list[ParamGroup]:
        """One group."""
        return [
            param_group("adapter", self.body(), cast(float, optim.adapter_lr), optim.adapter_weight_decay)
        ]

    def merge(self) -> None:
        """PEFT adds its product to the weights and takes its layers off; split layers become one again."""
        self.wrapper.merge_and_unload()
        splitting.join(self.model)

    def save(self, folder: Path) -> None:
        """PEFT's own folder; the head, which PEFT does not know, beside it."""
        self.wrapper.save_pretrained(str(folder))
        head = {p for module in self.head for p in module.parameters()}
        own = {name: p for name, p in self.model.named_parameters() if p in head}
        save_file({name: p.detach().contiguous() for name, p in own.items()}, folder / "head.safetensors")


LIBRARIES: Mapping[str, Mapping[str, Callable[[MethodConfig, TargetsConfig], Method]]] = {
    "none": {"full": Full, "head": Head, "none": Untuned},
    "vblora": dict.fromkeys(OWN, Own),
    "peft": {},  # any name: the method is options.peft_type
}


def build(method: MethodConfig, targets: TargetsConfig) -> Method:
    """The configured method, not yet attached. `method_checks` finds what is wrong with it."""
    return LIBRARIES[method.library].get(method.name, Peft)(method, targets)


def rates(method: MethodConfig, head: bool = True) -> tuple[str, ...]:
    """The learning rates that the method needs, by their names in `OptimConfig`; `head`: there is one."""
    special = {"full": ("full_lr",), "head": (), "none": (), "vblora": ("bank_lr", "logits_lr")}
    own = ("adapter_lr",) if method.library == "peft" else special.get(method.name, ("adapter_lr",))
    return (*own, "head_lr") if head else own


def peft_config(method: MethodConfig, target_modules: Sequence[str]) -> peft.PeftConfig:
    """PEFT's configuration of a method for these layers."""
    arguments = {name: value for name, value in method.options.items() if name != "peft_type"}
    kind = peft_class(method)
    if "target_modules" in kind.__dataclass_fields__:
        arguments["target_modules"] = list(target_modules)
    return kind(**arguments)


def peft_class(method: MethodConfig) -> type[peft.PeftConfig]:
    """PEFT's configuration class of a method."""
    return PEFT_TYPE_TO_CONFIG_MAPPING[method.options["peft_type"]]
