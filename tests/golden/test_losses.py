"""Twenty float64 steps of every objective against the recorded losses: a refactor must not move them.

After a change that is meant to move them: `python tests/golden/test_losses.py` writes the file anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from triptych.core import Clock, Objective
from triptych.data import load
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import AE, VAE
from triptych.objectives.flow import NLL
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP
from triptych.objectives.relativistic import Hinge, Relativistic

FILE = Path(__file__).with_name("losses.json")
CASES = {
    "gan": (GAN(), MLPGAN(width=16)),
    "gan-smoothed": (GAN(label_smoothing=(0.7, 0.9)), MLPGAN(width=16)),
    "gan-minimax": (GAN(minimax=True), MLPGAN(width=16)),
    "lsgan": (LSGAN(), MLPGAN(width=16)),
    "wgan": (WGAN(clip=0.1), MLPGAN(width=16)),
    "wgan-gp": (WGANGP(gp=0.1), MLPGAN(width=16)),
    "hinge": (Hinge(), MLPGAN(width=16)),
    "relativistic": (Relativistic(gamma=0.1), MLPGAN(width=16)),
    "ae": (AE(), MLPAutoencoder(latent=1, variational=False, width=16)),
    "vae": (VAE(), MLPAutoencoder(latent=2, variational=True, width=16)),
    "vae-beta": (VAE(beta=4.0), MLPAutoencoder(latent=2, variational=True, width=16)),
    "nll": (NLL(), RealNVP(layers=4, width=16)),
}


def losses(objective: Objective, spec: MLPGAN | MLPAutoencoder | RealNVP, steps: int = 20) -> list[float]:
    torch.manual_seed(0)
    data = load("8gaussians")
    model = spec.build(data.shape)
    objective.prepare(model, data)
    model.double()
    points = iter(data.x.double().split(32))
    optimizers = {k: torch.optim.Adam(p.parameters(), 1e-3) for k, p in model.players.items()}
    found = []
    for step in range(steps):
        for move in objective.step(model, points, Clock(step, 32 * step, step / steps, steps)):
            mine = [w for name in move.names for w in model.players[name].parameters()]
            for w in mine:
                w.grad = None
            move.loss.backward(inputs=mine)
            for name in move.names:
                optimizers[name].step()
            found.append(move.loss.item())
    return found


@pytest.mark.parametrize("case", CASES)
def test_losses_are_the_recorded_ones(case: str) -> None:
    was = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert losses(*CASES[case]) == pytest.approx(json.loads(FILE.read_text())[case], rel=1e-7)
    finally:
        torch.set_default_dtype(was)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    FILE.write_text(json.dumps({k: losses(*v) for k, v in CASES.items()}, indent=1) + "\n")
