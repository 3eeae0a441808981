"""Every named recipe, by name."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import Recipe
from triptych.core.discovery import parts
from triptych.errors import UserError, nearest


def all_recipes() -> dict[str, Recipe]:
    """Every named recipe, sorted by name."""
    return {name: replace(part.value, name=name) for name, part in sorted(parts("recipe").items())}


def get(name: str) -> Recipe:
    """The recipe of that name; UserError with the nearest names otherwise."""
    known = all_recipes()
    if name in known:
        return known[name]
    raise UserError(f"no recipe is named {name!r}; {nearest(name, known, '`triptych recipes` lists them all')}")
