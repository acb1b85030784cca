"""Functions that torch keeps private and vblora needs, looked up when vblora is imported.

Private names may go in any release. One that is missing is reported here at once, instead of by an
AttributeError in the middle of a forward.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import torch

from vblora.errors import TorchVersionError

TESTED = ">=2.13,<2.16"  # versions of torch that the tests were run with


def lookup(path: str) -> Callable[..., Any]:
    """Return torch's private function at `path`.

    Raises:
        TorchVersionError: this version of torch has no such function.
    """
    try:
        function: Callable[..., Any] = attrgetter(path)(torch)
    except AttributeError:
        raise TorchVersionError(
            f"torch {torch.__version__} has no torch.{path}, which vblora needs;"
            f" install a version that was tested: pip install 'torch{TESTED}'"
        ) from None
    return function


# The number of the backward pass that runs on this thread, -1 outside of any.
current_graph_task_id: Callable[[], int] = lookup("_C._current_graph_task_id")
# Whether a transform of torch.func is open.
are_functorch_transforms_active: Callable[[], bool] = lookup("_C._are_functorch_transforms_active")
# The innermost pair of saved-tensor hooks, None outside of any.
top_saved_tensors_default_hooks: Callable[[bool], Any] = lookup(
    "_C._autograd._top_saved_tensors_default_hooks"
)
