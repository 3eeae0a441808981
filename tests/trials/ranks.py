"""Several processes as ranks of one training, without a launcher; and what each of them does.

`python ranks.py STEPS CASE...` trains the named cases in float64, and the first rank prints their losses as JSON.
CASE/K is computed in K parts; of CASE+ gradients are sent while others are computed, in many small buckets.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from triptych.core import Data, DataSpec, Recipe, Train
from triptych.data import load
from triptych.data.batches import Batches
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import NSF
from triptych.models.flows.multiscale import Glow
from triptych.models.flows.velocity import VelocityMLP
from triptych.models.gans.dcgan import DCGAN
from triptych.models.gans.mlp import MLPGAN
from triptych.models.gans.resnet import ResNetGAN
from triptych.objectives.autoencoder import AE, IWAE, VAE
from triptych.objectives.flow import NLL
from triptych.objectives.flow_matching import FlowMatching
from triptych.objectives.gan import GAN, WGANGP
from triptych.objectives.relativistic import Hinge
from triptych.system import distributed
from triptych.system.distributed import ALONE, Ranks
from triptych.trainer.state import State
from triptych.trainer.step import step

VAE_2D = MLPAutoencoder(latent=2, variational=True, width=16)
TRAIN = Train(images=1 << 20, batch=64, lr=1e-3, clip=5.0, ema=0.99)


def pictures(side: int, channels: int = 3) -> Data:
    g = torch.Generator().manual_seed(0)
    x = torch.randint(256, (100, channels, side, side), generator=g, dtype=torch.uint8)
    return Data("noise", x)


def points() -> Data:
    return load("8gaussians")


CASES: dict[str, tuple[Callable[[], Data], Recipe]] = {
    "gan": (points, Recipe(DataSpec("x"), MLPGAN(width=16), GAN(label_smoothing=(0.7, 0.9)), TRAIN)),
    "wgan-gp": (
        lambda: pictures(32),
        Recipe(DataSpec("x"), ResNetGAN(latent=4, width=2), WGANGP(n_critic=2), replace(TRAIN, flip=True)),
    ),
    "dcgan": (lambda: pictures(16), Recipe(DataSpec("x"), DCGAN(latent=4, width=4), GAN(), TRAIN)),
    "vae": (points, Recipe(DataSpec("x"), VAE_2D, VAE(likelihood="gaussian-learned", free_bits=0.5), TRAIN)),
    "spline": (points, Recipe(DataSpec("x"), NSF(layers=2, width=16, bins=4), NLL(), TRAIN)),
    "glow": (
        lambda: pictures(8, 1),
        Recipe(DataSpec("x"), Glow(width=4, levels=2, steps=2, dequantise="variational"), NLL(), TRAIN),
    ),
    "ae": (points, Recipe(DataSpec("x"), replace(VAE_2D, variational=False), AE(), TRAIN)),
    "vae-fixed": (points, Recipe(DataSpec("x"), VAE_2D, VAE(), TRAIN)),
    "iwae": (points, Recipe(DataSpec("x"), VAE_2D, IWAE(samples=3), TRAIN)),
    "transport": (points, Recipe(DataSpec("x"), VelocityMLP(width=16), FlowMatching(coupling="transport"), TRAIN)),
    "hinge": (
        lambda: pictures(16),
        Recipe(
            DataSpec("x"),
            DCGAN(latent=4, width=4, norm="none", spectral=True),
            Hinge(augment=("color", "translation", "cutout")),
            TRAIN,
        ),
    ),
}


class Double(Batches):
    def __next__(self) -> Tensor:
        return super().__next__().double()


@contextmanager
def in_float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def trained(
    case: str, steps: int, ranks: Ranks = ALONE, accumulate: int = 1, *, overlap: bool = False
) -> tuple[list[dict[str, float]], State]:
    """Logged numbers of each step, and the state after the last."""
    make, recipe = CASES[case]
    recipe, data = replace(recipe, train=replace(recipe.train, accumulate=accumulate)), make()
    with in_float64():
        torch.manual_seed(0)
        model = recipe.model.build(data.shape).double()
        state = State(recipe, model, data, None, 0)
        state.join(ranks)
        state.overlaps = overlap
        state.batches.__class__ = Double
        recipe.objective.prepare(model, replace(data, x=data.x if data.is_images else data.x.double()))
        model.train()
        lines = []
        for _ in range(steps):
            step(state)
            line = state.line()
            lines.append({k: v for k, v in line.items() if k not in ("images", "step", "seconds")})
    return lines, state


def summary(state: State) -> dict[str, float]:
    """A number for each tensor that a checkpoint keeps."""
    return {k: v.double().sum().item() for k, v in sorted(state.contents().pack().items())}


def launched(words: list[str] | list[list[str]], world: int, **env: str) -> list[subprocess.Popen[str]]:
    """The processes of as many ranks, on this machine: of one command, or of one for each."""
    commands = [[word for word in words if isinstance(word, str)] or words[rank] for rank in range(world)]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        **env,
    }
    return [
        subprocess.Popen(
            [sys.executable, *commands[rank]],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]


def main(steps: int, cases: list[str]) -> None:
    torch.set_num_threads(1)
    distributed.PART = 512
    with distributed.group() as ranks:
        for case in cases:
            name, _, parts = case.rstrip("+").partition("/")
            lines, state = trained(name, steps, ranks, int(parts or 1), overlap=case.endswith("+"))
            if ranks.first:
                sys.stdout.write(json.dumps({"case": case, "lines": lines, "summary": summary(state)}) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(int(sys.argv[1]), sys.argv[2:])
