"""The k largest by maxima are those of `torch.topk`, the independent source."""

import pytest
import torch

from vblora.selection import BLOCK, LONG_ROW, MOST_ROUNDS, largest

WIDTHS = [1, 4, 90, LONG_ROW - 1, LONG_ROW, LONG_ROW + 1, 350, 2048 + BLOCK - 1]


# Fails if a block that is cut off by the row's end is left out.
@pytest.mark.parametrize("k", [1, 2, 3, MOST_ROUNDS, MOST_ROUNDS + 2])
@pytest.mark.parametrize("width", WIDTHS)
def test_columns_are_those_of_topk(width, k):
    rows = torch.randn(200, width, generator=torch.Generator().manual_seed(width + k))
    before = rows.clone()
    if k <= width:
        assert torch.equal(largest(rows, k), rows.topk(k, dim=-1).indices)
    assert torch.equal(rows, before)


def test_leading_dimensions_stay():
    rows = torch.randn(3, 2, 5, 300)
    assert torch.equal(largest(rows, 2), rows.topk(2, dim=-1).indices)


# Fails if a maximum is marked by its value instead of its column.
@pytest.mark.parametrize("width", [6, 300])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_equal_values_give_different_columns(width, k):
    rows = torch.zeros(50, width)
    rows[:, width // 2] = -1.0
    columns = largest(rows, k)
    assert all(len(set(row)) == k for row in columns.tolist())
    assert torch.equal(rows.gather(1, columns), torch.zeros(50, k))


@pytest.mark.parametrize("width", [6, 300])
def test_minus_infinity_is_chosen_last(width):
    """As in logits that PEFT makes of a top-k file: all but k are minus infinity."""
    rows = torch.full((4, width), -torch.inf)
    rows[:, 3], rows[:, width - 1] = 1.0, 2.0
    assert largest(rows, 2).tolist() == [[width - 1, 3]] * 4


@pytest.mark.parametrize("width", [6, 300])
def test_not_a_number_is_chosen_first(width):
    """So that it reaches the loss instead of being passed over."""
    rows = torch.randn(4, width)
    rows[2, 5] = torch.nan
    assert largest(rows, 2)[2, 0] == 5
