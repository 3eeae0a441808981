"""Exact pairing of two equally large sets of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assignment(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row in a cheapest one-to-one pairing of a square cost matrix.

    Rows are added one by one along shortest augmenting paths in the reduced costs c − u − v, which stay ≥ 0 and are
    0 on the pairs (Jonker and Volgenant 1987). A first greedy pass matches most rows for nothing.
    """
    n = len(cost)
    v = cost.min(0)
    u = (cost - v).min(1)
    row_of, column_of = np.full(n, -1), np.full(n, -1)
    for i, j in enumerate((cost - v).argmin(1)):
        if row_of[j] < 0:
            row_of[j], column_of[i] = i, j
    for start in np.flatnonzero(column_of < 0):
        distance = np.full(n, np.inf)
        before = np.full(n, -1)
        left = np.ones(n, dtype=bool)
        open_distance = np.full(n, np.inf)
        done: list[int] = []
        i, reached = int(start), 0.0
        while True:
            through = cost[i] - v
            through += reached - u[i]
            closer = left & (through < distance)
            distance[closer] = through[closer]
            open_distance[closer] = through[closer]
            before[closer] = i
            j = int(open_distance.argmin())
            reached = float(open_distance[j])
            left[j] = False
            open_distance[j] = np.inf
            if row_of[j] < 0:
                break
            done.append(j)
            i = int(row_of[j])
        u[start] += reached
        ended = np.array(done, dtype=np.int64)
        u[row_of[ended]] += reached - distance[ended]
        v[ended] -= reached - distance[ended]
        while True:
            i = int(before[j])
            row_of[j] = i
            column_of[i], j = j, int(column_of[i])
            if i == start:
                break
    return column_of
