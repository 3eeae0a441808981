"""CIFAR-10 VAE, latent 1024, batch 256: images per second of `triptych train` against pythae's trainer, in turns.

Needs `pip install pythae`. The networks, the batch and the pictures are the same; each side runs as its user would
run it: pythae in float32 from its data loader, triptych with its defaults. On a machine that is busy with other
work, --cpu counts the process's own processor time on one thread instead of seconds.
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
from importlib.metadata import version
from pathlib import Path

import torch
from common import here, ratio, record
from torch import Tensor, nn

import triptych.data
from triptych.core import to_inner
from triptych.models import VAEModel
from triptych.recipes import get
from triptych.system.processor import AMX, of_processor
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
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--cpu", action="store_true", help="processor time on one thread")
    args = options.parse_args()
    now = time.process_time if args.cpu else time.perf_counter
    if args.cpu:
        torch.set_num_threads(1)
    n = args.steps * BATCH
    x = to_inner(triptych.data.load("cifar10").x[:n])
    logging.disable(logging.INFO)
    rates: dict[str, list[float]] = {"pythae": [], "triptych": []}
    with tempfile.TemporaryDirectory() as folder:
        trainer = pythae_trainer(x, folder)

        def seconds(images: int, name: str) -> float:
            """Of a whole training, with what comes before and after the steps."""
            rare = dict.fromkeys(("log", "evaluate", "sample", "checkpoint"), 100 * n)
            recipe = get("vae-cifar10")
            recipe = replace(recipe, train=replace(recipe.train, images=images, **rare))
            began = now()
            fit(recipe, 0, Path(folder) / name, "cpu", progress=False)
            return now() - began

        for k in range(args.rounds):
            with contextlib.redirect_stderr(io.StringIO()):
                began = now()
                trainer.train_step(k + 1)
            rates["pythae"].append(n / (now() - began))
            # the difference of two lengths is the steps alone
            rates["triptych"].append(n / (seconds(n + BATCH, f"long{k}") - seconds(BATCH, f"short{k}")))
            print({k: round(v[-1]) for k, v in rates.items()}, flush=True)
    unit = " of processor time, one thread" if args.cpu else ""
    found = ratio(rates["triptych"], rates["pythae"])
    target = 3.0 if of_processor() is AMX else 2.5
    record(
        here("vae_speed"),
        claim="CIFAR-10 VAE, latent 1024, batch 256: images per second against pythae, alternating runs",
        target=f"at least {target:g} times pythae's",
        measured=f"{found['median']:.2f} times ({found['min']:.2f} to {found['max']:.2f}): "
        f"{statistics.median(rates['triptych']):.0f} against {statistics.median(rates['pythae']):.0f} images "
        f"per second{unit}",
        met=found["median"] >= target,
        details={
            "images_per_second": rates,
            "ratio": found,
            "pythae": version("pythae"),
            "steps": args.steps,
            "cpu_time": args.cpu,
        },
    )


if __name__ == "__main__":
    main()
