"""25 Gaussians, the plain GAN with and without the mode as a label: how many modes are left?"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from common import record, spread

from triptych import recipes, trainer
from triptych.core import Conditional
from triptych.data import load as load_data
from triptych.metrics import mode_coverage
from triptych.run.folder import load

SAMPLES = 10_000


def one(name: str, seed: int, out: Path) -> dict[str, float]:
    data, began = load_data("25gaussians"), time.process_time()
    run = trainer.fit(recipes.get(name), seed, out / f"{name}-{seed}", "cpu", progress=False)
    seconds, model = time.process_time() - began, load(run.path, "cpu")
    found = mode_coverage(model.sample(SAMPLES, seed=seed), data.modes, data.std)
    row = {"seed": seed, "processor_seconds": seconds, **{k: float(found[k]) for k in ("modes", "high_quality")}}
    if isinstance(model, Conditional) and model.classes:
        y = torch.arange(25).repeat_interleave(SAMPLES // 25)
        nearest = torch.cdist(model.sample(len(y), seed=seed, y=y), data.modes).argmin(1)
        row["of_the_class_asked"] = (nearest == y).double().mean().item()
    print(name, json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):  # in turns, so that a drifting machine is fair to both
            for name in ("gan-25gaussians", "cgan-25gaussians"):
                rows.setdefault(name, []).append(one(name, seed, Path(folder)))
    plain, labelled = ([r["modes"] for r in rows[name]] for name in ("gan-25gaussians", "cgan-25gaussians"))
    good = {name: sum(r["high_quality"] for r in found) / len(found) for name, found in rows.items()}
    asked = [r["of_the_class_asked"] for r in rows["cgan-25gaussians"]]
    record(
        "classes-25gaussians",
        "25 Gaussians: modes of 25 that a plain GAN keeps without labels, and with the mode as the label (the same "
        f"nets, moves and budget, {SAMPLES:,} samples)",
        "all 25 with labels, fewer without",
        f"without {', '.join(f'{m:.0f}' for m in plain)} (seeds 0 to {args.seeds - 1}; {good['gan-25gaussians']:.1%} "
        f"of samples within four standard deviations of a mode); with {', '.join(f'{m:.0f}' for m in labelled)} "
        f"({good['cgan-25gaussians']:.1%}); {min(asked):.2%} or more are of the class asked for",
        min(labelled) == 25 and max(plain) < 25,
        {"runs": rows, "modes": {"without": spread(plain), "with": spread(labelled)}},
    )


if __name__ == "__main__":
    main()
