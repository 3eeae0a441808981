"""Recipes with single fields or whole parts changed by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_type_hints

from triptych.core import Recipe
from triptych.core.discovery import parts
from triptych.core.kinds import fitted
from triptych.errors import UserError, nearest


def with_field(recipe: Recipe, key: str, value: Any) -> Recipe:
    """`recipe` with one field changed: `train.images`, `objective.gp`, `model.latent`, `data`, `resolution`, …

    Keys are the options of `triptych train`, with - or _; UserError for an unknown one or a value of another kind.
    """
    section, _, name = key.replace("-", "_").rpartition(".")
    if not section:
        section, name = "data", "name" if name == "data" else name
    if section not in ("train", "objective", "model", "data"):
        raise UserError(f"{key!r} is unknown here; keys begin with train., objective. or model., or prepare the data")
    part = getattr(recipe, section)
    hints = get_type_hints(type(part))
    fields = [f.name for f in dataclasses.fields(part)]
    if name not in fields:
        options = [f if section == "data" else f"{section}.{f}" for f in fields]
        raise UserError(f"{key!r} is unknown here; {meant(key, options)}")
    try:
        return replace(recipe, **{section: replace(part, **{name: fitted(value, hints[name])})})
    except TypeError as e:
        raise UserError(f"{key} is {value!r}; {e}") from e


def meant(key: str, known: Sequence[str]) -> str:
    return nearest(key, known, f"known: {', '.join(known)}")


def with_parts(recipe: Recipe, objective: str | None, network: str | None) -> Recipe:
    """The recipe with parts of these names, each with its own defaults, and a name that says so."""
    changed: dict[str, Any] = {}
    for section, kind, name in (("objective", "objective", objective), ("model", "network", network)):
        if name is not None:
            changed[section] = plain(kind, name)
    name = "-".join([recipe.name, *(type(part).__name__.lower() for part in changed.values())])
    about = f"{recipe.name} with {' and '.join(type(part).__name__ for part in changed.values())}"
    return replace(recipe, name=name, about=about, **changed)


def plain(kind: str, name: str) -> Any:
    """A part with its defaults; UserError for a name that is none."""
    known = parts(kind)
    if name not in known:
        raise UserError(f"no {kind} is named {name!r}; {nearest(name, known, '`triptych parts` lists them')}")
    try:
        return known[name].value()
    except TypeError as e:
        raise UserError(f"the {kind} {name} cannot be made without values ({e}); give its fields defaults") from e
