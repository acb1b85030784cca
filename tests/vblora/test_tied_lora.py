import torch
from tiny_models import GPT2_ALL, ROBERTA_ALL, gpt2, roberta, shake

import vblora


def test_factors_are_the_formula():
    """ΔW = Λ_v B Λ_u A, d×d blocks for the feed-forward matrices, written out per site in a few lines.

    A mutation that made it fail: `repeat_interleave` in place of `repeat` for the wide outputs.
    """
    adapter = vblora.attach(roberta(), vblora.TiedLoRAConfig(rank=3, targets=ROBERTA_ALL))
    shake(adapter)
    d, offset = 32, 0
    assert adapter.A.shape == (3, d) and adapter.B.shape == (d, 3)
    for place, site in enumerate(adapter.sites):
        v = adapter.v[offset : offset + site.out_features]
        offset += site.out_features
        blocks = adapter.B @ torch.diag(adapter.u[place]) @ adapter.A  # (d, d)
        tiled = blocks.repeat(site.out_features // d, site.in_features // d)
        A, B = adapter.factors(site)
        torch.testing.assert_close(B @ A, torch.diag(v) @ tiled, atol=1e-6, rtol=1e-4)


def test_wider_outputs_use_the_pair_once_a_block():
    adapter = vblora.attach(gpt2(), vblora.TiedLoRAConfig(rank=2, targets=GPT2_ALL))
    assert adapter.width == 32
    assert {s.out_features for s in adapter.sites} == {32, 96, 128}


def test_all_four_parts_get_gradients():
    model = roberta()
    adapter = vblora.attach(model, vblora.TiedLoRAConfig(rank=2, targets=["query"]))
    shake(adapter)
    model(torch.tensor([[5, 6]])).logits.sum().backward()
    assert {name for name, p in adapter.named_parameters() if p.grad.abs().sum() > 0} == {"A", "B", "u", "v"}
