"""Which layers are adapted.

A site is a linear layer, or a slice of one layer's output (query inside GPT-2's c_attn).
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from vblora import quantized
from vblora.errors import TargetError, VBLoRAError

RESERVED = "vblora"  # the submodule of the root that holds the adapters


# Names of sibling layers that read one input in the models of transformers and of the LLaMA release.
ONE_INPUT = (
    {"query", "key", "value"},
    {"q_proj", "k_proj", "v_proj"},
    {"q_lin", "k_lin", "v_lin"},
    {"gate_proj", "up_proj"},
    {"wi_0", "wi_1"},
    {"w1", "w3"},
)


@dataclass(frozen=True)
class Site:
    """A place where ΔW = B A is added.

    Attributes:
        name: full module name; for a slice, the layer's name and the slice's, joined by a dot.
        layer: full name of the module that is adapted.
        in_features: size of its input.
        out_features: size of the adapted output (of the slice, for a slice).
        start: first output feature of the slice; 0 for a whole layer.
        whole: the site is the whole layer.
    """

    name: str
    in_features: int
    out_features: int
    layer: str = ""
    start: int = 0
    whole: bool = True


def read_one_input(site: Site, other: Site) -> bool:
    """Whether two sites are expected to be given the same tensor; what they are given decides in the end."""
    if site.layer == other.layer:
        return True
    (parent, _, name), (others, _, other_name) = site.layer.rpartition("."), other.layer.rpartition(".")
    return parent == others and any({name, other_name} <= names for names in ONE_INPUT)


def is_conv1d(layer: nn.Module) -> bool:
    """True for a linear layer with weight (in, out): transformers' Conv1D, known by name, and our own."""
    return type(layer).__name__ in ("Conv1D", "DenseConv1D") and hasattr(layer, "nf")


def linear_shape(layer: nn.Module) -> tuple[int, int] | None:
    """(in_features, out_features) of a linear layer, or None for any other module."""
    if is_conv1d(layer):
        rows, columns = cast(Tensor, layer.weight).shape
        return rows, columns
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features  # a packed weight has another shape
    return None


def dense_weight(layer: nn.Module) -> Tensor:
    """The weight of a linear layer as (o, i) in float32, dequantised if it is 4- or 8-bit; perhaps a view.

    Raises:
        VBLoRAError: accelerate has offloaded it.
    """
    if quantized.bits(layer):
        return quantized.dequantised(layer)
    weight = cast(Tensor, layer.weight).detach().float()
    if weight.is_meta and hasattr(layer, "_hf_hook"):
        raise VBLoRAError("accelerate keeps this weight elsewhere; load the model whole to use its weights")
    return weight.mT if is_conv1d(layer) else weight


def find_sites(
    model: nn.Module, targets: Sequence[str] | str, splits: Mapping[str, Sequence[str]] | None = None
) -> list[Site]:
    """Find the sites that `targets` names, in the order of the model's modules.

    Args:
        model: any module; the meta device will do.
        targets: endings of site names (whole dotted parts), or one regular expression over full names.
        splits: for layers whose name ends so, the names of the equal parts of their output, each a site of
            its own: {"c_attn": ["query", "key", "value"]}.

    Raises:
        TargetError: nothing matches, or a match is no linear layer that can be adapted.
    """
    check_targets(targets)
    matched = [site for site in _candidates(model, splits or {}) if _matches(site.name, targets)]
    if not matched:
        raise TargetError(_no_match(model, targets, splits or {}))
    return [_checked(model, site) for site in matched]


def sites_named(model: nn.Module, names: Sequence[str], splits: Mapping[str, Sequence[str]]) -> list[Site]:
    """The sites of just these full names, in the order of the model's modules.

    Raises:
        TargetError: the model lacks one, or it is no linear layer that can be adapted.
    """
    wanted = set(names)
    found = [site for site in _candidates(model, splits) if site.name in wanted]
    missing = wanted - {site.name for site in found}
    if missing:
        raise TargetError(f"{type(model).__name__} has no module {min(missing)}")
    return [_checked(model, site) for site in found]


def check_targets(targets: object) -> None:
    """Refuse targets that are no list of names and no regular expression.

    Raises:
        TargetError: naming the rule and the value.
    """
    if isinstance(targets, str):
        try:
            re.compile(targets)
        except re.error as error:
            raise TargetError(f"targets {targets!r} is no regular expression: {error}") from error
    if not targets:
        raise TargetError('targets is empty; give endings of module names, such as ["query", "value"]')
    if not isinstance(targets, str | Collection) or not all(isinstance(t, str) and t for t in targets):
        raise TargetError(f"targets {targets!r} is no list of names; give endings such as ['query', 'value']")


def check_splits(splits: object) -> None:
    """Refuse splits that are no {ending: names of at least one part}.

    Raises:
        TargetError: naming the rule and the value.
    """
    whole = isinstance(splits, Mapping) and all(
        isinstance(layer, str)
        and isinstance(parts, Sequence)
        and not isinstance(parts, str)
        and len(parts)
        and all(isinstance(part, str) and part for part in parts)
        for layer, parts in splits.items()
    )
    if not whole:
        raise TargetError(f"splits {splits!r} is not of the form {{'c_attn': ['query', 'key', 'value']}}")


def _matches(name: str, targets: Sequence[str] | str) -> bool:
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(name == target or name.endswith(f".{target}") for target in targets)


def _candidates(model: nn.Module, splits: Mapping[str, Sequence[str]]) -> Iterator[Site]:
    """Every module as a site; what is not linear has size 0, to be refused by name if it is matched."""
    for name, module in model.named_modules():
        if not name or name.split(".")[0] == RESERVED:
            continue
        inputs, outputs = linear_shape(module) or (0, 0)
        parts = next((parts for ending, parts in splits.items() if _matches(name, [ending])), None)
        if parts is None:
            yield Site(name, inputs, outputs, name)
        else:
            yield from _slices(name, inputs, outputs, parts)


def _slices(layer: str, inputs: int, outputs: int, parts: Sequence[str]) -> Iterator[Site]:
    size, rest = divmod(outputs, len(parts))
    if rest:
        raise TargetError(
            f"{layer}: its {outputs} outputs do not divide into {len(parts)} equal parts {list(parts)}"
        )
    for index, part in enumerate(parts):
        yield Site(f"{layer}.{part}", inputs, size, layer, index * size, whole=False)


def _checked(model: nn.Module, site: Site) -> Site:
    layer = model.get_submodule(site.layer)
    if not site.in_features or not site.out_features:
        kind = type(layer).__name__
        raise TargetError(
            f"{site.name}: a {kind} cannot be adapted; name linear layers (nn.Linear or Conv1D) only"
        )
    parent = model.get_submodule(site.layer.rpartition(".")[0])
    if isinstance(parent, nn.MultiheadAttention) or "weight" not in layer._parameters:
        raise TargetError(
            f"{site.name}: its weight is read or made by another module (MultiheadAttention,"
            " a parametrisation), so that an adapter would be passed by; name other layers"
        )
    reason = quantized.why_not(layer)
    if reason is not None:
        raise TargetError(f"{site.name}: {reason}")
    return site


def _no_match(model: nn.Module, targets: Sequence[str] | str, splits: Mapping[str, Sequence[str]]) -> str:
    endings = dict.fromkeys(
        site.name.rsplit(".", 1)[-1] for site in _candidates(model, splits) if site.in_features
    )
    wanted = targets if isinstance(targets, str) else ", ".join(targets)
    known = ", ".join(endings) or "none, it has no linear layer"
    return (
        f"no module of {type(model).__name__} matches the targets {wanted}; its linear layers end in: {known}"
    )
