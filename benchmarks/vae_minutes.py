"""Minutes that a run of the CIFAR-10 study takes (VAE, latent 1024), and what bfloat16 changes in its result.

Trains one seed in bfloat16 and the same seed in float32, in run folders that are resumed. The time is that of the
bfloat16 run. Validation is compared at every epoch that both have, the float32 run may be a shorter one (--epochs).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from common import here, record

from triptych.recipes import get
from triptych.run import Run
from triptych.system.processor import AMX, of_processor
from triptych.trainer import fit, resume

EPOCH, EPOCHS = 50_000, 20


def trained(folder: Path, precision: str, seed: int, epochs: int) -> Run:
    if folder.exists():
        return resume(folder)
    recipe = get("vae-cifar10")
    train = replace(recipe.train, images=epochs * EPOCH, precision=precision)
    return fit(replace(recipe, train=train), seed, folder, "cpu")


def validation(run: Run) -> dict[float, tuple[float, float]]:
    """Reconstruction and KL by epoch."""
    lines = [line for line in run.lines() if "val_recon" in line and line["images"]]
    return {line["images"] / EPOCH: (line["val_recon"], line["val_kl"]) for line in lines}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=EPOCHS, help="of the float32 run")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--runs", type=Path, default=Path("runs/cifar10-study"))
    options.add_argument("--only", choices=("bf16", "fp32"), help="train this one and record nothing")
    options.add_argument("--note", default="")
    args = options.parse_args()
    folders = {
        "bf16": (args.runs / f"vae-cifar10-{args.seed}", EPOCHS),
        "fp32": (args.runs / f"vae-cifar10-fp32-{args.seed}", args.epochs),
    }
    runs = {
        name: trained(folder, name, args.seed, epochs)
        for name, (folder, epochs) in folders.items()
        if args.only in (None, name)
    }
    if args.only:
        return
    minutes = runs["bf16"].status["seconds"] / 60
    ours, theirs = validation(runs["bf16"]), validation(runs["fp32"])
    both = sorted(ours.keys() & theirs.keys())
    last = both[-1]
    gap = ours[last][0] / theirs[last][0] - 1
    fast = of_processor() is AMX
    record(
        here("vae_minutes"),
        f"CIFAR-10 VAE, latent 1024: 20 epochs on {runs['bf16'].env['threads']} threads, and bfloat16 against float32 "
        "(same seed)",
        f"{'≤ 13 min; ' if fast else ''}reconstruction within 1 % of float32's",
        f"{minutes:.1f} min; reconstruction {ours[last][0]:.1f} against {theirs[last][0]:.1f} in float32 "
        f"({100 * gap:+.1f} %) after {last:g} epochs",
        (minutes <= 13 or not fast) and abs(gap) <= 0.01 and last >= EPOCHS,
        {
            "seed": args.seed,
            "seconds": {name: run.status["seconds"] for name, run in runs.items()},
            "threads": {name: run.env["threads"] for name, run in runs.items()},
            "epoch_bf16_fp32": [[epoch, *ours[epoch], *theirs[epoch]] for epoch in both],
        },
        args.note,
    )


if __name__ == "__main__":
    main()
