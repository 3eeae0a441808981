"""CIFAR-10 VAE, latent 1024, batch 256: images per second of `triptych train` against pythae's trainer, in turns.

Needs `pip install pythae`. The networks, the batch and the pictures are the same; each side runs as its user would
run it: pythae in float32 from its data loader, triptych with its defaults.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from common import ratio, record
from torch import Tensor, nn

import triptych.data
from triptych.core import DataSpec, to_inner
from triptych.models import VAEModel
from triptych.recipes import get
from triptych.trainer import fit

BATCH = 256


def pythae_trainer(x: Tensor, folder: str):
    """pythae's own trainer on inner pictures x, with the study's networks."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    ours = get("vae-cifar10").model.build((3, 32, 32))
    assert isinstance(ours, VAEModel)

    def plain(module: nn.Module) -> nn.Module:
        """PyTorch's own layers: ours only differ in how they are computed."""
        layers = []
        for m in module:  # type: ignore[attr-defined]
            if isinstance(m, nn.ConvTranspose2d):
                m = nn.ConvTranspose2d(m.in_channels, m.out_channels, 4, stride=2, padding=1)
            elif isinstance(m, nn.Conv2d) and m.stride == (2, 2):
                m = nn.Conv2d(m.in_channels, m.out_channels, 3, stride=2, padding=1)
            layers.append(m)
        return nn.Sequential(*layers)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = plain(ours.encoder)

        def forward(self, x: Tensor) -> ModelOutput:
            mu, log_sigma = self.net(x).chunk(2, 1)
            return ModelOutput(embedding=mu, log_covariance=2 * log_sigma)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = plain(ours.decoder)

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.net(z))

    model = VAE(VAEConfig(input_dim=(3, 32, 32), latent_dim=1024), Encoder(), Decoder())
    config = BaseTrainerConfig(folder, BATCH, BATCH, 1, learning_rate=1e-3, no_cuda=True)
    trainer = BaseTrainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=config)
    trainer.prepare_training()
    return trainer


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--rounds", type=int, default=3)
    args = options.parse_args()
    n = args.steps * BATCH
    x = to_inner(triptych.data.load("cifar10").x[:n])
    logging.disable(logging.INFO)
    rates: dict[str, list[float]] = {"pythae": [], "triptych": []}
    recipe = get("vae-cifar10")
    short = replace(recipe.train, images=n + 8 * BATCH, log=8 * BATCH, evaluate=n * 2, sample=n * 2, checkpoint=n * 2)
    with tempfile.TemporaryDirectory() as folder:
        trainer = pythae_trainer(x, folder)
        for k in range(args.rounds):
            with contextlib.redirect_stderr(io.StringIO()):
                began = time.perf_counter()
                trainer.train_step(k + 1)
            rates["pythae"].append(n / (time.perf_counter() - began))
            run = fit(replace(recipe, data=DataSpec("cifar10"), train=short), k, Path(folder) / f"{k}", progress=False)
            # from the second log line on: the first steps pay for what is done once
            first, last = run.lines()[1], run.lines()[-1]
            rates["triptych"].append((last["images"] - first["images"]) / (last["seconds"] - first["seconds"]))
            print({k: round(v[-1]) for k, v in rates.items()}, flush=True)
    found = ratio(rates["triptych"], rates["pythae"])
    record(
        "vae_speed",
        claim="CIFAR-10 VAE, latent 1024, batch 256: images per second against pythae, alternating runs",
        target="at least 3 times pythae's",
        measured=f"{found['median']:.2f} times ({found['min']:.2f} to {found['max']:.2f}): "
        f"{statistics.median(rates['triptych']):.0f} against {statistics.median(rates['pythae']):.0f} images/s",
        met=found["median"] >= 3,
        details={"images_per_second": rates, "ratio": found, "pythae": "0.1.2", "steps": args.steps},
    )


if __name__ == "__main__":
    main()
