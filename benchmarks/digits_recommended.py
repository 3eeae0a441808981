"""What a trained recipe makes of digits: `best-mnist` on MNIST, and a thousand modes on stacked MNIST.

Reads finished and judged runs; `--beside` shows other runs of the same data next to the first.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from common import record

from triptych.core import to_bytes
from triptych.data import load as load_data
from triptych.metrics.classes import stacked_modes
from triptych.metrics.features.self_trained import extractor_for
from triptych.run import Run
from triptych.system.files import read_json

STACKS = 26_000


def told(run: Run) -> dict[str, Any]:
    return {k: v for k, v in read_json(run.path / "eval.json").items() if isinstance(v, dict) and "value" in v}


def mnist(run: Run, note: str) -> None:
    values = told(run)
    share, deviation, minutes = values["confident"], values["class_deviation"]["value"], run.status["seconds"] / 60
    distance = values["frechet"]
    model = run.load(device="cpu")
    judge = extractor_for(load_data("mnist"), load_data("mnist", "test"))
    triples = torch.cat([to_bytes(model.sample(3_000, seed=i)).view(-1, 3, 28, 28) for i in range(STACKS // 1_000)])
    modes = stacked_modes(judge, triples)
    record(
        "digits-mnist",
        f"{run.recipe.name}: samples told by a classifier that is right on {judge.accuracy:.2%} of the test set",
        "≤ 20 min; share with confidence > 0.9 within 5 points of real digits'; each class within ±40 % of uniform",
        f"{share['value']:.1%} against {share['floor']:.1%} of real digits; classes at most {deviation:.0%} off; "
        f"Fréchet distance {distance['value']:.3f} (real against real {distance['floor']:.3f}); "
        f"{modes['stacked_modes']} of 1,000 triples among {STACKS:,}, KL {modes['stacked_kl']:.3f}; {minutes:.1f} min",
        abs(share["value"] - share["floor"]) <= 0.05 and deviation <= 0.4 and minutes <= 20,
        {"eval": values, "stacked": modes, "seconds": run.status["seconds"], "seed": run.seed},
        note,
    )


def stacked(run: Run, beside: list[Run], note: str) -> None:
    rows, said = {}, []
    for r in (run, *beside):
        values = told(r)
        modes, kl = values["stacked_modes"]["value"], values["stacked_kl"]["value"]
        seconds = r.status["seconds"]
        rows[r.recipe.name] = {
            "modes": modes,
            "kl": kl,
            "seconds": seconds,
            "images": r.status["images"],
            "seed": r.seed,
        }
        said.append(f"{r.recipe.name} {modes} modes, KL {kl:.3f}, {seconds / 60:.0f} min")
    mine = rows[run.recipe.name]
    record(
        "digits-stacked",
        f"{run.recipe.name} on stacked MNIST, {STACKS:,} samples; beside it plain DCGAN",
        "≥ 990 of 1,000 modes, KL ≤ 0.15, ≤ 60 min",
        "; ".join(said),
        mine["modes"] >= 990 and mine["kl"] <= 0.15 and mine["seconds"] <= 3600,
        rows,
        note,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--beside", type=Path, nargs="*", default=[])
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    run = Run(args.run)
    if run.recipe.data.name == "stackedmnist":
        stacked(run, [Run(p) for p in args.beside], args.note)
    else:
        mnist(run, args.note)


if __name__ == "__main__":
    main()
