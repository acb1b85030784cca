import torch
from tiny_models import LLAMA_ALL, llama, roberta

import vblora
from vblora.admixture import admix
from vblora.bank import num_tiles
from vblora.sites import Site


def attached(model, **settings):
    config = vblora.VBLoRAConfig(rank=3, num_vectors=7, vector_length=16, init_bank_bound=1.0, **settings)
    return vblora.attach(model, config)


def test_start_values_have_the_published_distributions():
    config = vblora.VBLoRAConfig(rank=4, num_vectors=90, vector_length=32, targets=["query", "value"])
    bank = vblora.attach(roberta(), config).bank
    assert bank.vectors.abs().max() <= 0.02 and abs(bank.vectors.std() - 0.02 / 3**0.5) < 1e-3
    assert abs(bank.logits.std() - 0.01) < 1e-3 and abs(bank.logits.mean()) < 1e-3


def test_one_tensor_of_logits_holds_every_subvector_of_the_model():
    adapter = attached(llama(), targets=LLAMA_ALL)
    rows = sum(3 * (num_tiles(s.in_features, 16) + num_tiles(s.out_features, 16)) for s in adapter.sites)
    assert adapter.bank.logits.shape == (rows, 7)


def test_factors_of_a_site_are_its_own_logits_mixed():
    """Row ρ of A and column ρ of B are their tiles in a line, for every site of every shape."""
    adapter = attached(llama(), targets=LLAMA_ALL)
    for site in adapter.sites:
        A, B = adapter.factors(site)
        logits_A, logits_B = adapter.site_logits(site)
        torch.testing.assert_close(A, admix(logits_A, adapter.bank.vectors, 2).flatten(1))
        torch.testing.assert_close(B, admix(logits_B, adapter.bank.vectors, 2).flatten(1).T)


def test_no_two_sites_share_a_row_of_logits():
    adapter = attached(llama(), targets=LLAMA_ALL)
    with torch.no_grad():
        adapter.bank.logits[:, 0] = torch.arange(adapter.bank.logits.shape[0])
    rows = torch.cat([part[..., 0].flatten() for site in adapter.sites for part in adapter.site_logits(site)])
    assert sorted(rows.tolist()) == list(range(adapter.bank.logits.shape[0]))


def test_a_length_that_does_not_divide_cuts_the_last_tile_off():
    config = vblora.VBLoRAConfig(
        rank=2, num_vectors=5, vector_length=24, targets=["query", "intermediate.dense"]
    )
    model = roberta()
    adapter = vblora.attach(model, config)
    for site in adapter.sites:
        A, B = adapter.factors(site)
        assert A.shape == (2, site.in_features) and B.shape == (site.out_features, 2)
        full = admix(adapter.site_logits(site)[0], adapter.bank.vectors, 2).flatten(1)
        torch.testing.assert_close(A, full[:, : site.in_features])


def test_composing_at_once_equals_composing_layer_by_layer_in_gradients_too():
    adapter = attached(llama(), targets=LLAMA_ALL)
    weights = [(torch.randn(3, s.in_features), torch.randn(s.out_features, 3)) for s in adapter.sites]

    def loss(factors):
        return sum((A * wA).sum() + (B * wB).sum() for (A, B), (wA, wB) in zip(factors, weights, strict=True))

    loss([adapter.factors(site) for site in adapter.sites]).backward()
    batched = [p.grad.clone() for p in adapter.parameters()]
    adapter.zero_grad()
    alone = []
    for site in adapter.sites:
        A, B = (admix(part, adapter.bank.vectors, 2).flatten(1) for part in adapter.site_logits(site))
        alone.append((A, B.T))
    loss(alone).backward()
    for ours, theirs in zip(batched, [p.grad for p in adapter.parameters()], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_sites_given_in_any_order_keep_their_place():
    sites = [Site("a", 8, 8), Site("b", 8, 16), Site("c", 8, 8)]
    layout = vblora.bank.Layout(sites, rank=1, vector_length=8)
    composed = torch.arange(layout.num_rows * 8.0).view(-1, 8)
    pairs = [layout.factors(composed).pair(place) for place in range(3)]
    assert [(A.shape[1], B.shape[0]) for A, B in pairs] == [(8, 8), (8, 16), (8, 8)]
