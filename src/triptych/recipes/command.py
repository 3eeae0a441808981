"""The command that trains a recipe again: the nearest named recipe and the options that differ from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from triptych.core import encode
from triptych.core.codec import flat
from triptych.recipes.named import all_recipes
from triptych.system.shell import shell


@cache
def named() -> dict[str, dict[str, Any]]:
    return {name: flat(encode(recipe)) for name, recipe in all_recipes().items()}


def command(recipe: Mapping[str, Any], seed: int) -> str:
    """`triptych train NAME --seed N --train.images …` for a recipe's JSON; empty where no named one is near."""
    own = {k: v for k, v in flat(recipe).items() if k not in ("name", "about")}
    kinds = ("type", "model", "objective")
    best, fewest = "", None
    for name, other in named().items():
        apart = own.keys() ^ (other.keys() - {"name", "about"})
        if any(own.get(k) != other.get(k) for k in kinds) or not all(k.startswith("data.") for k in apart):
            continue  # how data are prepared has options that are written only where they are set
        differing = [k for k in own if own[k] != other.get(k)]
        rank = (len(differing), name != recipe.get("name"))
        if fewest is None or rank < fewest:
            best, fewest = name, rank
    if not best:
        return ""
    words = ["triptych", "train", best]
    for key, value in own.items():
        if value != named()[best].get(key):
            words += option(key, value)
    return shell(*words, *(["--seed", str(seed)] if seed else []))


def option(key: str, value: Any) -> list[str]:
    """A recipe's field as the command line takes it."""
    name = key.removeprefix("data.").replace("_", "-")
    name = "data" if key == "data.name" else name
    if isinstance(value, bool):
        section, _, field = name.rpartition(".")
        return [f"--{section}{'.' if section else ''}{'' if value else 'no-'}{field}"]
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}", str(value)]
