"""How long every named recipe takes one core: writes src/triptych/recipes/times.json, which `triptych recipes` shows.

The steps alone, in processor seconds, by the pace of a few seconds of them; evaluations and pictures come on top.
`--only NAME ...` measures some and keeps the others; times on a slower or faster core are turned into those of the
file's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import torch
from common import HERE, processor, record

FILE = HERE.parent / "src" / "triptych" / "recipes" / "times.json"


def one(name: str, seconds: float) -> float:
    """Minutes of the steps of a recipe on one core."""
    from triptych.data import load_spec
    from triptych.models.build import build
    from triptych.recipes import get
    from triptych.trainer.precision import choose
    from triptych.trainer.rehearsal import processor_pace

    torch.set_num_threads(1)
    recipe, device = get(name), torch.device("cpu")
    data = load_spec(recipe.data)
    precision = choose(recipe, build(recipe.model, data.shape), data, device).precision
    return recipe.train.images * processor_pace(recipe, data, None, device, precision, seconds) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=None, metavar="NAME")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--one", metavar="NAME", help="a recipe, in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.seconds)))
        return
    from triptych.objectives.closed_form import ClosedForm
    from triptych.recipes import all_recipes
    from triptych.system.processor import speed

    found: dict[str, Any] = (
        json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() and options.only else {"minutes": {}}
    )
    left: dict[str, str] = {}
    for name, recipe in all_recipes().items():
        if isinstance(recipe.objective, ClosedForm) or (options.only and name not in options.only):
            continue
        command = [sys.executable, __file__, "--one", name, "--seconds", str(options.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            left[name] = done.stderr.strip().splitlines()[-1][:200]
            print(name, "left out:", left[name], flush=True)
            continue
        torch.set_num_threads(1)
        here = round(speed(1.0))
        told = {"processor": processor(), "speed": here, **found}
        told["minutes"][name] = round(json.loads(done.stdout.splitlines()[-1]) * here / told["speed"], 2)
        print(f"{name}: {told['minutes'][name]:.1f} min", flush=True)
        FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    minutes = found["minutes"]
    record(
        "recipe_times",
        "minutes of one core for the steps of every named recipe",
        "every recipe has a measured time",
        f"{len(minutes)} recipes, {sum(m <= 6 for n, m in minutes.items() if n.endswith('-quick'))} of "
        f"{sum(n.endswith('-quick') for n in minutes)} quick ones within 6 min; not measured: {len(left)}",
        met=not left,
        details={"left out": left},
    )


if __name__ == "__main__":
    main()
