"""4- and 8-bit layers of bitsandbytes: their dense weights, and layers to take their place when merged.

bitsandbytes is optional: its layers are known by name, and it is imported only where one has been met.

    4-bit (NF4, FP4): W = code[q] · absmax of the block (Dettmers et al. 2023, arXiv 2305.14314)
    8-bit:            W = q · max|row| / 127             (Dettmers et al. 2022, arXiv 2208.07339)
"""

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own convention
from torch import Tensor, nn

from vblora.errors import VBLoRAError

FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# What a layer that takes another's place shares with it: the hooks, the user's and ours.
HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_is_full_backward_hook",
)
UNSUPPORTED = "in a way that is not supported; name layers that are plain, or 4- or 8-bit by bitsandbytes"
ACCELERATE = ("_hf_hook", "_old_forward", "forward")  # what accelerate sets on a layer that it dispatches


class DenseLinear(nn.Linear):
    """A linear layer that computes in its weight's type and answers in its input's, as 4-bit layers do."""

    def forward(self, input: Tensor) -> Tensor:
        """Compute x Wᵀ + bias."""
        return _linear(input, self.weight, self.bias)


class DenseConv1D(nn.Module):
    """The same for a weight stored as (i, o), which transformers' Conv1D needs to be read back."""

    bias: Tensor | None

    def __init__(self, in_features: int, out_features: int) -> None:
        """Take the sizes; weight and bias are set by `dense_layer`."""
        super().__init__()
        self.nx, self.nf = in_features, out_features

    def forward(self, input: Tensor) -> Tensor:
        """Compute x W + bias."""
        return _linear(input, cast(Tensor, self.weight).mT, self.bias)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    bias = None if bias is None else bias.to(weight.dtype)
    return F.linear(x.to(weight.dtype), weight, bias).to(x.dtype)


def bits(layer: nn.Module) -> int | None:
    """4 or 8 for a linear layer of bitsandbytes, None for any other module."""
    for known in type(layer).__mro__:
        if known.__module__.partition(".")[0] == "bitsandbytes":
            found = {"Linear4bit": 4, "Linear8bitLt": 8}.get(known.__name__)
            if found is not None:
                return found
    return None


def is_packed(parameter: Tensor) -> bool:
    """True for a parameter of bitsandbytes, whose shape and type are those of its storage."""
    return type(parameter).__name__ in ("Params4bit", "Int8Params")


def num_elements(parameter: Tensor) -> int:
    """Elements of the weight that a parameter stands for: 4-bit storage holds two in a byte, or more."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else cast(int, state.shape.numel())


def why_not(layer: nn.Module) -> str | None:
    """Why the weight of a linear layer cannot be adapted, or None if it can."""
    weight, packing = cast(Tensor, layer.weight), bits(layer)
    if weight.device.type == "meta" and (packing or weight.dtype in FLOATS):
        return None
    if packing == 4 and _state(layer) is None:
        return "its 4-bit weight is not quantised yet; move the model to its device first"
    if packing == 8 and weight.dtype != torch.int8:
        return "its 8-bit weight is not quantised; load it with has_fp16_weights=False on its device"
    if packing is None and weight.dtype not in FLOATS:
        return f"its weight is quantised ({weight.dtype}) {UNSUPPORTED}"
    if packing is None and type(weight).__module__.partition(".")[0] != "torch":
        return f"its weight is a {type(weight).__name__}, quantised {UNSUPPORTED}"
    return None


def dequantised(layer: nn.Module) -> Tensor:
    """The weight of a 4- or 8-bit layer as (o, i) in float32, computed afresh."""
    if bits(layer) == 8:
        scales = _row_scales(layer).float()[:, None]
        return cast(Tensor, layer.weight).detach().float() * scales * (1 / 127)
    from bitsandbytes.functional import dequantize_4bit

    packed, state = _unpacked(cast(Tensor, layer.weight).data, copy.copy(_state(layer)), exact=True)
    state.dtype = torch.float32  # its own would round once more
    dense: Tensor = dequantize_4bit(packed, state)
    return dense


def _state(layer: nn.Module) -> Any:
    own = getattr(layer.weight, "quant_state", None)
    return getattr(layer, "quant_state", None) if own is None else own  # FSDP takes it off the weight


def _row_scales(layer: nn.Module) -> Tensor:
    """Largest size in each row; the first forward moves it from the weight to the layer's state."""
    kept = cast(Any, layer.state).SCB
    return cast(Tensor, cast(Any, layer.weight).SCB if kept is None else kept)


def unpack(layer: nn.Module) -> None:
    """Give a 4-bit layer back the storage that bitsandbytes changes when it infers on a CPU with AVX512-BF16.

    Changed, the layer passes no gradient on to its input, also in later training, and says nothing.
    """
    weight, state = cast(Any, layer.weight), _state(layer)
    if getattr(state, "packing_format_for_cpu", False):
        weight.data, weight.quant_state = _unpacked(weight.data, state)


def _unpacked(packed: Tensor, state: Any, exact: bool = False) -> tuple[Tensor, Any]:
    """Undo the packing for that CPU. It rounded the scales to bfloat16; `exact` keeps these as they are."""
    if not getattr(state, "packing_format_for_cpu", False):
        return packed, state
    from bitsandbytes.functional import _convert_weight_packed_for_cpu_inverse

    state.original_nested = state.original_nested and not exact
    packed, state = _convert_weight_packed_for_cpu_inverse(packed, state)
    if not state.nested:  # bitsandbytes 0.50 leaves these scales transposed
        state.absmax = state.absmax.T.reshape(-1).float()
    return packed, state


def dense_layer(layer: nn.Module, weight: Tensor, dtype: torch.dtype) -> nn.Module:
    """A layer of this weight (o, i), rounded once to `dtype`, to take the place of a 4- or 8-bit layer."""
    outputs, inputs = weight.shape
    transposed = getattr(layer, "source_cls", nn.Linear).__name__ == "Conv1D"
    with torch.device("meta"):
        dense = DenseConv1D(inputs, outputs) if transposed else DenseLinear(inputs, outputs, bias=False)
    stored = weight.mT if transposed else weight
    dense.weight = nn.Parameter(stored.to(dtype).contiguous(), requires_grad=False)
    dense.register_parameter("bias", cast(nn.Parameter | None, layer.bias))
    dense.__dict__.update({name: layer.__dict__[name] for name in HOOKS})
    return _placed(dense, layer)


def requantised(layer: nn.Module, weight: Tensor) -> nn.Module:
    """A layer like this 4- or 8-bit one, with this weight (o, i) quantised by the same settings."""
    again = copy.copy(layer)  # shares hooks and bias
    again.__dict__ = {name: value for name, value in layer.__dict__.items() if name not in ACCELERATE}
    again._parameters = dict(layer._parameters)
    if bits(layer) == 4:
        again._parameters["weight"] = _quantised_4bit(layer, weight)
        cast(Any, again.weight).module = again
        again.quant_state = cast(Any, again.weight).quant_state
    else:
        state = copy.copy(cast(Any, layer.state))
        state.reset_grads()
        again.state = state
        again._parameters["weight"] = _quantised_8bit(layer, weight)
    return _placed(again, layer)


def _quantised_8bit(layer: nn.Module, weight: Tensor) -> nn.Parameter:
    new = type(cast(Any, layer.weight))(weight.cpu(), requires_grad=False, has_fp16_weights=False)
    return cast(nn.Parameter, new.to(weight.device))  # quantises, on the way from the CPU only


def _quantised_4bit(layer: nn.Module, weight: Tensor) -> nn.Parameter:
    old = cast(Any, layer.weight)
    _, state = _unpacked(old.data, copy.copy(_state(layer)))
    new = type(old)(
        weight,
        requires_grad=False,
        blocksize=state.blocksize,
        compress_statistics=state.nested,
        quant_type=state.quant_type,
        quant_storage=old.quant_storage,
    ).to(weight.device)  # quantises
    new.quant_state.dtype = state.dtype
    return cast(nn.Parameter, new)


def _placed(new: nn.Module, old: nn.Module) -> nn.Module:
    """The new layer in the mode and under the device hook of the old one."""
    hook = getattr(old, "_hf_hook", None)
    if hook is not None:
        from accelerate.hooks import add_hook_to_module

        add_hook_to_module(new, copy.copy(hook))
    return new.train(old.training)


def put_back(model: nn.Module, name: str, original: nn.Module) -> None:
    """Let a layer that was replaced have its place again, on the device and in the mode of its substitute."""
    substitute = model.get_submodule(name)
    device = cast(Tensor, substitute.weight).device
    if cast(Tensor, original.weight).device != device:
        original.to(device)
    model.set_submodule(name, original.train(substitute.training))


def check_dtype(dtype: object) -> None:
    """Refuse a type that no dense layer can have.

    Raises:
        VBLoRAError: naming the types.
    """
    if dtype not in FLOATS:
        raise VBLoRAError(
            f"dtype {dtype} is no type for a merged layer; choose one of {', '.join(map(str, FLOATS))}"
        )
