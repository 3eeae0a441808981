"""Every named recipe, by name."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import Recipe
from triptych.core.discovery import modules_of
from triptych.errors import UserError, nearest


def all_recipes() -> dict[str, Recipe]:
    """Every named recipe, sorted by name."""
    found: dict[str, Recipe] = {}
    for module in modules_of("recipes"):
        for name, recipe in getattr(module, "RECIPES", {}).items():
            if name in found:
                raise TypeError(f"two recipes are named {name}")
            found[name] = replace(recipe, name=name)
    return dict(sorted(found.items()))


def get(name: str) -> Recipe:
    """The recipe of that name; UserError with the nearest names otherwise."""
    known = all_recipes()
    if name in known:
        return known[name]
    raise UserError(f"no recipe is named {name!r}; {nearest(name, known, '`triptych recipes` lists them all')}")
