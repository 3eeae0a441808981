"""One critic step with gradient penalty, 128-channel residual critic, batch 64: bfloat16 channels_last against float32.

The same objective on the same pictures: `WGANGP.critic`, backward and Adam. Ours is the project's net as the trainer
places it; the other is PyTorch's own layers in float32 NCHW. In turns; --processor-time counts one thread's processor
time, for a machine that has other work.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from adversarial_speed import plain_resnet
from common import auto_precision, in_turns, ratio, record
from torch import nn

from triptych.core import Data
from triptych.objectives.gan import WGANGP
from triptych.recipes import get
from triptych.system import device as runtime


def stepping(D: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> Callable[[], None]:
    weights = list(D.parameters())
    optimizer = torch.optim.Adam(weights, 2e-4, (0.0, 0.9), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        WGANGP().critic(D, real, fake).backward(inputs=weights)
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    args = parser.parse_args()
    if args.processor_time:
        torch.set_num_threads(1)
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    real, fake = (torch.rand(args.batch, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    recipe = get("wgan-gp-birds")
    model = recipe.model.build((3, 32, 32))
    precision = auto_precision(recipe, model, Data("noise", (127.5 * real + 127.5).byte()))
    model = runtime.place(model, device, precision)
    critic = model.players["critic"]
    ways = {"float32 NCHW": stepping(plain_resnet()[1], real, fake), "ours": stepping(critic, real, fake)}
    times = in_turns(ways, args.rounds, 1, time.process_time if args.processor_time else time.perf_counter)
    found = ratio(times["float32 NCHW"], times["ours"])
    slow, fast = (1000 * statistics.median(seconds) for seconds in times.values())
    record(
        "critic_step",
        f"one critic step with gradient penalty, 128-channel residual critic, batch {args.batch}, {precision}",
        "≥ 3 times float32 NCHW",
        f"{found['median']:.1f} times ({found['min']:.1f} to {found['max']:.1f}): {slow:.0f} ms against {fast:.0f} ms",
        found["median"] >= 3,
        {"seconds": times, "ratio": found, "clock": "processor" if args.processor_time else "wall"},
        "processor time of one thread, on a machine with other work" if args.processor_time else "",
    )


if __name__ == "__main__":
    main()
