"""Tensors in the precision of a file.

    exact     as they are
    compact   16 bits: floating tensors as float16
    tiny      8 bits: a floating matrix as int8, q = round(x / s), with s = max|row| / 127 beside it; vectors
              (a head's biases) as they are

The mixture of a sub-vector is encoded apart:

    exact     columns in order of weight, each with ⌈log2 h⌉ bits; differences of their logits to the largest,
              whose softmax has the very bits of the softmax in training
    compact   the set of columns by its number (see `packing`), ascending; all weights but the last as
              whole numbers of 1/65535 (tiny: 1/255), so rounded that they and the last sum to 1
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vblora import packing
from vblora.errors import AdapterFileError, VBLoRAError

PRECISIONS = ("exact", "compact", "tiny")
Shapes = dict[str, tuple[tuple[int, ...], torch.dtype | None]]  # None: any floating type
FRACTIONS = {"compact": (torch.uint16, 65535), "tiny": (torch.uint8, 255)}
SCALE = "#scale"  # behind a tensor's name: the scales of its rows
LOWEST = -110.0  # a logit's difference to the largest; from -104 on its float32 weight is 0


def encoded(tensors: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """The tensors as a file of this precision holds them.

    Raises:
        VBLoRAError: a value is too large for 16 bits.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if precision == "exact" or not tensor.is_floating_point():
            found[name] = tensor
        elif precision == "compact":
            found[name] = _half(name, tensor)
        elif tensor.dim() < 2:
            found[name] = tensor.float()
        else:
            found[name], found[name + SCALE] = _in_8_bits(tensor)
    return found


def _half(name: str, tensor: Tensor) -> Tensor:
    half = tensor.half()
    if not bool(torch.isfinite(half).all()):
        raise VBLoRAError(f"tensor {name} holds values beyond 65504, float16's largest; save it as exact")
    return half


def _in_8_bits(tensor: Tensor) -> tuple[Tensor, Tensor]:
    rows = tensor.float().flatten(1)
    scales = rows.abs().amax(dim=1) / 127
    return (rows / scales.clamp_min(1e-38)[:, None]).round().to(torch.int8).view(tensor.shape), scales


def decoded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Floating tensors again from what `encoded` gave.

    Raises:
        AdapterFileError: scales do not fit their tensor.
    """
    found = {}
    for name, tensor in tensors.items():
        scales = tensors.get(name + SCALE)
        if scales is not None:
            if tensor.dim() < 2 or scales.shape != tensor.shape[:1] or not scales.is_floating_point():
                raise AdapterFileError(f"tensor {name}: its scales do not fit it")
            tensor = (tensor.float().flatten(1) * scales[:, None]).view(tensor.shape)
        elif tensor.dtype == torch.float16:
            tensor = tensor.float()
        if not name.endswith(SCALE):
            found[name] = tensor
    return found


def encoded_shapes(shapes: Shapes, precision: str) -> Shapes:
    """Shapes and types of the tensors in a file, from those of the tensors themselves."""
    found: Shapes = {}
    for name, (shape, dtype) in shapes.items():
        floating = dtype is None or dtype.is_floating_point
        if precision == "exact" or not floating:
            found[name] = shape, dtype
        elif precision == "compact":
            found[name] = shape, torch.float16
        elif len(shape) < 2:
            found[name] = shape, torch.float32
        else:
            found[name], found[name + SCALE] = (shape, torch.int8), (shape[:1], torch.float32)
    return found


@dataclass(frozen=True)
class Mixtures:
    """What each sub-vector is mixed of.

    Attributes:
        columns: (N, k), the chosen vectors, the largest weight first.
        scores: (N, k), logits or their differences to the largest: the weights are their softmax.
    """

    columns: Int[Tensor, "N k"]
    scores: Float[Tensor, "N k"]

    def weights(self) -> Float[Tensor, "N k"]:
        """Each row sums to 1."""
        return self.scores.softmax(dim=1)

    def encoded(self, h: int, precision: str) -> dict[str, Tensor]:
        """Columns and weights as a file of this precision holds them."""
        if precision == "exact":
            columns = packing.pack(self.columns.cpu().flatten(), packing.bits_for(h))
            differences = (self.scores - self.scores[:, :1]).clamp_min(LOWEST)
            return {"indices": columns, "weights": differences[:, 1:].contiguous()}
        dtype, unit = FRACTIONS[precision]
        columns, order = self.columns.cpu().sort(dim=1)
        parts = _parts(self.weights().cpu().gather(1, order), unit)
        return {"indices": _pack_sets(columns, h), "weights": parts[:, :-1].to(dtype).contiguous()}


def mixture_shapes(number: int, h: int, k: int, precision: str) -> Shapes:
    """Shapes and types of what `Mixtures.encoded` gives for N sub-vectors."""
    bits = None if precision == "exact" else packing.set_bits(h, k)
    size = packing.packed_bytes(number * k, packing.bits_for(h)) if bits is None else 0
    dtype = torch.float32 if precision == "exact" else FRACTIONS[precision][0]
    return {
        "indices": ((size if bits is None else packing.packed_bytes(number, bits),), torch.uint8),
        "weights": ((number, k - 1), dtype),
    }


def mixtures(indices: Tensor, weights: Tensor, h: int, precision: str) -> Mixtures:
    """Read what `Mixtures.encoded` gave.

    Raises:
        VBLoRAError: an index is outside the bank, an index stands twice, or weights are impossible.
    """
    number, k = weights.shape[0], weights.shape[1] + 1
    if precision == "exact":
        columns = packing.unpack(indices, number * k, packing.bits_for(h)).view(number, k)
        if bool((weights > 0).any()) or not bool(torch.isfinite(weights).all()):
            raise VBLoRAError("a logit's difference to the largest is above 0 or not finite")
        scores = torch.cat([weights.new_zeros(number, 1), weights], dim=1)
        return Mixtures(_checked(columns, h), scores)
    unit = FRACTIONS[precision][1]
    parts = weights.long()
    last = unit - parts.sum(dim=1, keepdim=True)
    if bool((last < 0).any()):
        raise VBLoRAError("the weights of a sub-vector sum to more than 1")
    parts, order = torch.cat([parts, last], dim=1).sort(dim=1, descending=True, stable=True)
    columns = _checked(_unpack_sets(indices, number, h, k), h).gather(1, order)
    return Mixtures(columns, (parts / unit).log().clamp_min(LOWEST))


def _checked(columns: Int[Tensor, "N k"], h: int) -> Int[Tensor, "N k"]:
    if bool((columns >= h).any()):
        raise VBLoRAError(f"an index points beyond the {h} vectors of the bank")
    if bool((columns.sort(dim=1).values.diff(dim=1) == 0).any()):
        raise VBLoRAError("a sub-vector is mixed of one vector twice")
    return columns


def _parts(weights: Float[Tensor, "N k"], unit: int) -> Int[Tensor, "N k"]:
    """Whole numbers of 1/unit that sum to `unit`: rounded down, and the largest remainders up."""
    wanted = weights.double() * unit
    parts = wanted.floor()
    short = (unit - parts.sum(dim=1, keepdim=True)).round()
    rank = (wanted - parts).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return (parts + (rank < short)).long()


def _pack_sets(columns: Int[Tensor, "N k"], h: int) -> Tensor:
    bits = packing.set_bits(h, columns.shape[1])
    if bits is None:
        return packing.pack(columns.flatten(), packing.bits_for(h))
    return packing.pack(packing.set_numbers(columns, h), bits)


def _unpack_sets(packed: Tensor, number: int, h: int, k: int) -> Int[Tensor, "N k"]:
    bits = packing.set_bits(h, k)
    if bits is None:
        return packing.unpack(packed, number * k, packing.bits_for(h)).view(number, k)
    return packing.sets_numbered(packing.unpack(packed, number, bits), h, k)
