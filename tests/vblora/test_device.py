"""Moving a model with its adapter to a CUDA device and back."""

import pytest
import torch
from quantised_models import KINDS, quantised, stored_bytes
from tiny_models import MODELS, shake, tokens

import vblora

CONFIGS = [
    lambda targets: vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=targets),
    lambda targets: vblora.TiedLoRAConfig(rank=2, targets=targets),
    lambda targets: vblora.LoRAXSConfig(rank=2, targets=targets),
]


def logits(model, device):
    with torch.no_grad():
        return model(tokens().to(device)).logits.cpu()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("make", CONFIGS, ids=["vblora", "tied_lora", "lora_xs"])
@pytest.mark.parametrize("name", MODELS)
def test_a_moved_model_gives_the_same_output_trains_and_comes_back_from_its_file(name, make, tmp_path):
    build, targets = MODELS[name]
    model = build()
    adapter = vblora.attach(model, make(targets))
    shake(adapter)
    expected = logits(model, "cpu")  # kept in eval, so that moving must drop it
    model.to("cuda", torch.float32)
    assert {p.device.type for p in adapter.parameters()} == {"cuda"}
    torch.testing.assert_close(logits(model, "cuda"), expected, atol=1e-4, rtol=1e-3)
    model(tokens().cuda()).logits.sum().backward()
    assert all(p.grad is not None and p.grad.is_cuda for p in adapter.parameters())
    vblora.save(model, tmp_path)
    again = build().cuda()
    vblora.load(again, tmp_path)
    torch.testing.assert_close(logits(again, "cuda"), logits(model, "cuda"))
    vblora.merge(again)
    torch.testing.assert_close(logits(again, "cuda"), expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(logits(model.cpu(), "cpu"), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_quantised_model_on_a_gpu_is_adapted_merged_and_restored(name, kind, tmp_path):
    """Merged and adapted differ by bfloat16, and for 8-bit layers by the rounding of their inputs."""
    model = quantised(tmp_path, name, kind, device="cuda")
    adapter = vblora.attach(model, CONFIGS[0](MODELS[name][1]))
    shake(adapter, 0.1)
    before, expected = stored_bytes(model), logits(model, "cuda")
    model(tokens().cuda()).logits.sum().backward()
    assert all(p.grad is not None and p.grad.is_cuda for p in adapter.parameters())
    for requantize in (False, True):
        kept = vblora.merge(model, requantize=requantize)
        assert all(share > (0.5 if requantize else 0.99) for share in kept.values())
        if not requantize:
            change = logits(model, "cuda").float() - expected.float()
            assert change.norm() < 0.05 * expected.float().norm()
        vblora.unmerge(model)
        assert stored_bytes(model) == before
    torch.testing.assert_close(logits(model, "cuda"), expected)
