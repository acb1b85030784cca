"""Adding ΔW = B A to the weights for inference, and taking it out again, bit for bit."""

import torch
from torch import Tensor, nn

from vblora.adapter import Adapter
from vblora.attachment import Attachment, activate, required_attachment
from vblora.errors import AdapterStateError, VBLoRAError
from vblora.sites import is_conv1d


@torch.no_grad()
def merge(model: nn.Module, name: str | None = None) -> None:
    """Add the product of an adapter (by default the active one) to the weights it adapts: W ← W + B A.

    A named adapter is made the active one too, so that its head is in place.

    The sum is made in float32 and rounded once to the weight's own type. The old weights are kept in main
    memory, so that `unmerge` gives them back exactly; `detach` frees them. On any error the weights are as
    before.

    Raises:
        AdapterStateError: an adapter is merged already, or there is none of this name.
        VBLoRAError: a merged weight would not be finite, or another module shares it.
    """
    attachment = required_attachment(model)
    if attachment.merged is not None:
        raise AdapterStateError(f"adapter {attachment.merged!r} is merged already; unmerge it first")
    adapter, before = attachment.adapter(name), attachment.active
    _check_untied(model, adapter)
    training = adapter.training
    adapter.eval()  # the rule of inference: in training a selection may draw at random
    try:
        for layer in adapter.places:
            weight = _weight(model, layer)
            merged = _merged_weight(model, adapter, layer)
            attachment.backups[layer] = weight.detach().to("cpu", copy=True)
            weight.copy_(merged)
    except BaseException:
        _put_back(model, attachment)
        raise
    finally:
        adapter.train(training)
    if name is not None and name != before:
        activate(model, name)
    attachment.merged = attachment.active


@torch.no_grad()
def unmerge(model: nn.Module) -> None:
    """Give the adapted layers the weights they had before `merge`, bit for bit.

    Raises:
        AdapterStateError: nothing is merged.
    """
    attachment = required_attachment(model)
    if attachment.merged is None:
        raise AdapterStateError("no adapter is merged; nothing to unmerge")
    _put_back(model, attachment)
    attachment.merged = None


def _put_back(model: nn.Module, attachment: Attachment) -> None:
    for layer, weight in attachment.backups.items():
        _weight(model, layer).copy_(weight)
    attachment.backups = {}


def _weight(model: nn.Module, layer: str) -> Tensor:
    weight = model.get_submodule(layer).weight
    assert isinstance(weight, Tensor)
    return weight


def _check_untied(model: nn.Module, adapter: Adapter) -> None:
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for layer in adapter.places:
        names = owners[id(_weight(model, layer))]
        if len(names) > 1:
            raise VBLoRAError(f"{' and '.join(names)} are one weight; merging would change what both compute")


def _merged_weight(model: nn.Module, adapter: Adapter, layer: str) -> Tensor:
    weight = _weight(model, layer)
    merged = weight.detach().to(torch.float32, copy=True)
    rows = merged.mT if is_conv1d(model.get_submodule(layer)) else merged  # (o, i)
    for place in adapter.places[layer]:
        site = adapter.sites[place]
        A, B = adapter.factors(site)
        rows[site.start : site.start + site.out_features] += (B @ A).to(merged.device)
    rounded = merged.to(weight.dtype)
    if not bool(torch.isfinite(rounded).all()):
        raise VBLoRAError(
            f"{layer}: the merged weight is not finite; the adapter or the weight holds NaN or overflows"
        )
    return rounded
