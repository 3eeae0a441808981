"""Averages of the weights: what samples are made with, beside the weights that training moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from triptych.core import Model, Sampler
from triptych.models.batchnorm import assign, reestimate, statistics
from triptych.run.checkpoint import check_fit, part


class Averages:
    """Exponential moving averages of the sampling players' weights. With a decay of 0 there are none."""

    def __init__(self, model: Model, decay: float) -> None:
        self.model, self.decay = model, decay
        named = [(n, w) for n, w in model.named_parameters() if n.split(".")[0] in model.sampling] if decay else []
        self.names, self.parameters = [n for n, _ in named], [w for _, w in named]
        self.weights = [w.data for w in self.parameters]
        self.means = [w.clone() for w in self.weights]
        self.statistics: dict[str, Tensor] | None = None  # batch statistics of the averages, once somebody needed them

    def follow(self, step: int) -> None:
        """Move towards the weights after `step` steps; the decay rises with them, to forget the beginning."""
        if self.means:
            self.statistics = None
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.means, self.weights, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The averages, with batch statistics of their own, in place of the last weights, inside the context."""
        if not self.means or not isinstance(self.model, Sampler):
            yield
            return
        current = {k: b.clone() for k, b in statistics(self.model).items()}
        self._exchange()
        if self.statistics is None:
            reestimate(self.model)
            self.statistics = {k: b.clone() for k, b in statistics(self.model).items()}
        else:
            assign(self.model, self.statistics)
        try:
            yield
        finally:
            self._exchange()
            assign(self.model, current)

    def _exchange(self) -> None:
        for i, w in enumerate(self.parameters):
            w.data, self.means[i] = self.means[i], w.data
            self.weights[i] = w.data

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint: the averages, and the batch statistics that belong to them."""
        found = {f"ema/{k}": v for k, v in zip(self.names, self.means, strict=True)}
        if found and isinstance(self.model, Sampler):
            with self.in_use():
                found |= {f"ema-statistics/{k}": b.clone() for k, b in statistics(self.model).items()}
        return found

    def check(self, tensors: Mapping[str, Tensor], images: int) -> None:
        """UserError unless a checkpoint has these averages."""
        check_fit(part(tensors, "ema"), dict(zip(self.names, self.means, strict=True)), images, "the averages")

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """The averages of a checkpoint."""
        self.statistics = None
        for k, mean in part(tensors, "ema").items():
            self.means[self.names.index(k)].copy_(mean)
