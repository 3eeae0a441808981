"""MNIST after three minutes of training: how many of 1,000 samples look like a digit to a classifier that knows?"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from common import record, spread
from torch import Tensor

from triptych import recipes, trainer
from triptych.core import to_bytes
from triptych.data import load as load_data
from triptych.metrics.features.self_trained import Offline, extractor_for
from triptych.models import VAEModel, code_density
from triptych.models.families import codes_of_data
from triptych.run.folder import load

SURE, SAMPLES = 0.9, 1_000


def sure(judge: Offline, pictures: Tensor) -> tuple[float, list[float]]:
    """Share classified with confidence above `SURE`, and each class's share; pictures uint8."""
    p = torch.cat([judge(x)["logits"].softmax(1) for x in pictures.split(500)])
    return (p.amax(1) > SURE).double().mean().item(), (p.argmax(1).bincount(minlength=10) / len(p)).tolist()


def one(name: str, seed: int, out: Path, judge: Offline) -> dict[str, object]:
    began = time.perf_counter()
    run = trainer.fit(recipes.get(name), seed, out / f"{name}-{seed}", "cpu", progress=False)
    seconds = time.perf_counter() - began
    model = load(run.path, "cpu")
    share, classes = sure(judge, to_bytes(model.sample(SAMPLES, seed=seed)))
    row: dict[str, object] = {"seed": seed, "confident": share, "classes": classes, "seconds": seconds}
    if isinstance(model, VAEModel):
        codes, _ = codes_of_data(model, run.data(), seed=seed)
        z = code_density.fit_codes(codes, 50, seed=seed).draw(SAMPLES, seed=seed)
        row["confident_mixture"] = sure(judge, to_bytes(model.decode(z).detach()))[0]
    print(name, json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--recipes", nargs="+", default=["gan-mnist", "wgan-gp-mnist", "vae-mnist"])
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    test = load_data("mnist", "test")
    judge = extractor_for(load_data("mnist"), test)
    real = sure(judge, test.x)[0]
    for name in args.recipes:
        with tempfile.TemporaryDirectory() as folder:
            rows = [one(name, seed, Path(folder), judge) for seed in range(args.seeds)]
        shares, seconds = ([float(str(r[k])) for r in rows] for k in ("confident", "seconds"))
        mean = sum(shares) / len(shares)
        measured = f"{100 * mean:.1f} % ({args.seeds} seed{'s' * (args.seeds > 1)}) after {max(seconds):.0f} s"
        if "confident_mixture" in rows[0]:
            mixed = sum(float(str(r["confident_mixture"])) for r in rows) / len(rows)
            measured += f"; {100 * mixed:.1f} % from a mixture of 50 Gaussians fitted to the codes instead of the prior"
        record(
            f"mnist-minutes-{name}",
            f"{name}: share of 1,000 samples classified with confidence > 0.9, by a classifier that is right on "
            f"{judge.accuracy:.2%} of the test set and as confident about {real:.1%} of it",
            "≥ 80 % within 3 minutes",
            measured,
            mean >= 0.8 and max(seconds) <= 180,
            {"runs": rows, "confident": spread(shares), "seconds": spread(seconds), "real": real},
            args.note,
        )


if __name__ == "__main__":
    main()
