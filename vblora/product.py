"""x Aᵀ Bᵀ added to a layer's output, in few operators.

Two autograd nodes make a product, x Aᵀ and its sum with the output. An input that several layers read (query,
key and value) is multiplied once by the stacked A of all of them, when the first of them asks; the others are
given their part if they come with the very same tensor, and make their own product otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vblora.composition import InUse
from vblora.factors import Down, Factors
from vblora.once import traced
from vblora.sites import Site
from vblora.torch_internals import top_saved_tensors_default_hooks


def add_product(
    x: Tensor, output: Tensor, in_use: InUse, sites: Sequence[Site], places: Sequence[int], share: bool
) -> Tensor:
    """Return output + x Aᵀ Bᵀ for the sites of one layer, in the output's type.

    Products are made in the type that the layer would compute in: the input's, or autocast's.

    Args:
        x: (…, i), what the layer was given.
        output: (…, o), what it answered.
        in_use: the adapter's composition.
        sites: all of the adapter's sites.
        places: those of this layer.
        share: other layers may be given this very tensor.
    """
    dtype = _dtype(x)
    factors = in_use.factors(x.device, dtype)
    if traced():
        return _plain(x.to(dtype), output, factors, sites, places)
    lows = [_low(x, factors, place, in_use.shared if share else None) for place in places]
    ups = [factors.ups[place] for place in places]
    columns = [_columns(sites[place]) for place in places]
    added: Tensor = _AddUp.apply(output, columns, [up.B for up in ups], *lows, *(up.Bt for up in ups))  # type: ignore[no-untyped-call]  # torch's
    return added


def _dtype(x: Tensor) -> torch.dtype:
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return x.dtype


def _columns(site: Site) -> slice | None:
    return None if site.whole else slice(site.start, site.start + site.out_features)


def _plain(
    x: Tensor, output: Tensor, factors: Factors, sites: Sequence[Site], places: Sequence[int]
) -> Tensor:
    """The same in operators that compilers and function transforms see through."""
    result = output.clone() if len(places) > 1 or not sites[places[0]].whole else output
    for place in places:
        product = x @ factors.rows(place).A.mT @ factors.ups[place].Bt
        columns = _columns(sites[place])
        if columns is None:
            return (result + product).to(output.dtype)
        result[..., columns] += product
    return result


@dataclass(frozen=True)
class _Shared:
    """The products of one input with a set's stacked A, and what tells that input again."""

    x: Tensor
    mark: tuple[Any, ...]
    lows: Sequence[Tensor]


def _mark(x: Tensor, dtype: torch.dtype) -> tuple[Any, ...]:
    """What must not differ: a checkpointed region, known by its hooks, may use only what it made itself."""
    version = 0 if x.is_inference() else x._version
    region = top_saved_tensors_default_hooks(False)
    return version, dtype, torch.is_grad_enabled(), torch.is_inference_mode_enabled(), region


def _low(x: Tensor, factors: Factors, place: int, shared: dict[int, Any] | None) -> Tensor:
    """The product x Aᵀ of one site, (n, r); made with those of the other sites of its set if they share."""
    number, row = factors.where[place]
    size = factors.size(number)
    if shared is None or size == 1:
        return _down(x, factors.rows(place) if size > 1 else factors.downs[number], 1)[0]
    found, mark = shared.get(number), _mark(x, factors.downs[number].At.dtype)
    if found is None or found.x is not x or found.mark != mark:
        shared.pop(number, None)
        if row > 0:
            return _down(x, factors.rows(place), 1)[0]
        found = shared[number] = _Shared(x, mark, _down(x, factors.downs[number], size))
    if row == size - 1:
        del shared[number]
    return found.lows[row]


def _down(x: Tensor, down: Down, parts: int) -> tuple[Tensor, ...]:
    flat = x.to(down.At.dtype).reshape(-1, x.shape[-1])
    lows: tuple[Tensor, ...] = _Down.apply(flat, down.A, down.At, parts)  # type: ignore[no-untyped-call]  # torch's
    return lows


class _Down(torch.autograd.Function):
    """From x (n, i) to x Aᵀ (n, S·r), in `parts` equal parts."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, A: Tensor, At: Tensor, parts: int) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, A)
        low = torch.mm(x, At)  # `@` would dispatch one operator more
        return low.chunk(parts, 1) if parts > 1 else (low,)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, A = ctx.saved_tensors
        grad = torch.cat(grads, 1) if len(grads) > 1 else grads[0]
        need_x, need_A = ctx.needs_input_grad[:2]
        return torch.mm(grad, A) if need_x else None, torch.mm(grad.t(), x) if need_A else None, None, None


class _AddUp(torch.autograd.Function):
    """Output (…, o) and low (n, r) of each part -> output + low Bᵀ, in all columns or in the part's own."""

    @staticmethod
    def forward(
        ctx: Any, output: Tensor, columns: Sequence[slice | None], Bs: Sequence[Tensor], *parts: Tensor
    ) -> Tensor:
        ctx.columns, ctx.Bs = columns, Bs
        ctx.save_for_backward(*parts)
        lows, Bts = parts[: len(Bs)], parts[len(Bs) :]
        flat = output.reshape(-1, output.shape[-1])
        if columns[0] is None:
            return _added(flat, lows[0], Bts[0]).view(output.shape)
        result = flat.clone()
        for chosen, low, Bt in zip(columns, lows, Bts, strict=True):
            result[:, chosen] = _added(flat[:, chosen], low, Bt)
        return result.view(output.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        number, saved = len(ctx.Bs), ctx.saved_tensors  # read once: checkpointing runs the block again for it
        lows, Bts = saved[:number], saved[number:]
        flat = grad.reshape(-1, grad.shape[-1]).to(lows[0].dtype)
        dlows, dBts = [], []
        for chosen, low, Bt, B in zip(ctx.columns, lows, Bts, ctx.Bs, strict=True):
            own = flat if chosen is None else flat[:, chosen]
            # For a gradient of the gradient the factor itself is needed; its plain view has none.
            dlows.append(torch.mm(own, Bt.t() if torch.is_grad_enabled() else B))
            dBts.append(torch.mm(low.t(), own) if Bt.requires_grad else None)
        return grad, None, None, *dlows, *dBts


def _added(output: Tensor, low: Tensor, Bt: Tensor) -> Tensor:
    """Compute output + low Bᵀ, in the output's type.

    Under autocast a 4-bit layer answers in its input's type and not in that of the products, and a layer may
    answer in another type than its input's: then the sum is made in the wider and rounded to the output's.
    """
    if low.dtype != output.dtype:
        return (output + low @ Bt).to(output.dtype)
    return torch.addmm(output, low, Bt)
