"""Seconds of 64 samples of the continuous flows at 32 px, Heun with 8 steps, in float32 and as loaded runs make them.

Weights are random: time does not depend on them. Ways take turns: in processor time on one thread, by the clock on the
wall on several. Beside them stands bfloat16 by autocast, as it was before networks had a form for samples.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from common import in_turns, record

from triptych import recipes
from triptych.core import Sampler
from triptych.core.model import Stepwise
from triptych.models.build import build
from triptych.models.layers import inference
from triptych.system.device import place
from triptych.system.processor import of_processor

RECIPES = ("lcfm-cifar10", "cfm-cifar10-quick", "cfm-cifar10")
SAMPLES, SECONDS = 64, 3.0


def seconds(name: str, rounds: int) -> dict[str, list[float]]:
    model = place(build(recipes.get(name).model, (3, 32, 32)), torch.device("cpu"), "fp32").eval()
    assert isinstance(model, Sampler)
    assert isinstance(model, Stepwise)

    def made(*, brief: bool) -> None:
        model.brief = brief
        model.sample(SAMPLES, seed=0)

    def as_before() -> None:
        with mock.patch.object(inference, "available", return_value=False):
            made(brief=True)

    ways: dict[str, Callable[[], object]] = {"float32": lambda: made(brief=False)}
    if of_processor().bfloat16:
        ways |= {"bfloat16": lambda: made(brief=True), "bfloat16 by autocast": as_before}
    return in_turns(ways, rounds, now=time.process_time if torch.get_num_threads() == 1 else time.perf_counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows: dict[str, Any] = {}
    for name in RECIPES:
        rows[name] = seconds(name, args.rounds)
        print(name, rows[name], flush=True)
    least = {name: {way: min(times) for way, times in row.items()} for name, row in rows.items()}
    middle = {name: {way: statistics.median(times) for way, times in row.items()} for name, row in rows.items()}
    clock = "processor seconds of one thread" if args.threads == 1 else f"seconds on {args.threads} threads"
    record(
        "flow-samples",
        f"{SAMPLES} samples at 32 px with Heun-8 (16 passes)",
        f"≤ {SECONDS:g} s on two plain cores",
        f"{clock}: "
        + "; ".join(f"{n} " + ", ".join(f"{t:.2f} in {way}" for way, t in row.items()) for n, row in middle.items()),
        all(min(row.values()) <= SECONDS for row in middle.values()),
        {"seconds": rows, "least": least, "median": middle},
        args.note,
    )


if __name__ == "__main__":
    main()
