"""What labels do for a GAN of pictures: CIFAR-10's ten classes and a hundred species of birds, at quick budgets.

The conditional recipe against the same nets, loss and budget without classes, for every seed. Both are compared with
real pictures as a whole, and within classes with their samples sorted by the set's classifier; the conditional one also
by the classes that it was asked for. Runs are ordinary run folders under --runs: those that exist are gone on with, so
the script can be stopped at any time. With --record nothing is trained.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import record, spread

from triptych.core import Recipe
from triptych.core.statistics import welch
from triptych.evaluate import evaluate_run
from triptych.evaluate.options import Samples
from triptych.recipes import get
from triptych.run import Run
from triptych.system.files import read_json
from triptych.trainer import fit, resume

RECIPES = {"cifar10": "cgan-cifar10-quick", "birds": "cgan-birds-quick"}
SHARED = ("frechet", "kernel", "precision", "recall", "coverage", "kernel_class_mean_sorted")
OWN = ("kernel_class_mean", "recall_class_mean", "class_accuracy", "train_on_generated")
LEADING = "kernel"
"""The number that is judged; the others stand beside it."""


def without_classes(recipe: Recipe) -> Recipe:
    """The same nets, loss and budget, unconditional."""
    model: Any = recipe.model
    return replace(recipe, model=replace(model, classes=0), name=f"{recipe.name}-without")


def trained(recipe: Recipe, seed: int, folder: Path) -> None:
    """Trained to the end and evaluated; at once where it is."""
    if not folder.exists():
        fit(recipe, seed, folder)
    elif not Run(folder).finished:
        resume(folder)
    if not (folder / "eval.json").exists():
        evaluate_run(folder, samples=Samples(sorted=True))


def numbers(folders: Sequence[Path], names: Sequence[str]) -> dict[str, Any]:
    """Mean, interval and every seed of each number; one that is not defined for these runs is left out."""
    made = [read_json(f / "eval.json") for f in folders]
    found = {k: [v[k]["value"] for v in made if k in v and v[k]["value"] is not None] for k in names}
    floors = {k: made[0][k]["floor"] for k in names if k in made[0]}
    return {k: spread(v) | {"floor": floors.get(k)} for k, v in found.items() if v}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=Path, default=Path("runs/classes"))
    options.add_argument("--sets", nargs="+", choices=RECIPES, default=list(RECIPES))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--record", action="store_true", help="train and evaluate nothing")
    options.add_argument("--note", default="")
    args = options.parse_args()
    for name in args.sets:
        labelled = get(RECIPES[name])
        pair = {"with classes": labelled, "without": without_classes(labelled)}
        folders = {k: [args.runs / f"{r.name}-{seed}" for seed in args.seeds] for k, r in pair.items()}
        if not args.record:
            for i, seed in enumerate(args.seeds):  # in turns, so that a drifting machine is fair to both
                for k, recipe in pair.items():
                    trained(recipe, seed, folders[k][i])
        done = {k: [f for f in many if (f / "eval.json").exists()] for k, many in folders.items()}
        if not all(done.values()):
            print(f"{name}: no finished pair yet")
            continue
        told = {
            "with classes": numbers(done["with classes"], (*SHARED, *OWN)),
            "without": numbers(done["without"], SHARED),
        }
        ours, theirs = (told[k][LEADING] for k in pair)
        p = welch(ours["values"], theirs["values"])
        sure = "one seed: not tested" if math.isnan(p) else f"p = {p:.2g} by Welch"
        accuracy = told["with classes"].get("class_accuracy")
        asked = (
            f"; class asked is class told {accuracy['mean']:.1%} (real: {accuracy['floor']:.1%})" if accuracy else ""
        )
        record(
            f"classes-{name}",
            f"{name}, {len(done['without'])} seeds, {labelled.name} against the same without classes: kernel distance",
            "said either way",
            f"with classes {ours['mean']:.4f} ± {ours['half_width_95']:.4f}, without {theirs['mean']:.4f} ± "
            f"{theirs['half_width_95']:.4f} ({sure}), floor {ours['floor']:.4f}{asked}",
            None,
            told | {"seeds": args.seeds, "images": labelled.train.images},
            args.note,
        )


if __name__ == "__main__":
    main()
