"""The birds study on a GPU: critic steps and images a second, as one would write it by hand, and ours: eager, compiled,
recorded as a CUDA graph, and both.

By hand: fp16 autocast with a GradScaler, NCHW, `DataLoader` with workers and pinned memory, PyTorch's own layers,
real and fake scored apart. Ours: the trainer's whole step. Each side runs in its own process, in turns. The share of
the chip is arithmetic of a step (counted on the hand-written nets) over the bf16 matrix rate measured beside it.

Beside them: ours with PyTorch's own second gradient of a convolution, and with sums in any order. `--profile FILE`
lists the kernels that take longest. `--device cpu --batch 8 --steps 2` tries the script where there is no GPU, and
records nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from adversarial_speed import examples, plain_resnet
from common import ratio, record
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from triptych.core import Recipe
from triptych.data.batches import InOrder
from triptych.models.layers import conv_kernels
from triptych.recipes import get
from triptych.system import device as runtime
from triptych.trainer import compilation, loop, recorded
from triptych.trainer.precision import choose
from triptych.trainer.state import State

SIDES = ("by hand", "eager", "compiled", "recorded", "compiled, recorded")
PLAIN = ("eager, plain", "recorded, plain")
"""With PyTorch's own second gradient."""
FREE = "recorded, any order"
"""With kernels whose sums come in another order every time, which a resumed run could not repeat."""
VARIANTS = (*PLAIN, FREE)
BUDGET, CRITIC_STEPS = 30_000, 5
LENGTH = 5_902


def ours(recipe: Recipe, device: torch.device, side: str) -> tuple[Callable[[], None], str]:
    state, told = begun(recipe, device)
    torch.backends.cudnn.deterministic = side != FREE
    if "compiled" in side:
        batch = next(iter(InOrder(state.data, recipe.train.batch, device)))
        why_not = compilation.compile_players(state.model, recipe.objective, batch, told)
        told += ", compiled" if why_not is None else f", not compiled: {why_not}"
    if "recorded" in side:
        why_not = recorded.record(state) if device.type == "cuda" else "no GPU"
        told += ", recorded" if why_not is None else f", not recorded: {why_not}"
    return lambda: loop.step(state), told


def begun(recipe: Recipe, device: torch.device) -> tuple[State, str]:
    data = examples(recipe, LENGTH)
    model = recipe.model.build(data.shape)
    precision = choose(recipe, model, data, device).precision
    state = State(recipe, runtime.place(model, device, precision), data, None, 0)
    model.train()
    return state, precision


def by_hand(recipe: Recipe, device: torch.device) -> tuple[Callable[[], None], str]:
    x = examples(recipe, LENGTH).x.float() / 127.5 - 1
    G, D = (net.to(device) for net in plain_resnet())
    g, d = (torch.optim.Adam(p.parameters(), 2e-4, (0.0, 0.9)) for p in (G, D))
    half = device.type == "cuda"
    scalers = [torch.amp.GradScaler(device.type, enabled=half) for _ in range(2)]
    loader = DataLoader(
        TensorDataset(x),
        recipe.train.batch,
        shuffle=True,
        drop_last=True,
        num_workers=2 * half,
        pin_memory=half,
        persistent_workers=half,
    )

    def batches() -> Iterator[Tensor]:
        while True:
            for (real,) in loader:
                yield real.to(device, non_blocking=True)

    stream = batches()

    def mixed() -> Any:
        return torch.autocast(device.type, torch.float16 if half else torch.bfloat16)

    def step() -> None:
        for _ in range(CRITIC_STEPS):
            real = next(stream)
            with mixed():
                fake = G(torch.randn(len(real), 128, device=device)).detach().float()
                x = torch.lerp(fake, real, torch.rand(len(real), 1, 1, 1, device=device)).requires_grad_()
                between = D(x).sum()
            # PyTorch's own recipe for a penalty under mixed precision: the slope of the scaled score, scaled back
            (slope,) = torch.autograd.grad(scalers[0].scale(between), x, create_graph=True)
            slope = slope / scalers[0].get_scale()
            with mixed():
                penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
                loss = D(fake).mean() - D(real).mean() + 10 * penalty
            apply(scalers[0], d, loss)
        with mixed():
            loss = -D(G(torch.randn(len(real), 128, device=device))).mean()
        apply(scalers[1], g, loss)

    def apply(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step, "fp16 autocast" if half else "bf16 autocast"


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def prepared(side: str, recipe: Recipe, device: torch.device) -> tuple[Callable[[], None], str]:
    if side == "by hand":
        return by_hand(recipe, device)
    if side in PLAIN:
        mock.patch.object(conv_kernels, "has_own_derivatives", return_value=False).start()
    return ours(recipe, device, side)


def measured(side: str, recipe: Recipe, device: torch.device, steps: int, profile: str | None) -> dict[str, Any]:
    began = time.perf_counter()
    step, told = prepared(side, recipe, device)
    for _ in range(3):
        step()
    wait(device)
    first = time.perf_counter() - began
    blocks = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(steps):
            step()
        wait(device)
        blocks.append((time.perf_counter() - began) / steps)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    if profile:
        write_profile(step, device, f"{profile}-{side.replace(', ', '-').replace(' ', '-')}.txt")
    return {"told": told, "first_three": first, "seconds": blocks, "memory_gib": memory}


def write_profile(step: Callable[[], None], device: torch.device, file: str) -> None:
    """The kernels that take longest in two steps."""
    with torch.profiler.profile() as found:
        step()
        step()
        wait(device)
    order = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    table = found.key_averages().table(sort_by=order, row_limit=40, max_name_column_width=90)
    Path(file).write_text(table, encoding="utf-8")


def arithmetic(batch: int, device: torch.device) -> float:
    """Floating-point operations of five critic steps and one of the generator, forward and backward."""
    G, D = (net.to(device) for net in plain_resnet())
    real, z = torch.randn(batch, 3, 32, 32, device=device), torch.randn(batch, 128, device=device)
    with FlopCounterMode(display=False) as critic:
        fake = G(z).detach()
        x = fake.clone().requires_grad_() * 1.0  # the counter cannot follow a gradient asked of a leaf
        (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        (D(fake).mean() - D(real).mean() + slope.square().mean()).backward()
    with FlopCounterMode(display=False) as generator:
        D(G(z)).mean().backward()
    return CRITIC_STEPS * critic.get_total_flops() + generator.get_total_flops()


def matrix_rate(device: torch.device, side: int) -> float:
    """Operations a second of one large bf16 matrix product."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(12):
        began = time.perf_counter()
        a @ b
        wait(device)
        seconds.append(time.perf_counter() - began)
    return 2 * side**3 / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40, help="generator steps in each of five blocks")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sides", nargs="+", choices=(*SIDES, *VARIANTS), default=[*SIDES, *VARIANTS])
    parser.add_argument("--recipe", default="wgan-gp-birds", help="another than the study's is measured, not recorded")
    parser.add_argument("--profile", metavar="FILE", help="where lists of kernels go: FILE-SIDE.txt")
    parser.add_argument("--side", choices=(*SIDES, *VARIANTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    device, recipe = torch.device(args.device), get(args.recipe)
    recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, batch=args.batch))
    if args.side:
        print(json.dumps(measured(args.side, recipe, device, args.steps, args.profile)))
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in args.sides}
    for _ in range(args.rounds):
        for side, rows in found.items():
            said = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--side", side],
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            if said.returncode == 0:
                rows.append(json.loads(said.stdout.splitlines()[-1]))
            print(side, rows[-1] if said.returncode == 0 else "failed", flush=True)
    seconds = {side: [statistics.median(row["seconds"]) for row in rows] for side, rows in found.items() if rows}
    step = {side: statistics.median(values) for side, values in seconds.items()}
    if device.type != "cuda" or args.recipe != "wgan-gp-birds" or not set(SIDES) <= step.keys():
        print({side: round(s, 5) for side, s in step.items()})
        return
    best = min(SIDES[1:], key=step.__getitem__)
    rate, work = matrix_rate(device, 8192 if device.type == "cuda" else 512), arithmetic(args.batch, device)
    times = ratio(seconds["by hand"], seconds[best])
    minutes = step[best] * BUDGET / CRITIC_STEPS / 60
    shares = {side: work / s / rate for side, s in step.items()}
    rates = ", ".join(
        f"{side} {CRITIC_STEPS / s:.0f} critic steps/s ({CRITIC_STEPS * args.batch / s:,.0f} images/s, "
        f"{100 * shares[side]:.1f} % of the chip)"
        for side, s in step.items()
    )
    record(
        "gpu_speed",
        f"wgan-gp-birds on a GPU ({torch.cuda.get_device_name()}), batch {args.batch}, the trainer's whole step",
        "≥ 3 times the ordinary way; 30,000 critic steps in ≤ 5 minutes",
        f"{times['median']:.1f} times ({times['min']:.1f} to {times['max']:.1f}), {best}; {minutes:.1f} min for "
        f"30,000 critic steps without evaluation; {rates}",
        times["median"] >= 3 and minutes <= 5,
        {"sides": found, "ratio": times, "flop_per_step": work, "matrix_rate": rate, "shares": shares},
        made={"processor": torch.cuda.get_device_name()},
    )


if __name__ == "__main__":
    main()
