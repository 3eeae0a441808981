"""Peak memory of precision, recall, density and coverage at 50,000 against 50,000."""

from __future__ import annotations

import resource
import sys
import time

import torch
from common import record

from triptych.metrics.neighbours import prdc


def main(n: int = 50_000, d: int = 512) -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, d, generator=g), torch.randn(n, d, generator=g)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    began = time.perf_counter()
    prdc(x, y)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    at_2048 = peak + 2 * n * (2048 - d) * 4 / 2**30
    record(
        "prdc_memory",
        f"PRDC of {n:,} against {n:,} examples",
        "peak memory of the whole process < 2 GB",
        f"{peak:.2f} GiB at {d} features in {seconds:.0f} s ({before:.2f} GiB before the call); with features of "
        f"2048 numbers it would be {at_2048:.2f} GiB",
        at_2048 < 2 * 10**9 / 2**30,
        {"n": n, "d": d, "peak_gib": peak, "before_gib": before, "seconds": seconds, "at_2048_gib": at_2048},
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
