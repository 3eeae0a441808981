"""Where the time of the five reference steps goes, and the least that their arithmetic would take here.

The limit is the step's floating-point operations over the fastest rate that this processor shows in its precision, a
large matrix product: what no kernel can beat. Beside it stand the shares of the profile by kind of operator. Processor
time of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import torch
from common import here, record
from speed_table import STEPS, reference
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

KINDS = {
    "products": ("conv", "mm", "mkldnn", "linear"),
    "layout and casts": ("copy_", "_to_copy", "contiguous", "clone", "cat"),
    "optimiser": ("adam",),
    "normalisation": ("batch_norm",),
}


def rate(precision: str) -> float:
    """Operations per second of a product of 1,024 × 1,024 matrices, the best of several."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(1024, 1024).to(kind), torch.randn(1024, 1024).to(kind)
    seconds = []
    for _ in range(20):
        began = time.process_time()
        a @ b
        seconds.append(time.process_time() - began)
    return 2 * 1024**3 / min(seconds)


def kind_of(operator: str) -> str:
    """The kind of an operator of the profile."""
    return next((kind for kind, parts in KINDS.items() if any(p in operator for p in parts)), "element-wise and rest")


def shares(step: object) -> dict[str, float]:
    """Share of a step's own processor time by kind of operator."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step()  # type: ignore[operator]
    spent = Counter[str]()
    for event in seen.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total
    return {kind: t / spent.total() for kind, t in spent.most_common()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rates = {precision: rate(precision) for precision in ("fp32", "bf16")}
    rows, told = {}, []
    for name in STEPS:
        for precision in rates:
            if precision == "bf16" and name == "wgan-gp-25gaussians":
                continue  # flows of vectors and small perceptrons stay in float32
            step = reference(name, precision)
            step()
            with FlopCounterMode(display=False) as counter:
                step()
            seconds = []
            for _ in range(args.rounds):
                began = time.process_time()
                step()
                seconds.append(time.process_time() - began)
            limit = counter.get_total_flops() / rates[precision]
            row = {"seconds": min(seconds), "limit": limit, "shares": shares(step)}
            rows[f"{name}, {precision}"] = row
            parts = ", ".join(f"{kind} {share:.0%}" for kind, share in row["shares"].items())
            told.append(
                f"{name} in {precision}: {1000 * row['seconds']:.0f} ms, limit {1000 * limit:.0f} ms "
                f"({limit / row['seconds']:.0%}); {parts}"
            )
            print(told[-1], flush=True)
    record(
        here("profile_steps"),
        "the five reference steps: time, the limit of their arithmetic, and where the time goes",
        "shown",
        "; ".join(told),
        None,
        {"rows": rows, "operations_per_second": rates, "clock": "processor time of one thread"},
    )


if __name__ == "__main__":
    main()
