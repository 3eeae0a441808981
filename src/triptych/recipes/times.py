"""How long the named recipes take, from measured paces."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

from triptych.system.processor import speed

MEASURED = "times.json"
"""Made by benchmarks/recipe_times.py: the processor, its `speed`, and minutes of one of its cores by recipe."""


@functools.cache
def measured() -> dict[str, Any]:
    """The file's content."""
    return json.loads((files("triptych.recipes") / MEASURED).read_text(encoding="utf-8"))


def minutes_here() -> dict[str, float]:
    """Minutes that the steps of each recipe take one core of this machine, by the speed of a small piece of work."""
    found = measured()
    slower = found["speed"] / speed()
    return {name: minutes * slower for name, minutes in found["minutes"].items()}
