import pytest
import torch
from quantised_models import quantised
from tiny_models import gpt2, roberta, shake, tokens

import vblora
from vblora.lora_xs import frame


@pytest.mark.parametrize("transposed", [False, True], ids=["linear", "conv1d"])
def test_product_is_u_r_sigma_vt(transposed):
    """Against numpy's decomposition of the weight as (out, in), for both layouts.

    A mutation that made it fail: the singular values on the output side, ΔW = U Σ R Vᵀ.
    """
    model = gpt2() if transposed else roberta()
    adapter = vblora.attach(
        model, vblora.LoRAXSConfig(rank=4, targets=["mlp.c_proj" if transposed else "output.dense"])
    )
    shake(adapter)
    site = next(site for site in adapter.sites if site.in_features != site.out_features)
    weight = model.get_submodule(site.layer).weight.detach()
    weight = weight.T if transposed else weight
    import numpy

    U, sigma, Vt = numpy.linalg.svd(weight.numpy(), full_matrices=False)
    U, sigma, Vt = (torch.from_numpy(part) for part in (U[:, :4], sigma[:4], Vt[:4]))
    signs = U.gather(0, U.abs().argmax(0, keepdim=True)).sign()
    expected = (U * signs) @ adapter.R[adapter.sites.index(site)] @ (signs.T * sigma[:, None] * Vt)
    A, B = adapter.factors(site)
    torch.testing.assert_close(B @ A, expected, atol=1e-5, rtol=1e-4)


def test_with_r_the_identity_the_product_is_the_best_approximation():
    weight = torch.randn(12, 8)
    A, U = frame(weight, 8)
    torch.testing.assert_close(U @ A, weight, atol=1e-5, rtol=1e-5)
    A, U = frame(weight, 3)
    residual = torch.linalg.svdvals(weight - U @ A)
    torch.testing.assert_close(residual[0], torch.linalg.svdvals(weight)[3], atol=1e-5, rtol=1e-5)


def test_signs_do_not_depend_on_the_decomposition():
    weight = torch.randn(12, 8)
    A, U = frame(weight, 4)
    A2, U2 = frame(-weight, 4)
    assert (U.gather(0, U.abs().argmax(0, keepdim=True)) > 0).all()
    assert (U2.gather(0, U2.abs().argmax(0, keepdim=True)) > 0).all()
    torch.testing.assert_close(U @ A, -(U2 @ A2))


def test_frames_are_not_in_the_state_dict_but_their_fingerprint_is():
    adapter = vblora.attach(roberta(), vblora.LoRAXSConfig(rank=4, targets=["query"]))
    assert sorted(adapter.state_dict()) == ["R", "fingerprint"]
    assert sum(p.numel() for p in adapter.parameters()) == 2 * 4**2


CHANGES = {"moved": lambda w: w.add_(torch.randn(32, 32) * 0.1), "scaled": lambda w: w.mul_(3)}


@pytest.mark.parametrize("change", CHANGES)
def test_an_adapter_of_other_base_weights_raises(change, tmp_path):
    model, config = roberta(), vblora.LoRAXSConfig(rank=4, targets=["query"])
    adapter = vblora.attach(model, config)
    vblora.save(model, tmp_path)
    other = roberta()
    with torch.no_grad():
        CHANGES[change](other.roberta.encoder.layer[0].attention.self.query.weight)
    with pytest.raises(vblora.AdapterFileError, match="trained on other base weights"):
        vblora.load(other, tmp_path)
    assert not hasattr(other, "vblora")
    with pytest.raises(vblora.AdapterFileError, match="load the same base model before attaching"):
        vblora.attach(other, config).load_state_dict(adapter.state_dict())


def test_the_same_base_in_half_precision_is_accepted(tmp_path):
    model = roberta()
    vblora.attach(model, vblora.LoRAXSConfig(rank=2, targets=["query"]))
    vblora.save(model, tmp_path)
    vblora.load(roberta().to(torch.bfloat16), tmp_path)


def test_a_weight_that_is_not_finite_raises():
    with pytest.raises(vblora.VBLoRAError, match="NaN or infinity"):
        frame(torch.full((3, 3), float("nan")), 2)


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_a_quantised_layer_is_decomposed_as_transformers_dequantises_it(kind, tmp_path):
    model = quantised(tmp_path, kind=kind)
    adapter = vblora.attach(model, vblora.LoRAXSConfig(rank=4, targets=["down_proj"]))
    A, U = (getattr(adapter, f"{name}0") for name in "AU")
    plain = quantised(tmp_path, kind=kind).dequantize(torch.float32)
    expected = frame(plain.model.layers[0].mlp.down_proj.weight.detach(), 4)
    torch.testing.assert_close(U @ A, expected[1] @ expected[0], atol=2e-3, rtol=0)  # theirs is rounded


def test_an_adapter_of_a_4_bit_base_is_refused_by_its_16_bit_base(tmp_path):
    model, config = quantised(tmp_path), vblora.LoRAXSConfig(rank=4, targets=["q_proj", "down_proj"])
    shake(vblora.attach(model, config))
    vblora.save(model, tmp_path / "adapter")
    again = quantised(tmp_path)
    vblora.load(again, tmp_path / "adapter")
    assert torch.equal(again(tokens()).logits, model(tokens()).logits)
    with pytest.raises(vblora.AdapterFileError, match="trained on other base weights"):
        vblora.load(quantised(tmp_path, llm_int8_skip_modules=[".*"]), tmp_path / "adapter")
