"""Recipes to JSON values and back. A dataclass is an object whose `type` is the name of its class."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Any

from triptych.discovery import dataclasses_of
from triptych.errors import UserError


def encode(value: Any) -> Any:
    """Dataclasses, tuples and plain values to JSON values; a dataclass carries its class name as `type`.

    A field marked as `later` is written only where it is set: recipes from before it was there keep their text, and
    with it their identity.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [
            f for f in dataclasses.fields(value) if not f.metadata.get("later") or getattr(value, f.name) != f.default
        ]
        body = {f.name: encode(getattr(value, f.name)) for f in fields}
        return {"type": type(value).__name__, **body}
    if isinstance(value, (tuple, list)):
        return [encode(v) for v in value]
    return value


def decode(value: Any) -> Any:
    """The inverse of `encode`. UserError for a class or field that does not exist."""
    if isinstance(value, dict) and "type" in value:
        cls = _class(value["type"])
        names = {f.name for f in dataclasses.fields(cls)}
        extra = sorted(set(value) - names - {"type"})
        if extra:
            raise UserError(f"{value['type']} has no field {extra[0]!r}; its fields are {', '.join(sorted(names))}")
        return cls(**{k: decode(v) for k, v in value.items() if k != "type"})
    if isinstance(value, list):
        return tuple(decode(v) for v in value)
    return value


def _class(name: str) -> type:
    from triptych.core import ModelSpec, Objective

    found = _known().get(name) or _loaded(Objective, name) or _loaded(ModelSpec, name)
    if found is None:
        raise UserError(f"unknown type {name!r}; import the module that defines it, or use the version that wrote it")
    return found


@functools.cache
def _known() -> dict[str, type]:
    """Every dataclass a recipe may hold: those of `core` and those of `objectives/` and `nets/`."""
    from triptych.core import DataSpec, Recipe, Train

    known: dict[str, type] = {c.__name__: c for c in (DataSpec, Train, Recipe)}
    return known | dict(dataclasses_of("objectives")) | dict(dataclasses_of("nets"))


def _loaded(base: type, name: str) -> type | None:
    """A class of that name derived from `base` anywhere in this process: somebody's own objective or network."""
    for cls in base.__subclasses__():
        if cls.__name__ == name and not inspect.isabstract(cls):
            return cls
        if found := _loaded(cls, name):
            return found
    return None
