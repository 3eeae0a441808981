"""What a search may vary in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import yaml

from triptych.core import Recipe
from triptych.core.search import Among, Range, Space
from triptych.errors import UserError
from triptych.recipes.override import with_field
from triptych.system import files

SECTIONS = ("train", "objective", "model")
LARGEST = 1 << 16
"""Bytes of a file of ranges."""


def declared(recipe: Recipe) -> dict[str, Space]:
    """Every range that stands beside a field of the recipe, by option: `train.lr`, `objective.gp`, `model.width`."""
    found: dict[str, Space] = {}
    for section in SECTIONS:
        part = getattr(recipe, section)
        for name, hint in get_type_hints(type(part), include_extras=True).items():
            if get_origin(hint) is Annotated and name in vars(part):
                spaces = [x for x in get_args(hint)[1:] if isinstance(x, Range | Among)]
                if spaces:
                    found[f"{section}.{name}"] = spaces[0]
    if not recipe.objective.adversarial:
        found.pop("train.critic_lr", None)
    return found


def space_of(recipe: Recipe, asked: dict[str, Space]) -> dict[str, Space]:
    """Where the recipe is searched: what was asked for, else everything that is declared beside its fields.

    UserError for a field that it has not, a value that the field cannot have, a range beyond the declared one, and a
    recipe that declares nothing.
    """
    own = declared(recipe)
    for name, space in asked.items():
        for value in space.options if isinstance(space, Among) else (fitting(recipe, name, space),):
            with_field(recipe, name, value)
        if name in own and not space.within(own[name]):
            raise UserError(f"{name} is to be searched in {space}; the field allows {own[name]}: give a part of it")
    if not (found := asked or own):
        raise UserError(f"nothing in {recipe.name} says how it may vary; give --space FILE.yaml with ranges")
    return found


def fitting(recipe: Recipe, name: str, space: Range) -> float:
    """A value of a range of the field's own kind: whole where the field is."""
    section, _, field = name.replace("-", "_").rpartition(".")
    now = getattr(getattr(recipe, section, None), field, None)
    return int(space.low) if isinstance(now, int) and not isinstance(now, bool) else space.low


def read_space(path: Path | None) -> dict[str, Space]:
    """Ranges from YAML: `train.lr: {low: 1e-4, high: 1e-2, log: true}` or `model.width: [64, 128]`; empty for no file.

    UserError for a file that says something else.
    """
    if path is None:
        return {}
    if not path.is_file():
        raise UserError(f"{path} is not a file; give a .yaml file with ranges")
    try:
        told = yaml.safe_load(files.read_text(path, LARGEST))
    except (yaml.YAMLError, RecursionError) as e:
        raise UserError(f"{path.name} is no YAML ({str(e).splitlines()[0]}); correct it") from e
    if not isinstance(told, dict) or not told:
        raise UserError(f"{path.name} holds no ranges; write lines such as `train.lr: {{low: 1e-4, high: 1e-2}}`")
    return {str(name): one(f"{path.name}: {name}", value) for name, value in told.items()}


def one(what: str, told: Any) -> Space:
    """A range or a choice from what YAML holds."""
    if isinstance(told, list):
        if not told or not all(isinstance(v, int | float | str | list) for v in told):
            raise UserError(f"{what} is no list of values; write [64, 128]")
        return Among(*(tuple(v) if isinstance(v, list) else v for v in told))
    if not isinstance(told, dict) or not {"low", "high"} <= set(told) <= {"low", "high", "log"}:
        raise UserError(f"{what} is no range; write {{low: 1e-4, high: 1e-2, log: true}} or a list of values")
    try:  # YAML 1.1 reads 1e-4 as text
        low, high = float(told["low"]), float(told["high"])
    except (TypeError, ValueError):
        raise UserError(f"{what} has limits that are no numbers; write {{low: 1e-4, high: 1e-2}}") from None
    try:
        return Range(low, high, bool(told.get("log", False)))
    except UserError as e:
        raise UserError(f"{what}: {e}") from e
