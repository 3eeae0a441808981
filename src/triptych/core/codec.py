"""Recipes to JSON values and back. A dataclass is an object whose `type` is the name of its class."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
from collections.abc import Mapping
from typing import Any

from triptych.core.discovery import own_dataclass, recipe_types, unfinished
from triptych.core.kinds import conforms, hints_of
from triptych.core.plugins import forgotten
from triptych.errors import UserError


def encode(value: Any) -> Any:
    """Dataclasses, tuples and plain values to JSON values; a dataclass carries its class name as `type`.

    A field marked as `later` is written only where it is set: recipes from before it was there keep their text, and
    with it their identity.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if wrong := unfinished(type(value), settings=False):
            raise UserError(f"{type(value).__name__} of {type(value).__module__} {wrong}")
        fields = [
            f for f in dataclasses.fields(value) if not f.metadata.get("later") or getattr(value, f.name) != f.default
        ]
        body = {f.name: encode(getattr(value, f.name)) for f in fields}
        for name, v in body.items():
            if isinstance(v, float) and not math.isfinite(v):
                raise UserError(f"{type(value).__name__}.{name} is {v}; it must be a finite number")
        return {"type": type(value).__name__, **body}
    if isinstance(value, (tuple, list)):
        return [encode(v) for v in value]
    return value


def decode(value: Any) -> Any:
    """The inverse of `encode`. UserError for a class or field that does not exist, and for a value of another type."""
    if isinstance(value, dict) and "type" in value:
        cls = _class(value["type"])
        fields = {f.name: f for f in dataclasses.fields(cls)}
        extra = sorted(set(value) - set(fields) - {"type"})
        if extra:
            raise UserError(f"{value['type']} has no field {extra[0]!r}; its fields are {', '.join(sorted(fields))}")
        hints, given = hints_of(cls), {k: decode(v) for k, v in value.items() if k != "type"}
        for name, f in fields.items():
            needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            if needed and name not in given:
                raise UserError(f"{cls.__name__} lacks its field {name!r}; restore it from a copy")
            if name in given and not conforms(given[name], hints.get(name, Any)):
                raise UserError(
                    f"{cls.__name__}.{name} cannot be {type(given[name]).__name__} {str(given[name])[:40]!r}; "
                    "restore it from a copy"
                )
        return cls(**given)
    if isinstance(value, list):
        return tuple(decode(v) for v in value)
    return value


def _class(name: Any) -> type:
    from triptych.core.model_spec import ModelSpec
    from triptych.core.objective import Objective

    if not isinstance(name, str):
        raise UserError("the type of a part of the recipe is not a name; restore it from a copy")
    part = recipe_types().get(name)
    found = part.value if part is not None else _loaded(Objective, name) or _loaded(ModelSpec, name)
    if isinstance(found, type) and own_dataclass(found):
        return found
    raise UserError(
        f"unknown type {name!r}; give --plugin the file or module that defines it (in Python: import it), "
        "or use the version that wrote it"
    )


def _loaded(base: type, name: str) -> type | None:
    """A class of that name derived from `base` anywhere in this process: somebody's own objective or network."""
    for cls in base.__subclasses__():
        if cls.__name__ == name and not inspect.isabstract(cls) and not forgotten(cls.__module__):
            return cls
        if found := _loaded(cls, name):
            return found
    return None


def identity(recipe: Any) -> str:
    """Eight digits over everything that decides a training but the seed: not the recipe's name and description."""
    asked = encode(dataclasses.replace(recipe, name="", about=""))
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]


def flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A recipe's JSON as `train.lr: value` pairs; class names as `objective`, `model`."""
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif key == "type":
            found[prefix.rstrip(".") or "type"] = value
        else:
            found[name] = value
    return found


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two JSON values differ, a line each: `train.lr: 0.0002 became 0.001`."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*old, *(k for k in new if k not in old)]:
            found += differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return found
    return [] if old == new else [f"{path}: {json.dumps(old)} became {json.dumps(new)}"]
