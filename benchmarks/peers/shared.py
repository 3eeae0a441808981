"""What every peer's script shares, in the peer's own environment: pictures in, a clock, samples out.

    python SCRIPT.py pictures.npy samples.npy --minutes 20 --seed 0 -n 5000

Pictures and samples are uint8 (n, c, h, w). Beside the samples goes a JSON file of the same name: processor seconds of
training, pictures shown, parameters, versions.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Task:
    """One training of a peer: its pictures in [-1, 1], batch by batch until the time is over, then its samples."""

    def __init__(self, package: str, about: str, batch: int) -> None:
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("pictures", type=Path)
        parser.add_argument("samples", type=Path)
        parser.add_argument("--minutes", type=float, default=20.0)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("-n", type=int, default=5_000)
        self.asked = parser.parse_args()
        self.package, self.batch = package, batch
        torch.manual_seed(self.asked.seed)
        self.pictures = torch.from_numpy(np.load(self.asked.pictures))
        self.seconds = 0.0
        self.shown = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        _, c, h, w = self.pictures.shape
        return c, h, w

    def batches(self) -> Iterator[Tensor]:
        """Shuffled batches in [-1, 1], until the minutes are over."""
        began = time.process_time()  # of every thread: minutes of this program are counted so, too
        while True:
            for rows in torch.randperm(len(self.pictures)).split(self.batch):
                if len(rows) < self.batch:
                    continue
                self.seconds = time.process_time() - began
                if self.seconds > 60 * self.asked.minutes:
                    return
                self.shown += len(rows)
                yield self.pictures[rows].float() / 127.5 - 1

    def finish(self, model: torch.nn.Module, draw: Callable[[int], Tensor], batch: int = 250) -> None:
        """Write samples of [-1, 1] by `draw`, and what it took."""
        torch.manual_seed(self.asked.seed + 1)
        began, parts = time.monotonic(), []
        with torch.no_grad():
            while sum(map(len, parts)) < self.asked.n:
                parts.append(draw(min(batch, self.asked.n - sum(map(len, parts)))).cpu())
        x = torch.cat(parts)
        finite = torch.isfinite(x).flatten(1).all(1)
        told = {
            "package": self.package,
            "version": version(self.package),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "seconds": round(self.seconds, 1),
            "sampling_seconds": round(time.monotonic() - began, 1),
            "images": self.shown,
            "parameters": sum(w.numel() for w in model.parameters()),
            "not_finite": int((~finite).sum()),
        }
        levels = ((x[finite].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        np.save(self.asked.samples, levels.numpy())
        self.asked.samples.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


class Averages:
    """Averages of a network's weights, in a copy of it."""

    def __init__(self, network: torch.nn.Module, copy: torch.nn.Module, decay: float) -> None:
        self.network, self.copy, self.decay = network, copy, decay
        copy.load_state_dict(network.state_dict())
        copy.requires_grad_(requires_grad=False)
        self.step = 0

    @torch.no_grad()
    def update(self) -> None:
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        for mean, w in zip(self.copy.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(w, 1 - decay)
        for mean, w in zip(self.copy.buffers(), self.network.buffers(), strict=True):
            mean.copy_(w)
