"""The stream of real examples that training draws from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from triptych.core import Data, to_inner


class Batches:
    """Endless inner batches of one size, on the device, deterministic from the seed and resumable anywhere.

    A finite set is one stream of epochs, each a fresh permutation, so that every example comes exactly once an
    epoch and no batch is short. A toy set draws fresh points from its law.
    """

    def __init__(self, data: Data, batch: int, seed: int, device: torch.device, flip: bool = False) -> None:
        self.data, self.batch, self.seed, self.device, self.flip = data, batch, seed, device, flip
        self.drawn = 0
        self._generator = torch.Generator().manual_seed(seed)
        self._epoch, self._cursor = 0, 0
        if data.law is None:
            self._x = data.x.to(device)
            self._order = self._permutation(0)

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        self.drawn += self.batch
        if self.data.law is not None:
            return self.data.law.draw(self.batch, self._generator).to(self.device)
        x = to_inner(self._x.index_select(0, self._indices()))
        if self.flip:
            mirrored = torch.rand(len(x), 1, 1, 1, generator=self._generator).to(self.device) < 0.5
            x = torch.where(mirrored, x.flip(-1), x)
        return x

    def _permutation(self, epoch: int) -> Tensor:
        mixed = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self._x), generator=mixed).to(self.device)

    def _indices(self) -> Tensor:
        parts, wanted = [], self.batch
        while wanted:
            part = self._order[self._cursor : self._cursor + wanted]
            parts.append(part)
            wanted -= len(part)
            self._cursor += len(part)
            if self._cursor == len(self._order):
                self._epoch, self._cursor = self._epoch + 1, 0
                self._order = self._permutation(self._epoch)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, and the generator's state as a uint8 tensor."""
        return {
            "drawn": self.drawn,
            "epoch": self._epoch,
            "cursor": self._cursor,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn, self._epoch, self._cursor = state["drawn"], state["epoch"], state["cursor"]
        self._generator.set_state(state["generator"])
        if self.data.law is None:
            self._order = self._permutation(self._epoch)


def in_order(data: Data, batch: int, device: torch.device, limit: int | None = None) -> Iterator[Tensor]:
    """Inner batches of the first `limit` examples, once, in file order; the last may be short."""
    for part in data.x[:limit].split(batch):
        yield to_inner(part.to(device))
