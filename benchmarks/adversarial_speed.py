"""Whole training steps of the birds WGAN-GP and of the 64 px DCGAN against an ordinary loop of the same nets.

Ordinary: float32, NCHW, `DataLoader` over a `TensorDataset`, real and fake scored in separate calls, PyTorch's own
layers, `torch.optim.Adam`. Ours: the trainer's own step, data and averaged weights included. Each side runs in its own
process, in turns, since the memory settings of one would serve the other.

`--fp32` keeps ours in float32, for those whose processor has no bfloat16. `--processor-time` measures one thread's
processor time instead of the clock on the wall, once: for a machine that has other work. It tells less: a busy
machine's memory is busy too.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F
from common import auto_precision, here, ratio, record
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from triptych.core import Data, Recipe, encode
from triptych.recipes import get
from triptych.system.processor import AMX, of_processor

BUSY, FP32 = "--processor-time" in sys.argv, "--fp32" in sys.argv
ROUNDS, STEPS = 1 if BUSY or "--quick" in sys.argv else 3, 2
CASES = {
    "birds": ("wgan-gp-birds", 64, 5, "five critic + one generator step, birds WGAN-GP, batch 64"),
    "dcgan": ("gan-mnist64", 128, 1, "one step of both players, DCGAN 64×64, batch 128"),
}
TARGETS = {"birds": {"amx": 5.5, "plain": 3.5, "fp32": 1.8}, "dcgan": {"amx": 5.5, "plain": 3.2, "fp32": 1.6}}
"""With matrix units, without them, and in float32 on either."""


def examples(recipe: Recipe, n: int) -> Data:
    """Noise in the shape of the recipe's data: speed does not depend on what the pictures show."""
    side, channels = recipe.data.resolution or 28, 1 if recipe.data.name == "mnist" else 3
    return Data(recipe.data.name, torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8), fingerprint="0")


def ours(recipe: Recipe) -> list[float]:
    """Seconds of each of the trainer's steps."""
    from triptych.system import device as runtime
    from triptych.trainer.loop import step
    from triptych.trainer.state import State

    recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, ema=0.999))
    data, device = examples(recipe, 2_000), torch.device("cpu")
    model = recipe.model.build(data.shape)
    precision = "fp32" if FP32 else auto_precision(recipe, model, data)
    state = State(recipe, runtime.place(model, device, precision), data, None, 0)
    model.train()
    return timed(lambda: step(state))


def ordinary(recipe: Recipe, n_critic: int) -> list[float]:
    """Seconds of each step of the loop one would write by hand."""
    data = examples(recipe, 2_000)
    x = data.x.float() / 127.5 - 1
    G, D = plain_resnet() if n_critic > 1 else plain_dcgan()
    g, d = (torch.optim.Adam(p.parameters(), 2e-4, (0.0, 0.9)) for p in (G, D))
    latent = 128 if n_critic > 1 else 10

    def batches() -> Any:
        while True:
            for (real,) in DataLoader(TensorDataset(x), recipe.train.batch, shuffle=True, drop_last=True):
                yield real

    stream = batches()

    def step() -> None:
        for _ in range(n_critic):
            real = next(stream)
            fake = G(torch.randn(len(real), latent)).detach()
            if n_critic > 1:
                mixed = torch.lerp(fake, real, torch.rand(len(real), 1, 1, 1)).requires_grad_()
                (slope,) = torch.autograd.grad(D(mixed).sum(), mixed, create_graph=True)
                penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
                loss = D(fake).mean() - D(real).mean() + 10 * penalty
            else:
                loss = (bce(D(real), 1.0) + bce(D(fake), 0.0)) / 2
            d.zero_grad()
            loss.backward()
            d.step()
        fake = G(torch.randn(len(real), latent))
        loss = -D(fake).mean() if n_critic > 1 else bce(D(fake), 1.0)
        g.zero_grad()
        loss.backward()
        g.step()

    return timed(step)


def timed(step: Any) -> list[float]:
    now, steps = (time.process_time, 1) if BUSY else (time.perf_counter, STEPS)
    step()
    seconds = []
    for _ in range(steps):
        began = now()
        step()
        seconds.append(now() - began)
    return seconds


def bce(scores: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


class Residual(nn.Module):
    """A body and a shortcut, added."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def plain_resnet(n: int = 128) -> tuple[nn.Module, nn.Module]:
    """The birds pair as PyTorch's layers give it."""

    def conv(i: int, o: int, k: int = 3, bias: bool = True) -> nn.Module:
        return nn.Conv2d(i, o, k, padding=k // 2, bias=bias)

    def up() -> nn.Module:
        body = [
            nn.BatchNorm2d(n),
            nn.ReLU(),
            conv(n, n, bias=False),
            nn.BatchNorm2d(n),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
        ]
        return Residual(nn.Sequential(*body, conv(n, n)), nn.Sequential(nn.Upsample(scale_factor=2), conv(n, n, 1)))

    def down(i: int) -> nn.Module:
        body = nn.Sequential(nn.ReLU(), conv(i, n), nn.ReLU(), nn.AvgPool2d(2), conv(n, n))
        return Residual(body, nn.Sequential(nn.AvgPool2d(2), conv(i, n, 1)))

    def level() -> nn.Module:
        return Residual(nn.Sequential(nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n)), nn.Identity())

    head = [nn.Linear(128, 16 * n), nn.Unflatten(1, (n, 4, 4))]
    G = nn.Sequential(*head, up(), up(), up(), nn.BatchNorm2d(n), nn.ReLU(), conv(n, 3), nn.Tanh())
    pool = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 1)]
    return G, nn.Sequential(down(3), down(n), level(), level(), *pool)


def plain_dcgan(n: int = 128) -> tuple[nn.Module, nn.Module]:
    """The 64 px pair as PyTorch's layers give it."""
    G: list[nn.Module] = [nn.Unflatten(1, (10, 1, 1)), nn.ConvTranspose2d(10, 8 * n, 4, 1, 0, bias=False)]
    D: list[nn.Module] = [nn.Conv2d(1, n, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for k in (4, 2, 1):
        G += [nn.BatchNorm2d(2 * k * n), nn.ReLU(), nn.ConvTranspose2d(2 * k * n, k * n, 4, 2, 1, bias=False)]
    for k in (1, 2, 4):
        D += [nn.Conv2d(k * n, 2 * k * n, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * k * n), nn.LeakyReLU(0.2)]
    G += [nn.BatchNorm2d(n), nn.ReLU(), nn.ConvTranspose2d(n, 1, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(*G), nn.Sequential(*D, nn.Conv2d(8 * n, 1, 4, bias=False), nn.Flatten())


def prepared(case: str) -> tuple[Recipe, int]:
    name, batch, n_critic, _ = CASES[case]
    recipe = get(name)
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, batch=batch)), n_critic


def main() -> None:
    kind = "fp32" if FP32 else "amx" if of_processor() is AMX else "plain"
    for case, (_, batch, n_critic, words) in CASES.items():
        target = TARGETS[case][kind]
        times: dict[str, list[float]] = {"ordinary": [], "ours": []}
        for _ in range(ROUNDS):
            for side in times:
                said = subprocess.run(
                    [sys.executable, __file__, side, case, *sys.argv[1:]],
                    env=os.environ | ({"OMP_NUM_THREADS": "1"} if BUSY else {}),
                    capture_output=True,
                    text=True,
                    encoding="utf-8",
                    check=True,
                ).stdout
                times[side].append(statistics.median(json.loads(said.splitlines()[-1])))
        found = ratio(times["ordinary"], times["ours"])
        shown = batch * n_critic
        rates = {k: shown / statistics.median(v) for k, v in times.items()}
        record(
            here(f"adversarial_speed_{case}{'_fp32' if FP32 else ''}"),
            f"{words}, {'float32, ' if FP32 else ''}the trainer's whole step against an ordinary float32 NCHW loop "
            "with DataLoader",
            f"at least {target:g} times faster",
            f"{found['median']:.1f} times ({found['min']:.1f} to {found['max']:.1f}): "
            f"{statistics.median(times['ordinary']):.2f} s against {statistics.median(times['ours']):.2f} s; "
            f"{rates['ours']:.0f} images/s against {rates['ordinary']:.0f}",
            found["median"] >= target,
            {
                "clock": "processor" if BUSY else "wall",
                "seconds": times,
                "ratio": found,
                "images_per_second": rates,
                "recipe": encode(prepared(case)[0]),
            },
            "processor time of one thread, once, on a machine with other work" if BUSY else "",
        )


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[2] in CASES:
        recipe, n_critic = prepared(sys.argv[2])
        print(json.dumps(ours(recipe) if sys.argv[1] == "ours" else ordinary(recipe, n_critic)))
    else:
        main()
