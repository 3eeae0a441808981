"""Recipes with single fields or whole parts changed by name."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from triptych.core import Recipe
from triptych.core.discovery import parts
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


def fitted(value: Any, hint: Any) -> Any:
    """`value` as `hint` wants it: lists become tuples, whole numbers floats; TypeError says what would do."""
    origin, options = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value in options:
            return value
        raise TypeError(f"choose {' or '.join(map(str, options))}")
    if origin in (typing.Union, types.UnionType):
        problems = []
        for option in options:
            try:
                return fitted(value, option)
            except TypeError as e:
                problems.append(str(e))
        raise TypeError(", or ".join(dict.fromkeys(problems)))
    if hint is type(None):
        if value is None:
            return None
        raise TypeError("leave it empty")
    if origin is tuple:
        if not isinstance(value, list | tuple) or (Ellipsis not in options and len(value) != len(options)):
            raise TypeError("give a list" + ("" if Ellipsis in options else f" of {len(options)}"))
        kinds = [options[0]] * len(value) if Ellipsis in options else options
        return tuple(fitted(v, kind) for v, kind in zip(value, kinds, strict=True))
    if hint in (int, float) and isinstance(value, str):
        # YAML 1.1 reads 1e5 as text
        try:
            value = float(value)
        except ValueError:
            raise TypeError(f"give {'a whole number' if hint is int else 'a number'}") from None
        value = int(value) if hint is int and value.is_integer() else value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise TypeError("give a smaller number") from None
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise TypeError("give a finite number")
    if hint in (int, float, bool, str) and (type(value) is not hint):
        kind = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[hint]
        raise TypeError(f"give {kind}")
    return value


def meant(key: str, known: typing.Sequence[str]) -> str:
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
