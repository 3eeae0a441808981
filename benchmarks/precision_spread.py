"""Does bfloat16 change where training ends? Same seeds in both precisions, told apart by Welch's test over seeds.

Trains --recipe for --images on each seed, then compares the critic's loss over the last quarter of the steps and the
kernel distance (KID) of 5,000 samples on the offline extractor.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

from common import record, spread

from triptych.core.statistics import welch
from triptych.evaluate import Samples, evaluate_run
from triptych.recipes import get
from triptych.run import Run
from triptych.trainer import fit, resume


def one(args: argparse.Namespace, precision: str, seed: int) -> dict[str, float]:
    recipe = get(args.recipe)
    folder = args.runs / f"{args.recipe}-{precision}-{seed}"
    train = replace(recipe.train, images=args.images, log=args.images // 100, best="", precision=precision)
    run = resume(folder) if folder.exists() else fit(replace(recipe, train=train), seed, folder, args.device)
    lines = [line for line in run.lines() if args.loss in line and line["images"] > 0.75 * args.images]
    kid = evaluate_run(folder, samples=Samples(n=5_000))["kernel"].value
    assert kid is not None
    row = {
        "loss": statistics.fmean(line[args.loss] for line in lines),
        "kid": kid,
        "seconds": Run(folder).status["seconds"],
    }
    print(precision, seed, json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="wgan-gp-birds-quick")
    parser.add_argument("--images", type=int, default=64_000)
    parser.add_argument("--loss", default="critic_loss", help="column of the run's log that is compared")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runs", type=Path, default=Path("runs/precision"))
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {"bf16": [], "fp32": []}
    for seed in range(args.seeds):
        for precision, found in rows.items():
            found.append(one(args, precision, seed))
    told, p = [], {}
    for key, name in (("loss", "critic loss"), ("kid", "KID")):
        a, b = ([row[key] for row in rows[precision]] for precision in ("bf16", "fp32"))
        p[key] = welch(a, b)
        ours, theirs = spread(a), spread(b)
        told.append(
            f"{name} {ours['mean']:.4g} ± {ours['half_width_95']:.2g} against "
            f"{theirs['mean']:.4g} ± {theirs['half_width_95']:.2g} (p = {p[key]:.2f})"
        )
    record(
        f"precision-spread-{args.recipe}",
        f"{args.recipe}, {args.images:,} images, {args.seeds} seeds: bfloat16 against float32 at the end",
        "within the spread of the runs (Welch, p > 0.05)",
        "; ".join(told),
        min(p.values()) > 0.05,
        {"p": p, **rows},
        args.note,
    )


if __name__ == "__main__":
    main()
