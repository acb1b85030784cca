"""What is private in torch is there, does what vblora takes it for, and is missed with a clear message."""

import subprocess
import sys

import pytest
import torch
from packaging.specifiers import SpecifierSet
from pages import project

from vblora import torch_internals
from vblora.errors import TorchVersionError, VBLoRAError

# As a later torch might be: one private function is gone before vblora is imported.
WITHOUT_ONE = """
import torch
del torch._C._current_graph_task_id
torch.__version__ = "3.0.0"
try:
    import vblora
except ValueError as error:
    print(type(error).__name__, error)
"""


def test_graph_task_is_numbered_in_a_backward_only():
    numbers = [torch_internals.current_graph_task_id()]
    x = torch.ones(2, requires_grad=True)
    x.register_hook(lambda grad: numbers.append(torch_internals.current_graph_task_id()))
    x.sum().backward()
    assert numbers[0] == -1 and numbers[1] != -1


def test_transforms_are_seen_while_they_run():
    seen = [torch_internals.are_functorch_transforms_active()]

    def look(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch_internals.are_functorch_transforms_active())
        return x

    torch.func.vmap(look)(torch.ones(2))
    assert seen == [False, True]


def test_saved_tensor_hooks_are_those_opened_last():
    outside = torch_internals.top_saved_tensors_default_hooks(False)
    with torch.autograd.graph.saved_tensors_hooks(torch.Tensor.detach, torch.Tensor.clone):
        inside = torch_internals.top_saved_tensors_default_hooks(False)
    assert outside is None and inside == (torch.Tensor.detach, torch.Tensor.clone)


def test_missing_function_names_the_version_and_what_to_install():
    with pytest.raises(TorchVersionError, match=r"has no torch\._C\._gone.*pip install 'torch>=") as caught:
        torch_internals.lookup("_C._gone")
    assert torch.__version__ in str(caught.value) and isinstance(caught.value, VBLoRAError)


def test_import_with_an_unfit_torch_fails_at_once():
    done = subprocess.run([sys.executable, "-c", WITHOUT_ONE], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("TorchVersionError torch 3.0.0 has no torch._C._current_graph_task_id")


def test_tested_versions_are_those_of_pyproject_and_of_here():
    (need,) = [need for need in project()["project"]["dependencies"] if need.startswith("torch")]
    assert need.removeprefix("torch") == torch_internals.TESTED.split(",")[0]
    assert SpecifierSet(torch_internals.TESTED).contains(torch.__version__)
