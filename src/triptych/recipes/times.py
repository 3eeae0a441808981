"""How long the named recipes take, from measured paces."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

from triptych.system.processor import speed

MEASURED = "times.json"
"""Made by benchmarks/recipe_times.py: the processor, its `speed`, minutes of one of its cores by recipe, and which of
the recipes are `wide`, those whose networks are in bfloat16 where that is fast."""


@functools.cache
def measured() -> dict[str, Any]:
    """The file's content."""
    return json.loads((files("triptych.recipes") / MEASURED).read_text(encoding="utf-8"))


def minutes_here() -> dict[str, float]:
    """Minutes that the steps of each recipe take one core here, by the speed of a small piece of its work."""
    found, here = measured(), speed()
    of_wide, of_others = found["speed"]["convolutions"] / here.convolutions, found["speed"]["steps"] / here.steps
    wide = frozenset(found["wide"])
    return {n: minutes * (of_wide if n in wide else of_others) for n, minutes in found["minutes"].items()}
