"""Random numbers that are of a row alone: the same row has the same, whatever table it stands in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class RowNoise:
    """Uniform numbers in [0, 1) by a hash of each row's values: Steele, Lea and Flood 2014, "Fast splittable
    pseudorandom number generators" (SplitMix64), with the row's hash as its seed."""

    def __init__(self, values: Sequence[np.ndarray]) -> None:
        rows = np.column_stack(values).astype(np.float64)
        rows[np.isnan(rows)] = np.nan  # one of the many there are
        rows += 0.0  # and no negative zero
        marks = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
        self.state = np.frombuffer(b"".join(marks), np.uint64).copy()

    def random(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """The next numbers of each row, of a shape that begins with the number of rows."""
        shape = (shape,) if isinstance(shape, int) else shape
        if not math.prod(shape):
            return np.zeros(shape)
        steps = np.arange(1, math.prod(shape[1:]) + 1, dtype=np.uint64) * GOLDEN
        z = self.state[:, None] + steps
        self.state = z[:, -1].copy()
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).reshape(shape) * 2.0**-53
