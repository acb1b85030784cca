"""When factors are composed, and how long they are kept.

While gradients are recorded or the model trains, every forward composes afresh. Without either, a composition
is kept until a parameter may have changed. Compositions are never copied nor pickled.

Who asks decides which forward it is. Inside a forward of the root module (`open` … `close`) all layers share
one composition. A layer called in the backward pass is a checkpointed block run again, and gets the
composition of its forward. A layer called in neither way (the user runs a submodule) composes for itself and
those after it; when one site asks a second time, a new forward has begun.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from vblora.errors import AdapterStateError
from vblora.factors import Composed, Factors
from vblora.torch_internals import current_graph_task_id

if TYPE_CHECKING:
    from vblora.adapter import Adapter

_optimizer_steps = 0  # fused AdamW and bitsandbytes change parameters without moving their version counters


def _count_step(*_: Any) -> None:
    global _optimizer_steps
    _optimizer_steps += 1


register_optimizer_step_post_hook(_count_step)


@dataclass(frozen=True)
class _Stamp:
    """What the parameters were: their identities, versions and addresses, and the optimizer steps so far."""

    tensors: tuple[Tensor, ...]
    marks: tuple[tuple[int, int], ...]
    steps: int

    def same(self, other: _Stamp) -> bool:
        alike = self.marks == other.marks and self.steps == other.steps
        return alike and all(a is b for a, b in zip(self.tensors, other.tensors, strict=True))


def _stamp(adapter: Adapter) -> _Stamp:
    tensors = (*adapter.parameters(), *adapter.buffers())
    # The address too: assigning `parameter.data` moves no version.
    marks = tuple((0 if t.is_inference() else t._version, t.data_ptr()) for t in tensors)
    return _Stamp(tensors, marks, _optimizer_steps)


@dataclass
class InUse:
    """A composition, and what its forward has made of it.

    Attributes:
        composed: what the adapter composed.
        with_grad: gradients were enabled then.
        shared: by set of sites, products of an input that not all of its sites have asked for yet.
    """

    composed: Composed
    with_grad: bool
    shared: dict[int, Any] = field(default_factory=dict)
    _cast: dict[tuple[torch.device, torch.dtype], Factors] = field(default_factory=dict)

    def factors(self, device: torch.device, dtype: torch.dtype) -> Factors:
        """The factors there, made once, and with a gradient even if a checkpointed block asks without one."""
        found = self._cast.get((device, dtype))
        if found is None:
            with torch.set_grad_enabled(self.with_grad):
                found = self._cast[(device, dtype)] = self.composed.factors(device, dtype)
        return found


@dataclass
class _Kept:
    in_use: InUse
    stamp: _Stamp
    asked: set[int] = field(default_factory=set)
    finished: bool = False


def in_backward() -> bool:
    """True while the autograd engine runs a backward pass on this thread."""
    return current_graph_task_id() != -1


class Cache:
    """The composition in use of one adapter, if any."""

    def __init__(self) -> None:
        """Start with nothing composed."""
        self.drop()

    def drop(self) -> None:
        """Forget everything."""
        self._kept: _Kept | None = None
        self._traced: InUse | None = None
        self._is_open = False
        self._opened_with_grad = False
        self._without_grad: set[int] = set()
        self._forwards = 0  # compositions for training since the last backward that ran a block again
        self._ran_again = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Cache:
        """A copied model composes for itself."""
        return Cache()

    def __reduce__(self) -> tuple[type[Cache], tuple[()]]:
        """A pickled model holds no composition."""
        return Cache, ()

    def open(self, adapter: Adapter) -> None:
        """Begin a forward of the root: compose, or keep what is still true."""
        if torch.compiler.is_compiling():
            self._traced = InUse(adapter.compose(), torch.is_grad_enabled())
            return
        keep = self._kept is not None and self._lasting(adapter) and self._kept.stamp.same(_stamp(adapter))
        if not keep:
            self._compose(adapter)
        self._is_open, self._opened_with_grad = True, torch.is_grad_enabled()
        if self._opened_with_grad:
            self._without_grad.clear()

    def close(self, adapter: Adapter) -> None:
        """End the forward of the root. The composition stays for checkpointed blocks that run again."""
        self._traced = None
        self._is_open = False
        if self._kept is not None:
            self._kept.in_use.shared.clear()
            self._kept.finished = not self._lasting(adapter)

    def get(self, adapter: Adapter, place: int) -> InUse:
        """The composition that the site at `place` must use now."""
        if torch.compiler.is_compiling():
            return self._traced or InUse(adapter.compose(), torch.is_grad_enabled())
        if in_backward():
            self._check_drawn_once(adapter)
        kept = self._kept
        if kept is None or not self._usable(adapter, kept, place):
            kept = self._compose(adapter)
        self._watch(adapter, kept, place)
        return kept.in_use

    def _compose(self, adapter: Adapter) -> _Kept:
        self._kept = None  # frees the last one before the next is made
        if adapter.training:
            self._forwards, self._ran_again = 1 if self._ran_again else self._forwards + 1, False
        adapter.hold_float32()
        self._kept = _Kept(InUse(adapter.compose(), torch.is_grad_enabled()), _stamp(adapter))
        return self._kept

    @staticmethod
    def _lasting(adapter: Adapter) -> bool:
        return not (adapter.training or torch.is_grad_enabled())

    def _usable(self, adapter: Adapter, kept: _Kept, place: int) -> bool:
        if torch.is_grad_enabled() and not kept.in_use.with_grad:
            return False
        if in_backward():
            return True
        if not kept.stamp.same(_stamp(adapter)):
            return False
        return self._is_open or self._lasting(adapter) or not (kept.finished or place in kept.asked)

    def _check_drawn_once(self, adapter: Adapter) -> None:
        """A block that runs again needs its forward's draw; of several forwards it cannot tell which.

        Raises:
            AdapterStateError: the selection is random and there was not just one forward to run again.
        """
        self._ran_again = True
        if adapter.random and adapter.training and self._forwards != 1:
            raise AdapterStateError(
                "a random selection under gradient checkpointing needs the backward of each forward before"
                " the next forward in training mode; call backward in between, or model.eval() for the other"
            )

    def _watch(self, adapter: Adapter, kept: _Kept, place: int) -> None:
        """Note who asked.

        A site that ran without gradients in a forward opened with them, and runs again in backward, is under
        reentrant checkpointing.
        """
        kept.asked.add(place)
        if not torch.is_grad_enabled():
            if self._is_open and self._opened_with_grad and not in_backward():
                self._without_grad.add(place)
        elif place in self._without_grad and in_backward() and _several_processes():
            raise AdapterStateError(
                "reentrant gradient checkpointing under torch.distributed would reduce the bank's gradient"
                " once per block; pass use_reentrant=False (in transformers:"
                " gradient_checkpointing_kwargs={'use_reentrant': False})"
            )


def _several_processes() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
