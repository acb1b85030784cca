"""How much was trained on, and how long that took: tokens of the steps so far, seconds without evaluation."""

import time

import numpy as np

from experiments.batches import EpochSampler


class Tokens:
    """How many tokens the first steps of a training had: a pure function of the order of examples.

    So no batch is looked at, nothing waits for a GPU, and a continued run counts as an unbroken one.
    """

    def __init__(self, sampler: EpochSampler) -> None:
        self.sampler, self._epoch = sampler, -1
        self._sums = np.zeros(1, dtype=np.int64)

    def until(self, step: int) -> int:
        """Tokens of the first `step` optimiser steps, padding left out."""
        lengths, size = self.sampler.lengths, self.sampler.batch_size
        epoch, inside = divmod(step, -(-len(lengths) // size))
        if inside and epoch != self._epoch:  # one epoch's sums are kept: its order costs more than a step
            self._epoch = epoch
            self._sums = np.concatenate([[0], np.cumsum(lengths[self.sampler.order(epoch)])])
        return epoch * int(lengths.sum()) + (int(self._sums[inside * size]) if inside else 0)


class Clock:
    """Seconds of training since they were last taken; what follows a step until `resume` does not count."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Count from now, from nothing."""
        self._since = self._until = time.perf_counter()
        self._before = 0.0

    def step(self) -> None:
        """There was training until now."""
        self._until = time.perf_counter()

    def resume(self) -> None:
        """Training goes on now; since the last step there was none."""
        self._before += self._until - self._since
        self._since = self._until = time.perf_counter()

    def take(self) -> float:
        """The seconds until the last step; from there on they are counted anew."""
        seconds = self._before + self._until - self._since
        self._before, self._since = 0.0, self._until
        return seconds
