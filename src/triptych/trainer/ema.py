"""Averages of the weights: what samples are made with, beside the weights that training moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from triptych.core import Model, Sampler
from triptych.models import batchnorm


class Averages:
    """Exponential moving averages of the sampling players' weights. With a decay of 0 there are none."""

    def __init__(self, model: Model, decay: float) -> None:
        self.model, self.decay = model, decay
        named = [(n, w) for n, w in model.named_parameters() if n.split(".")[0] in model.sampling] if decay else []
        self.names, self.parameters = [n for n, _ in named], [w for _, w in named]
        self.weights = [w.data for w in self.parameters]
        self.means = [w.clone() for w in self.weights]
        self.statistics: dict[str, Tensor] | None = None
        """Batch statistics of the averages, from `reestimate` to the next `update`."""

    def update(self, step: int) -> None:
        """Move towards the weights after `step` steps; the decay rises with them, to forget the beginning."""
        if self.means:
            self.statistics = None
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.means, self.weights, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    def reestimate(self) -> None:
        """Make the batch statistics that belong to the averages, where there are none yet since the last `update`.

        It runs the sampling players and leaves them, and every random generator, as they were.
        """
        if self.statistics is None and self.means and isinstance(self.model, Sampler):
            with self._exchanged(self.model):
                batchnorm.reestimate(self.model)
                self.statistics = _copied(batchnorm.statistics(self.model))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the context: the averages, with batch statistics of their own, in place of the last weights."""
        self.reestimate()
        if self.statistics is None or not isinstance(self.model, Sampler):
            yield
            return
        with self._exchanged(self.model):
            batchnorm.assign(self.model, self.statistics)
            yield

    @contextmanager
    def _exchanged(self, model: Sampler) -> Iterator[None]:
        """Weights and averages change places; afterwards the batch statistics are those of before."""
        current = _copied(batchnorm.statistics(model))
        self._exchange()
        try:
            yield
        finally:
            self._exchange()
            batchnorm.assign(model, current)

    def _exchange(self) -> None:
        for i, w in enumerate(self.parameters):
            w.data, self.means[i] = self.means[i], w.data
            self.weights[i] = w.data

    def named(self) -> dict[str, Tensor]:
        """The averages by the names of their weights: the very tensors."""
        return dict(zip(self.names, self.means, strict=True))

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Take up saved averages, by the names of their weights."""
        self.statistics = None
        for name, mean in self.named().items():
            mean.copy_(saved[name])


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in tensors.items()}
