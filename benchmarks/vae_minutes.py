"""Minutes that a run of the CIFAR-10 study takes (VAE, latent 1024), and what bfloat16 changes in its result.

Trains the same seed in bfloat16 and in float32 for --epochs. With fewer than 20 the time is scaled up, and said so.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from common import record

from triptych.recipes import get
from triptych.trainer import fit


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    recipe, images = get("vae-cifar10"), args.epochs * 50_000
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("bf16", "fp32"):
            train = replace(recipe.train, images=images, sample=images, checkpoint=images, precision=precision)
            run = fit(replace(recipe, train=train), args.seed, Path(folder) / precision, "cpu")
            last = run.lines()[-1]
            rows[precision] = {"seconds": run.status["seconds"], **{k: last[k] for k in ("val_recon", "val_kl")}}
            print(precision, rows[precision], flush=True)
    minutes = rows["bf16"]["seconds"] / 60 * 20 / args.epochs
    gap = rows["bf16"]["val_recon"] / rows["fp32"]["val_recon"] - 1
    scaled = "" if args.epochs == 20 else f", scaled up from {args.epochs}"
    record(
        "vae_minutes",
        "CIFAR-10 VAE, latent 1024: 20 epochs on two cores, and bfloat16 against float32 (same seed)",
        "≤ 13 min; reconstruction within 1 % of float32's",
        f"{minutes:.1f} min{scaled}; reconstruction {rows['bf16']['val_recon']:.1f} against "
        f"{rows['fp32']['val_recon']:.1f} in float32 ({100 * gap:+.1f} %) after {args.epochs} epochs",
        minutes <= 13 and abs(gap) <= 0.01 and args.epochs == 20,
        {"epochs": args.epochs, "seed": args.seed, **rows},
    )


if __name__ == "__main__":
    main()
