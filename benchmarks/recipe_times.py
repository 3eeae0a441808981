"""How long every named recipe takes one core: writes src/triptych/recipes/times.json, which `triptych recipes` shows.

The steps alone, in processor seconds, by the pace of a few seconds of them; evaluations and pictures come on top.
`--only NAME ...` measures some and keeps the others; times on a slower or faster core are turned into those of the
file's, by the speed of a small piece of work of the same kind. Best measured on a processor without bfloat16
instructions: what holds there is no promise too much elsewhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import torch
from common import HERE, processor, record

FILE = HERE.parent / "src" / "triptych" / "recipes" / "times.json"


def one(name: str, seconds: float) -> tuple[float, bool]:
    """Minutes of the steps of a recipe on one core, and whether its networks are in bfloat16 where that is fast."""
    from triptych.data import load_spec
    from triptych.models.build import build
    from triptych.recipes import get
    from triptych.trainer.precision import choose, wide
    from triptych.trainer.rehearsal import processor_pace

    torch.set_num_threads(1)
    recipe, device = get(name), torch.device("cpu")
    data = load_spec(recipe.data)
    model = build(recipe.model, data.shape)
    pace = processor_pace(recipe, data, None, device, choose(recipe, model, data, device).precision, seconds)
    return recipe.train.images * pace / 60, recipe.train.precision == "fast" or wide(model)


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
    from triptych.system.processor import of_processor, speed

    found: dict[str, Any] = {"minutes": {}, "wide": []}
    if FILE.exists() and options.only:
        found = json.loads(FILE.read_text(encoding="utf-8"))
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
        minutes, is_wide = json.loads(done.stdout.splitlines()[-1])
        here = {work: round(times) for work, times in asdict(speed(1.0)).items()}
        found = {"processor": f"{processor()}, {of_processor().words}", "speed": here, **found}
        work = "convolutions" if is_wide else "steps"
        found["minutes"][name] = round(minutes * here[work] / found["speed"][work], 2)
        found["wide"] = sorted({*found["wide"], name} if is_wide else {*found["wide"]} - {name})
        print(f"{name}: {found['minutes'][name]:.1f} min", flush=True)
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    every: dict[str, float] = found["minutes"]
    record(
        "recipe_times",
        "minutes of one core for the steps of every named recipe",
        "every recipe has a measured time",
        f"{len(every)} recipes, {sum(m <= 6 for n, m in every.items() if n.endswith('-quick'))} of "
        f"{sum(n.endswith('-quick') for n in every)} quick ones within 6 min; not measured: {len(left)}",
        met=not left,
        details={"left out": left},
    )


if __name__ == "__main__":
    main()
