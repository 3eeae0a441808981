"""A recipe with another objective or network: `--objective NAME`, `--model NAME`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from triptych.core.discovery import parts
from triptych.errors import UserError, nearest

if TYPE_CHECKING:
    from triptych.core import Recipe


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


def misfit(recipe: Recipe) -> str:
    """Why the objective cannot train the network on the data, and which objectives can; empty where it can."""
    from triptych.trainer.checks import Plan

    plan = Plan(recipe, 0, "cpu")
    (data, _), model = plan.examples, plan.model
    try:
        recipe.objective.check(model, data)
    except UserError as e:
        fitting = []
        for name, part in sorted(parts("objective").items()):
            try:
                part.value().check(model, data)
            except (UserError, TypeError):
                continue
            fitting.append(name)
        objective, network = type(recipe.objective).__name__, type(recipe.model).__name__
        what = f"{objective} cannot train {network} on {data.name}: {str(e).split(';')[0]}"
        return f"{what}; objectives that can: {', '.join(fitting) or 'none'}"
    return ""
