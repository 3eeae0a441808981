"""Float32 matrix products of PyTorch's and of oneDNN, by shape: what `models/layers/linear.py` chooses between.

The forward product, and forward and backward together through `F.linear` and through the layer's own function, whose
detour counts. Processor time of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from common import here, in_turns, record

from triptych.models.layers import linear as module
from triptych.system.processor import of_processor

SHAPES = [
    # rows, inputs, outputs
    (256, 2, 128),
    (256, 128, 128),
    (512, 64, 64),
    (512, 512, 512),
    (100, 784, 200),
    (4096, 1, 64),
    (4096, 8, 64),
    (4096, 64, 64),
    (4096, 64, 23),
    (4096, 64, 184),
    (256, 4096, 2048),
    (256, 1024, 4096),
]


def ways(n: int, i: int, o: int) -> dict[str, Callable[[], object]]:
    """Each product of that shape, repeated for a millisecond or so."""
    x, w, bias = (torch.randn(*shape, requires_grad=True) for shape in ((n, i), (o, i), (o,)))
    g, repeats = torch.randn(n, o), max(1, 2**24 // (n * i * o))

    def forward(product: Callable[..., Any]) -> None:
        with torch.no_grad():
            for _ in range(repeats):
                product(x, w, bias)

    def whole(product: Callable[..., Any]) -> None:
        for _ in range(repeats):
            torch.autograd.grad(product(x, w, bias), (x, w, bias), g)

    return {
        "forward, PyTorch": lambda: forward(F.linear),
        "forward, oneDNN": lambda: forward(module.product),
        "both ways, PyTorch": lambda: whole(F.linear),
        "both ways, chosen": lambda: whole(module.linear),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, told = {}, []
    with mock.patch.object(module, "is_faster", return_value=torch.backends.mkldnn.is_available()):
        for shape in SHAPES:
            times = in_turns(ways(*shape), args.rounds, 2, time.process_time)
            least = {name: min(seconds) for name, seconds in times.items()}
            forward = least["forward, PyTorch"] / least["forward, oneDNN"]
            both = least["both ways, PyTorch"] / least["both ways, chosen"]
            name = "×".join(map(str, shape))
            rows[name] = {
                "seconds": {k: statistics.median(v) for k, v in times.items()},
                "forward": forward,
                "both": both,
            }
            told.append(f"{name} {forward:.1f}× forward, {both:.2f}× both ways")
            print(told[-1], flush=True)
    taken = module.is_faster()
    record(
        here("linear_paths"),
        f"float32 products x wᵀ, rows × inputs × outputs: oneDNN's against PyTorch's, {of_processor().words}",
        "oneDNN's is taken where it is faster",
        f"{'taken here' if taken else 'not taken here'}; oneDNN is so many times as fast: " + "; ".join(told),
        all(row["both"] > 0.97 for row in rows.values()) if taken else None,
        {"rows": rows, "least": module.LEAST, "clock": "processor time of one thread"},
    )


if __name__ == "__main__":
    main()
