"""Inception throughput: as the packages run it, folded and channels_last, bfloat16; and what bfloat16 does to FID."""

from __future__ import annotations

import statistics
import sys
import time

import torch
from common import in_turns, ratio, record
from metrics_parity import random_net

from triptych.metrics import frechet_from_features

BATCH = 32


def main() -> None:
    plain = random_net()
    exact, fast = plain.optimised(), plain.optimised(torch.bfloat16)
    x = torch.randint(0, 256, (BATCH, 3, 32, 32), dtype=torch.uint8)
    processor_time = "--processor-time" in sys.argv  # on a busy machine: all threads' seconds, waiting left out
    times = in_turns(
        {"plain": lambda: plain(x), "exact": lambda: exact(x), "bf16": lambda: fast(x)},
        rounds=3,
        now=time.process_time if processor_time else time.perf_counter,
    )
    want = plain(x)["features"]
    off = {
        n: ((f(x)["features"] - want).abs().max() / want.abs().max()).item()
        for n, f in (("exact", exact), ("bf16", fast))
    }
    speed = {k: BATCH / statistics.median(v) for k, v in times.items()}
    g = torch.Generator().manual_seed(1)
    smooth = torch.nn.functional.interpolate(torch.rand(2, 96, 3, 8, 8, generator=g).flatten(0, 1), 32, mode="bicubic")
    smooth = smooth.mul(255).clamp(0, 255).byte()
    smooth[96:] = smooth[96:] // 2 + 40
    fids = {}
    for name, net in (("exact", exact), ("bf16", fast)):
        f = torch.cat([net(part)["features"] for part in smooth.split(BATCH)])
        fids[name] = frechet_from_features(f[:96], f[96:])
    drift = fids["bf16"] / fids["exact"] - 1
    by_exact, by_bf16 = ratio(times["plain"], times["exact"])["median"], ratio(times["plain"], times["bf16"])["median"]
    record(
        "inception_speed",
        "Inception features faster than the packages make them",
        "fp32 ≥ 1.6× with the same values to 1e-6; bf16 ≥ 5×, its drift recorded",
        f"fp32 {by_exact:.2f}× ({speed['exact']:.1f} images/s, off by {off['exact']:.0e}), bf16 {by_bf16:.2f}× "
        f"({speed['bf16']:.1f} images/s, FID off by {drift:+.1%})",
        by_exact >= 1.6 and off["exact"] <= 1e-6 and by_bf16 >= 5,
        {"seconds": times, "images_per_second": speed, "relative_difference": off, "fid": fids, "batch": BATCH},
        "Random weights, 32-pixel inputs, the resize included; FID drift on 2 × 96 smooth pictures."
        + (" Seconds of processor time over all threads, on a busy machine." if processor_time else ""),
    )


if __name__ == "__main__":
    main()
