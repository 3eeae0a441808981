"""Where the time of the five reference steps goes, and the least that their arithmetic would take here.

The limit is the step's floating-point operations over the fastest rate that this processor shows in its precision, in
a large matrix product or convolution: what no kernel can beat. Beside it stand the shares of the profile by kind of
operator. Processor time of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from common import here, record
from speed_table import STEPS, reference
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

KINDS = {
    "products": ("conv", "mm", "mkldnn", "linear"),
    "layout and casts": ("copy_", "_to_copy", "contiguous", "clone", "cat"),
    "optimiser": ("adam",),
    "normalisation": ("batch_norm",),
}


class Operations(TorchDispatchMode):
    """Counts floating-point operations. PyTorch's own counter follows modules by hooks, which a penalty cannot have."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def rate(precision: str) -> float:
    """The most operations per second that this processor shows: in a large matrix product or a large convolution.

    They are different libraries' kernels, and which is the faster one depends on the processor.
    """
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(1024, 1024).to(kind), torch.randn(1024, 1024).to(kind)
    x = torch.randn(64, 256, 16, 16).to(kind).contiguous(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3).to(kind).contiguous(memory_format=torch.channels_last)

    def best(work: Callable[[], object], operations: float) -> float:
        seconds = []
        for _ in range(20):
            began = time.process_time()
            work()
            seconds.append(time.process_time() - began)
        return operations / min(seconds)

    with torch.no_grad():
        return max(
            best(lambda: a @ b, 2 * 1024**3),
            best(lambda: torch.conv2d(x, w, padding=1), 2 * x.numel() * 256 * 9),
        )


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
            with Operations() as counter:
                step()
            seconds = []
            for _ in range(args.rounds):
                began = time.process_time()
                step()
                seconds.append(time.process_time() - began)
            limit = counter.total / rates[precision]
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
