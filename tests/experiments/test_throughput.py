import numpy as np
import pytest

from experiments import throughput
from experiments.batches import EpochSampler
from experiments.throughput import Clock, Tokens

LENGTHS = np.array([3, 7, 5, 9, 4, 6, 8])


@pytest.mark.parametrize("group", [True, False])
def test_tokens_are_those_of_the_batches_that_the_sampler_gives(group: bool) -> None:
    sampler, size = EpochSampler(LENGTHS, 3, seed=1, group=group), 3
    tokens, total, step = Tokens(sampler), 0, 0
    assert tokens.until(0) == 0
    for epoch in range(3):
        sampler.epoch = epoch
        rows = list(sampler)
        for start in range(0, len(rows), size):
            total, step = total + int(LENGTHS[rows[start : start + size]].sum()), step + 1
            assert tokens.until(step) == total
    assert Tokens(sampler).until(4) == tokens.until(4), "a continued run counts as an unbroken one"
    assert total == 3 * LENGTHS.sum()


def test_clock_leaves_out_what_follows_a_step_until_training_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now)
    clock = Clock()
    now = 2.0
    clock.step()
    now = 10.0  # an evaluation of 8 seconds
    clock.resume()
    now = 13.0
    clock.step()
    now = 14.0  # logging counts into the next interval
    assert clock.take() == 2.0 + 3.0
    now = 15.0
    clock.step()
    assert clock.take() == 2.0
