"""Bits per dimension of a trained picture flow on what it was and was not trained on."""

from __future__ import annotations

import argparse
import math

import torch
from common import record

from triptych import data
from triptych.core import to_inner
from triptych.objectives.flow import NLL
from triptych.run.folder import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run folder of a flow trained on mnist")
    parser.add_argument("--examples", type=int, default=1000)
    args = parser.parse_args()
    run, n = Run(args.run), args.examples
    model = run.load(device="cpu")
    g = torch.Generator().manual_seed(0)
    c, h, w = model.shape
    sets = {
        "test": data.load(run.recipe.data.name, split="test").x[:n],
        "train": data.load(run.recipe.data.name).x[:n],
        "drawn glyphs": data.load("glyphs", split="test", resolution=h, channels=c).x[:n],
        "uniform noise": torch.randint(0, 256, (n, c, h, w), generator=g, dtype=torch.uint8),
        "test, pixels shuffled": data.load(run.recipe.data.name, split="test")
        .x[:n]
        .flatten(1)[:, torch.randperm(c * h * w, generator=g)]
        .view(-1, c, h, w),
        "constant 0": torch.zeros(n, c, h, w, dtype=torch.uint8),
        "constant 128": torch.full((n, c, h, w), 128, dtype=torch.uint8),
        "constant 255": torch.full((n, c, h, w), 255, dtype=torch.uint8),
    }
    rows = {}
    torch.manual_seed(0)
    for name, x in sets.items():
        with torch.no_grad():
            nll = torch.cat([-NLL().log_likelihood(model, to_inner(part)) for part in x.split(100)]).double()
        bits = nll[torch.isfinite(nll)] / (math.prod(model.shape) * math.log(2)) + 8
        rows[name] = {
            "bits_per_dim": bits.mean().item(),
            "se": bits.std().item() / math.sqrt(max(len(bits), 1)),
            "nonfinite": int((~torch.isfinite(nll)).sum()),
        }
        print(name, rows[name], flush=True)
    cheaper = [k for k, v in rows.items() if v["bits_per_dim"] < rows["test"]["bits_per_dim"] and k != "train"]
    record(
        "flows-outliers",
        f"bits per dimension of {run.recipe.name} after {run.status['images']:,} images, {n:,} pictures of each kind",
        "shown",
        "; ".join(f"{k} {v['bits_per_dim']:.2f}" for k, v in rows.items()),
        None,
        rows,
        f"likelihood is no detector of outliers: cheaper than the test set here: {', '.join(cheaper) or 'none'}",
    )


if __name__ == "__main__":
    main()
