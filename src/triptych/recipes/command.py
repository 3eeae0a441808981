"""The command that trains a recipe again: the nearest named recipe and the options that differ from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from triptych.core import Recipe, encode
from triptych.core.codec import flat
from triptych.core.discovery import parts
from triptych.errors import UserError
from triptych.recipes.named import all_recipes
from triptych.recipes.override import with_parts
from triptych.system.shell import shell

NAMES = ("name", "about")


@dataclass(frozen=True)
class Way:
    """From a named recipe to another one: parts that are swapped, then fields that are set."""

    base: str
    swapped: Mapping[str, str]
    changed: Mapping[str, Any]
    named_alike: bool

    @property
    def words(self) -> list[str]:
        swaps = [word for section, name in self.swapped.items() for word in (f"--{section}", name)]
        return [self.base, *swaps, *(word for key, value in self.changed.items() for word in option(key, value))]

    @property
    def length(self) -> tuple[bool, int, int]:
        return (not self.named_alike, len(self.swapped), len(self.changed))


def command(recipe: Mapping[str, Any], seed: int, plugins: Sequence[str] = ()) -> str:
    """`triptych train NAME --seed N --train.images …` for a recipe's JSON; empty where no named one leads to it.

    Each of `plugins` is one that its parts come from, as `--plugin` takes it; that of the named recipe is added.
    """
    own = flat(recipe)
    ways = [way for base in all_recipes().values() if (way := way_from(base, own)) is not None]
    if not ways:
        return ""
    best = min(ways, key=lambda way: way.length)
    brought = parts("recipe")[best.base].plugin
    needed = [*plugins, *([brought.given] if brought is not None and brought.given not in ("", *plugins) else [])]
    words = [*best.words, *(["--seed", str(seed)] if seed else [])]
    return shell("triptych", "train", *words, *(word for where in needed for word in ("--plugin", where)))


def way_from(base: Recipe, own: Mapping[str, Any]) -> Way | None:
    """How a named recipe becomes the one with these fields; None where no options do that."""
    swapped = {s: own[s] for s in ("objective", "model") if own[s] != type(getattr(base, s)).__name__}
    try:
        begun = with_parts(base, swapped.get("objective"), swapped.get("model")) if swapped else base
    except UserError:  # a part that only Python knows, or that has no defaults
        return None
    unset = later_defaults(begun)  # what is written only where it is set
    start, own = unset | flat(encode(begun)), unset | dict(own)
    if start.keys() != own.keys():
        return None
    changed = {k: v for k, v in own.items() if k not in NAMES and v != start[k]}
    return Way(base.name, swapped, changed, start["name"] == own["name"])


def later_defaults(value: Any, prefix: str = "") -> dict[str, Any]:
    """Defaults of the fields that `encode` leaves out where they have them, as `flat` names fields."""
    found: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if field.metadata.get("later"):
            found[f"{prefix}{field.name}"] = encode(field.default)
        elif is_dataclass(part):
            found |= later_defaults(part, f"{prefix}{field.name}.")
    return found


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
