import pytest
import torch

from vblora import VBLoRAError, admixture
from vblora.admixture import SELECTIONS, Rule, admix, admix_all, compose, select


def by_hand(logits, bank, k):
    """The definition, row by row in float64: softmax over all h after setting the rest to minus infinity."""
    logits, bank = logits.double(), bank.double()
    rows = []
    for row in logits:
        keep = row >= row.sort(descending=True).values[k - 1]
        weights = torch.where(keep, row, torch.tensor(-torch.inf, dtype=torch.float64)).softmax(0)
        rows.append(sum(weight * vector for weight, vector in zip(weights, bank, strict=True)))
    return torch.stack(rows)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_admix_is_its_definition(k):
    logits, bank = torch.randn(11, 7), torch.randn(7, 5)
    torch.testing.assert_close(
        admix(logits, bank, k).double(), by_hand(logits, bank, k), rtol=1e-5, atol=1e-6
    )


def test_admix_of_all_vectors_is_the_full_softmax():
    logits, bank = torch.randn(4, 6), torch.randn(6, 3)
    torch.testing.assert_close(admix(logits, bank, 6), admix_all(logits, bank))


def test_admix_gives_gradients_to_the_chosen_only():
    logits, bank = torch.randn(5, 9, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    admix(logits, bank, 2).pow(2).sum().backward()
    chosen = torch.zeros(5, 9, dtype=torch.bool).scatter(1, logits.topk(2).indices, True)
    assert (logits.grad[~chosen] == 0).all() and (logits.grad[chosen] != 0).all()
    assert (bank.grad[~chosen.any(0)] == 0).all()


def test_admix_gradients_equal_finite_differences():
    logits = torch.tensor([[3.0, 1.0, 2.0, -1.0]], dtype=torch.float64, requires_grad=True)
    bank = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, v: admix(p, v, 2), (logits, bank))


def test_top_one_gives_no_gradient_to_logits():
    logits, bank = torch.randn(5, 9, requires_grad=True), torch.randn(9, 4)
    admix(logits, bank, 1).sum().backward()
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("k", [0, -1, 5])
def test_impossible_topk_raises(k):
    with pytest.raises(VBLoRAError, match=f"topk {k} is outside 1..4"):
        admix(torch.randn(2, 4), torch.randn(4, 3), k)


def test_largest_weight_comes_first():
    _, weights = select(torch.randn(20, 9), 3)
    assert (weights.diff(dim=1) <= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(20))


def test_a_bank_of_another_size_raises():
    """Torch would accept nine vectors under ten logits; the shape types of the tests do not."""
    with pytest.raises(Exception, match="(?i)type-check|index"):
        admix(torch.randn(2, 10), torch.randn(9, 3), 2)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_inference_is_deterministic_and_plain(selection):
    logits, noise, bank = torch.randn(5, 9), torch.randn(5, 9), torch.randn(9, 4)
    composed = compose(selection, logits, noise, bank, Rule(2, 1 / 3), training=False)
    expected = admix_all(logits, bank) if selection == "all" else admix(logits, bank, 2)
    torch.testing.assert_close(composed, expected, rtol=0, atol=0)


def test_noisy_selection_adds_softplus_scaled_noise():
    logits, noise, bank = torch.randn(5, 9), torch.randn(5, 9), torch.randn(9, 4)
    torch.manual_seed(3)
    drawn = torch.randn(5, 9)
    torch.manual_seed(3)
    composed = admixture.admix_noisy(logits, noise, bank, 2)
    torch.testing.assert_close(composed, admix(logits + drawn * noise.exp().log1p(), bank, 2))


def test_noise_scale_is_trained():
    noise = torch.zeros(50, 9, requires_grad=True)
    admixture.admix_noisy(torch.randn(50, 9), noise, torch.randn(9, 4), 2).sum().backward()
    assert (noise.grad != 0).any()


def test_straight_through_gumbel_picks_one_vector_and_has_soft_gradients():
    logits, bank = torch.randn(5, 9, requires_grad=True), torch.randn(9, 4)
    composed = admixture.admix_gumbel(logits, bank, 1 / 3, straight_through=True)
    distance = (composed[:, None] - bank).abs().amax(-1)
    assert (distance.min(1).values < 1e-6).all()
    composed.sum().backward()
    assert (logits.grad != 0).sum() > 5


def test_gumbel_follows_the_softmax_of_the_logits():
    """Gumbel-max: the chance that a vector wins is its softmax probability."""
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0]).expand(20_000, 3)
    wins = admixture.admix_gumbel(logits, torch.eye(3), 1 / 3, straight_through=True).mean(0)
    torch.testing.assert_close(wins, logits[0].softmax(0), atol=0.015, rtol=0)
