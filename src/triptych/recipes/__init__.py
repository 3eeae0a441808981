"""Named recipes: plain Python values. Each module here has a `RECIPES` mapping from name to `Recipe`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from dataclasses import replace

from triptych.core import Recipe
from triptych.errors import UserError


def all_recipes() -> dict[str, Recipe]:
    """Every named recipe, sorted by name."""
    found: dict[str, Recipe] = {}
    for info in pkgutil.iter_modules(__path__):
        for name, recipe in importlib.import_module(f"{__name__}.{info.name}").RECIPES.items():
            if name in found:
                raise TypeError(f"two recipes are named {name}")
            found[name] = replace(recipe, name=name)
    return dict(sorted(found.items()))


def get(name: str) -> Recipe:
    """The recipe of that name; UserError with the nearest names otherwise."""
    known = all_recipes()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "`triptych recipes` lists them all"
    raise UserError(f"no recipe is named {name!r}; {hint}")
