"""How long the `-quick` recipes of the adversarial studies take on this machine: a tenth of each budget, times ten.

The tenth has an evaluation at its beginning and one at its end, so that ten times it holds twenty of them; a whole
training has eleven. What is made once per data set (the extractor) is made by a few steps before.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from common import record

from triptych.core import Recipe
from triptych.recipes import all_recipes, get
from triptych.recipes.best import RECIPES as BEST
from triptych.recipes.birds import RECIPES as BIRDS
from triptych.recipes.faces import RECIPES as SIXTY_FOUR
from triptych.trainer import fit

LIMIT = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--recipes", nargs="+", default=[k for k in {**BIRDS, **BEST, **SIXTY_FOUR} if k.endswith("-quick")]
    )
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    unknown = set(args.recipes) - set(all_recipes())
    if unknown:
        parser.error(f"no recipe named {', '.join(sorted(unknown))}")
    found: dict[str, float] = {}
    warm = set()

    def seconds(recipe: Recipe, images: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            train = replace(recipe.train, images=images, evaluate=images)
            return fit(replace(recipe, train=train), 0, Path(folder) / "run", progress=False).status["seconds"]

    for name in args.recipes:
        recipe = get(name)
        if recipe.data not in warm:
            warm.add(recipe.data)
            seconds(recipe, 5 * recipe.train.batch)
        found[name] = 10 * seconds(recipe, recipe.train.images // 10)
        print(name, f"{found[name]:.0f} s", flush=True)
    slowest = max(found, key=lambda k: found[k])
    over = [k for k, v in found.items() if v > LIMIT]
    record(
        "quick-times",
        "time of the adversarial `-quick` recipes on two cores, from a tenth of each",
        "≤ 5 minutes each",
        f"{min(found.values()) / 60:.1f} to {found[slowest] / 60:.1f} min ({slowest})"
        + (f"; over: {', '.join(over)}" if over else ""),
        not over,
        {"seconds": found},
        args.note,
    )


if __name__ == "__main__":
    main()
