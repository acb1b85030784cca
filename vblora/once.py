"""One autograd node that may be walked backward more than once and saves nothing that hooks can see.

All layers share one composition. Gradient checkpointing needs two things of it that plain autograd does not
give: reentrant checkpointing runs a backward per block, each through the shared node; non-reentrant
checkpointing counts the tensors that a block saves, and they must not depend on which block happened to
compose. So the node keeps its tensors on its context, out of sight of saved-tensor hooks, and its inner graph
is retained until the node itself is freed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vblora.torch_internals import are_functorch_transforms_active


def traced() -> bool:
    """Whether a compiler or a function transform looks on: it needs operators as they are, not our nodes."""
    return torch.compiler.is_compiling() or are_functorch_transforms_active()


def once(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Return function(*inputs) as the output of a single autograd node.

    The arithmetic is float32 also under autocast. For `torch.compile` and the transforms of `torch.func` the
    function is called as it is, so that they see the whole graph.
    """
    with torch.autocast(device_type=inputs[0].device.type, enabled=False):
        if traced() or not torch.is_grad_enabled():
            return function(*inputs)
        output: Tensor = _Once.apply(function, *inputs)  # type: ignore[no-untyped-call]  # torch: untyped
        return output


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        needed = ctx.needs_input_grad[1:]
        leaves = [tensor.detach().requires_grad_(need) for tensor, need in zip(inputs, needed, strict=True)]
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(Tensor.detach, lambda kept: kept):
            output = function(*leaves)
        ctx.leaves, ctx.output = leaves, output
        ctx.versions = [tensor._version for tensor in inputs]
        return output.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # A detached leaf shares its parameter's version counter, so a change between forward and backward
        # shows here.
        if [leaf._version for leaf in ctx.leaves] != ctx.versions:
            raise RuntimeError(
                "an adapter parameter was changed in place between forward and backward;"
                " step the optimizer after backward"
            )
        return None, *_gradients(ctx.output, ctx.leaves, grad)


def _gradients(output: Tensor, leaves: Sequence[Tensor], grad: Tensor) -> list[Tensor | None]:
    trained = [leaf for leaf in leaves if leaf.requires_grad]
    found = torch.autograd.grad(output, trained, grad, retain_graph=True, materialize_grads=True)
    gradients = iter(found)
    return [next(gradients) if leaf.requires_grad else None for leaf in leaves]
