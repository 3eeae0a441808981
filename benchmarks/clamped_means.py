"""What the soft clamp of decoded means changes: the same seeds with `--model.output clamped` and `mean`, in turns.

    python benchmarks/clamped_means.py vae-mnist-mixture --seeds 100 101 102 --images 250000

Records the Fréchet distance, coverage and bound of each side, and Welch's test of the differences.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from common import record, spread

from triptych.core.statistics import welch
from triptych.evaluate import evaluate_run
from triptych.recipes import get
from triptych.recipes.override import with_field
from triptych.run import Run
from triptych.trainer import fit

SIDES = ("mean", "clamped")
NUMBERS = ("frechet_v1", "frechet", "coverage_v1", "nll_elbo")


def trained(folder: Path, recipe: str, seed: int, images: int | None, output: str) -> Run:
    if folder.exists() and (run := Run(folder)).finished:
        return run
    asked = with_field(get(recipe), "model.output", output)
    if images is not None:
        asked = replace(asked, train=replace(asked.train, images=images))
    return fit(asked, seed, folder, "cpu")


def numbers(run: Run) -> dict[str, float]:
    found = evaluate_run(run.path, device="cpu")
    values = {name: found[name].value for name in NUMBERS if name in found}
    return {name: float(value) for name, value in values.items() if value is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--images", type=int)
    parser.add_argument("--runs", type=Path, default=Path("runs/clamped"))
    args = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for seed in args.seeds:
        for side in SIDES:
            run = trained(args.runs / f"{args.recipe}-{side}-{seed}", args.recipe, seed, args.images, side)
            rows[side].append(numbers(run))
    said, found = [], {}
    for name in rows["mean"][0]:
        without, clamped = ([row[name] for row in rows[side]] for side in SIDES)
        p = welch(without, clamped)
        found[name] = {"mean": spread(without), "clamped": spread(clamped), "p": p}
        a, b = spread(without)["mean"], spread(clamped)["mean"]
        said.append(f"{name} {a:.3g} without, {b:.3g} with (p = {p:.2g})")
    record(
        f"clamped-means-{args.recipe}",
        f"The soft clamp of decoded means, {args.recipe}, {len(args.seeds)} seeds",
        "said either way",
        "; ".join(said),
        None,
        {"images": args.images, "seeds": args.seeds, "numbers": found},
    )


if __name__ == "__main__":
    main()
