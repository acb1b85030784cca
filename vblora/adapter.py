"""The contract of every adapter: ΔW = B A at each site, from state that the adapter alone owns.

A subclass answers `compose()` with the factors of all its sites at once; hooks, cache, merging and files are
shared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vblora.composition import Cache, InUse
from vblora.encoding import Shapes
from vblora.errors import AdapterStateError, VBLoRAError
from vblora.factors import Composed
from vblora.precision import Float32
from vblora.sites import Site, check_splits, check_targets

ParamGroup = dict[str, Any]


@dataclass
class AdapterConfig:
    """What all adapters are configured by.

    Attributes:
        targets: endings of module names, or one regular expression over full names (a string).
        rank: r, size of the low rank.
        splits: {layer ending: names of the equal parts of its output}; each part is a site of its own.
        dropout: probability of zeroing an input of A in training.
    """

    method: ClassVar[str]

    targets: Sequence[str] | str = ()
    rank: int = 4
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dropout: float = 0.0

    def checked(self) -> AdapterConfig:
        """A copy of its own, with lists in place of other sequences, after `check`.

        Raises:
            VBLoRAError: a value is impossible; the message names the rule and the value.
        """
        self.check()
        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        splits = {layer: list(parts) for layer, parts in self.splits.items()}
        return replace(self, targets=targets, splits=splits)

    def check(self) -> None:
        """Refuse values that no model could serve.

        Raises:
            VBLoRAError: naming the rule and the value.
        """
        require_whole("rank", self.rank)
        require_number("dropout", self.dropout)
        if not 0.0 <= self.dropout < 1.0:
            raise VBLoRAError(f"dropout {self.dropout} is outside 0 ≤ p < 1")
        check_targets(self.targets)
        check_splits(self.splits)

    def build(self, model: nn.Module, sites: Sequence[Site]) -> Adapter:
        """Make the adapter for these sites of the model, with its start values drawn."""
        raise NotImplementedError

    def shapes(self, sites: Sequence[Site], kind: str, precision: str) -> Shapes:
        """Shape and type of each tensor of `Adapter.file_tensors` for these sites."""
        raise NotImplementedError

    def restore(
        self, model: nn.Module, sites: Sequence[Site], kind: str, precision: str, saved: Saved
    ) -> Adapter:
        """The adapter of a file, whose names, shapes and types are checked already.

        Raises:
            VBLoRAError: a value is impossible, the base weights are not those of training, or the layers of
                this model come in another order.
        """
        if saved.sites is not None:
            raise VBLoRAError(f"made for another model: its layers come in another order ({self.method})")
        device = site_device(model, sites)
        # Start values are drawn and overwritten; the user's generators stay as they were.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            adapter = self.build(model, sites)
        adapter.load_state_dict({**saved.tensors, **saved.fingerprint})
        return adapter


@dataclass(frozen=True)
class Saved:
    """What a file holds of an adapter.

    Attributes:
        tensors: its own, decoded.
        fingerprint: {"fingerprint": what tells its base weights}, or nothing.
        bank: the vectors (h, b) that it shares with others, which the file does not hold.
        sites: in the file's order, where that is not the model's.
    """

    tensors: Mapping[str, Tensor]
    fingerprint: Mapping[str, Tensor] = field(default_factory=dict)
    bank: Tensor | None = None
    sites: Sequence[Site] | None = None


class Adapter(nn.Module):
    """One adapter on one model. Made by `vblora.attach`, not directly."""

    def __init__(self, config: AdapterConfig, sites: Sequence[Site]) -> None:
        """Remember what is adapted, and check that the rank fits every site."""
        super().__init__()
        self.config = config
        self.sites = tuple(sites)
        self.places: dict[str, list[int]] = {}  # layer name -> places of its sites in `sites`
        for index, site in enumerate(self.sites):
            self.places.setdefault(site.layer, []).append(index)
        self.head: list[tuple[str, nn.Module]] = []  # a plain list: these modules stay the model's own
        self.parked: dict[str, Tensor] | None = None  # the head's weights while another adapter is active
        self.trainable = True
        self.random = False  # training draws at random beside dropout: each composition is another
        self._cache = Cache()
        self._float32 = Float32()
        check_rank(config.rank, self.sites)

    # What a subclass answers.

    def compose(self) -> Composed:
        """What gives A (r, i) and Bᵀ (r, o) of every site, made in float32, differentiable."""
        raise NotImplementedError

    def stored(self) -> dict[str, Tensor]:
        """What must be stored to use the trained adapter: its minimal tensors by name."""
        raise NotImplementedError

    def fingerprint_of_base(self) -> Tensor | None:
        """What tells the base weights apart that this adapter was trained on; None if any will do."""
        return None

    def file_tensors(self, kind: str, precision: str) -> dict[str, Tensor]:
        """The adapter's own tensors in a file of this kind ("trained" or "topk"), before they are encoded."""
        return dict(self.named_parameters()) if kind == "trained" else self.stored()

    def shared_bank(self) -> str | None:
        """Identity of the bank that the adapter uses and its files do not hold."""
        return None

    # What all adapters share.

    def factors(self, site: Site | str) -> tuple[Tensor, Tensor]:
        """(A (r, i), B (o, r)) of one site, given as such or by name.

        Raises:
            VBLoRAError: the adapter has no site of this name.
        """
        name = site if isinstance(site, str) else site.name
        for index, own in enumerate(self.sites):
            if own.name == name:
                device = next(iter(self.parameters() if self.trainable else self.buffers())).device
                return self.composed(index).factors(device, torch.float32).pair(index)
        raise VBLoRAError(
            f"{name} is no site of this adapter; its sites: {', '.join(s.name for s in self.sites)}"
        )

    def composed(self, place: int) -> InUse:
        """What the site at `place` must use, composed now or kept from before (see `composition`)."""
        return self._cache.get(self, place)

    def refresh(self) -> None:
        """Forget what is composed; needed only after changing parameters behind PyTorch's back."""
        self._cache.drop()

    def hold_float32(self) -> None:
        """Let no parameter be of another type, whoever cast it (see `precision`)."""
        self._float32.hold(self.named_parameters())

    def begin(self) -> None:
        """A forward of the whole model starts."""
        self._cache.open(self)

    def end(self) -> None:
        """The forward of the whole model ends."""
        self._cache.close(self)

    def head_groups(self, head_lr: float | None, head_weight_decay: float) -> list[ParamGroup]:
        """Groups of the modules named by `also_train`.

        Raises:
            VBLoRAError: there is such a module and no learning rate for it.
        """
        if not self.head:
            return []
        if head_lr is None:
            names = ", ".join(name for name, _ in self.head)
            raise VBLoRAError(
                f"head_lr is missing; {names} trains beside the adapter and needs a learning rate"
            )
        return head_param_groups([module for _, module in self.head], head_lr, head_weight_decay)

    def check_trainable(self) -> None:
        """Refuse to train what was loaded from a top-k file.

        Raises:
            AdapterStateError: always, for such an adapter.
        """
        if not self.trainable:
            raise AdapterStateError(
                'this adapter comes from a top-k file and cannot be trained; save kind="trained" to go on'
            )

    def train(self, mode: bool = True) -> Adapter:
        """Switch the mode, which may change the rule of selection."""
        self.refresh()
        self.hold_float32()  # a trainer switches before it wraps the model, which fixes the types
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> Adapter:
        self.refresh()

        def moved_only(tensor: Tensor) -> Tensor:
            moved: Tensor = fn(tensor)
            # model.half() must not round the bank: adapters move between devices and stay float32.
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        super()._apply(moved_only, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.hold_float32()
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.refresh()
        super()._load_from_state_dict(*args, **kwargs)


class OneRateAdapter(Adapter):
    """An adapter whose parameters all train at one rate and all must be stored."""

    def param_groups(
        self,
        adapter_lr: float,
        head_lr: float | None = None,
        head_weight_decay: float = 0.0,
        adapter_weight_decay: float = 0.0,
    ) -> list[ParamGroup]:
        """Optimizer groups for everything that trains: the adapter, and the modules of `also_train`.

        Raises:
            VBLoRAError: `head_lr` is missing though a head trains.
        """
        own = param_group("adapter", self.parameters(), adapter_lr, adapter_weight_decay)
        return [own, *self.head_groups(head_lr, head_weight_decay)]

    def stored(self) -> dict[str, Tensor]:
        """Every parameter: nothing is redundant."""
        return {name: parameter.detach() for name, parameter in self.named_parameters()}


def require_whole(name: str, value: object) -> None:
    """Refuse what is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise VBLoRAError(f"{name} {value!r} is not a whole number of at least 1")


def require_number(name: str, value: object, least: float = 0.0) -> None:
    """Refuse what is no finite number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise VBLoRAError(f"{name} {value!r} is not a finite number of at least {least:g}")


def check_rank(rank: int, sites: Iterable[Site]) -> None:
    """Refuse a rank that is more than the smaller side of a site."""
    for site in sites:
        limit = min(site.in_features, site.out_features)
        if rank > limit:
            raise VBLoRAError(
                f"{site.name}: rank {rank} is more than {limit}, its smaller side; choose 1..{limit}"
            )


def head_param_groups(
    modules: Iterable[nn.Module], head_lr: float, head_weight_decay: float = 0.0
) -> list[ParamGroup]:
    """Two optimizer groups for modules that train in full: weight matrices decay, biases and scales do not.

    Source: the released GLUE code, which decays the two weight matrices of the head at 0.1 and nothing else.
    """
    params = [p for p in dict.fromkeys(p for m in modules for p in m.parameters()) if p.requires_grad]
    matrices = [p for p in params if p.dim() >= 2]
    others = [p for p in params if p.dim() < 2]
    groups = [("head", matrices, head_weight_decay), ("head_no_decay", others, 0.0)]
    return [param_group(name, params, head_lr, decay) for name, params, decay in groups if params]


def param_group(
    name: str, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0
) -> ParamGroup:
    """One group in the form of torch.optim, with a name."""
    return {"name": name, "params": list(params), "lr": lr, "weight_decay": weight_decay}


def site_device(model: nn.Module, sites: Sequence[Site]) -> torch.device:
    """Where the adapter's own tensors are made: where the first site computes."""
    layer = model.get_submodule(sites[0].layer)
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if not weight.is_meta:
        return weight.device
    hook = getattr(layer, "_hf_hook", None)  # accelerate keeps an offloaded layer's weight elsewhere
    devices = [getattr(each, "execution_device", None) for each in getattr(hook, "hooks", (hook,))]
    return next((torch.device(each) for each in devices if each is not None), weight.device)
