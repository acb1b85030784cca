"""Adding ΔW = B A to the weights for inference, and taking it out again, bit for bit."""

import torch
from torch import Tensor, nn

from vblora import quantized, quantizer
from vblora.adapter import Adapter
from vblora.attachment import Attachment, activate, required_attachment
from vblora.errors import AdapterStateError, VBLoRAError
from vblora.sharding import refuse_sharded
from vblora.sites import dense_weight, is_conv1d


@torch.no_grad()
def merge(
    model: nn.Module, name: str | None = None, requantize: bool = False, dtype: torch.dtype = torch.bfloat16
) -> dict[str, float]:
    """Add the product of an adapter (by default the active one) to the weights it adapts: W ← W + B A.

    A named adapter is made the active one too, so that its head is in place.

    The sum is made in float32 and rounded once: to the weight's own type, or, for a 4- or 8-bit layer, to
    `dtype`. Such a layer is replaced by a dense one at the same place, and the model's configuration says
    so: what `save_pretrained` writes is loaded as it is. With `requantize` it is replaced by one of its kind.
    That loses small changes: W lies on the quantiser's steps, and less than half a step is rounded away.

    Plain weights are kept in main memory and quantised layers where they are, so that `unmerge` gives them
    back exactly; `detach` frees them. On any error the model is as before.

    Args:
        model: the model it is attached to.
        name: which adapter.
        requantize: quantise 4- and 8-bit layers again, by their own settings.
        dtype: type of the weights that replace 4- and 8-bit ones otherwise.

    Returns:
        The share of the change that each layer's new weight W' kept, ⟨W' - W, ΔW⟩ / ⟨ΔW, ΔW⟩ over all
        elements: 1 if nothing was lost (or ΔW is 0), 0 if nothing of it is left.

    Raises:
        AdapterStateError: an adapter is merged already, there is none of this name, or the model is sharded.
        VBLoRAError: a merged weight would not be finite, another module shares it, `dtype` is no type for it,
            or the layers' quantisation is noted on a larger model than this.
    """
    quantized.check_dtype(dtype)
    attachment = required_attachment(model)
    refuse_sharded(model, "save the adapter, and merge it into a whole model")
    if attachment.merged is not None:
        raise AdapterStateError(f"adapter {attachment.merged!r} is merged already; unmerge it first")
    adapter, before = attachment.adapter(name), attachment.active
    _check_untied(model, adapter)
    packed = [layer for layer in adapter.places if quantized.bits(model.get_submodule(layer))]
    if packed and not requantize:
        quantizer.check_noted(model)
    training = adapter.training
    adapter.eval()  # the rule of inference: in training a selection may draw at random
    try:
        kept = {
            layer: _merge_layer(model, attachment, adapter, layer, None if requantize else dtype)
            for layer in adapter.places
        }
        if not requantize:
            quantizer.note_dense(model, packed, attachment.notes)
    except BaseException:
        _put_back(model, attachment)
        raise
    finally:
        adapter.train(training)
    if name is not None and name != before:
        activate(model, name)
    attachment.merged = attachment.active
    return kept


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
    for layer, old in attachment.backups.items():
        if isinstance(old, nn.Module):
            quantized.put_back(model, layer, old)
        else:
            _weight(model, layer).copy_(old)
    quantizer.note_back(model, attachment.notes)
    attachment.backups, attachment.notes = {}, []


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


def _merge_layer(
    model: nn.Module, attachment: Attachment, adapter: Adapter, name: str, dtype: torch.dtype | None
) -> float:
    """Merge into one layer; without a type, a quantised one is quantised again. Returns the share kept."""
    layer = model.get_submodule(name)
    old = dense_weight(layer)
    change = _change(adapter, name, old)
    if not quantized.bits(layer):
        rounded = (old + change).to(_weight(model, name).dtype)
        _check_finite(name, rounded)
        attachment.backups[name] = _weight(model, name).detach().to("cpu", copy=True)
        share = _share(change, rounded.float() - old)  # `old` may be a view of the weight
        _weight(model, name).copy_(rounded.mT if is_conv1d(layer) else rounded)
        return share
    if dtype is None:
        merged = quantized.requantised(layer, old + change)
    else:
        merged = quantized.dense_layer(layer, old + change, dtype)
    new = dense_weight(merged)
    _check_finite(name, new)
    attachment.backups[name] = layer
    model.set_submodule(name, merged)
    return _share(change, new - old)


def _change(adapter: Adapter, layer: str, like: Tensor) -> Tensor:
    """ΔW of all sites of a layer, (o, i) in float32."""
    first = adapter.sites[adapter.places[layer][0]]
    if first.whole:
        A, B = adapter.factors(first)
        return (B @ A).to(like.device)
    change = torch.zeros_like(like)
    for place in adapter.places[layer]:
        site = adapter.sites[place]
        A, B = adapter.factors(site)
        change[site.start : site.start + site.out_features] += (B @ A).to(like.device)
    return change


def _share(wanted: Tensor, got: Tensor) -> float:
    # Dot products leave nothing of a layer's size behind.
    flat = wanted.flatten()
    total = float(flat.dot(flat))
    return float(flat.dot(got.flatten())) / total if total else 1.0


def _check_finite(layer: str, weight: Tensor) -> None:
    # NaN shows in either extreme; `isfinite` of each element would take as long as the merge itself.
    if weight.numel() and not all(bool(torch.isfinite(end)) for end in weight.aminmax()):
        raise VBLoRAError(
            f"{layer}: the merged weight is not finite; the adapter or the weight holds NaN or overflows"
        )
