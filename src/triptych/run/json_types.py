"""Types of the values in JSON files that others may have written: a check for each, and objects made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from triptych.errors import UserError
from triptych.system import files

LIMIT = 64 << 20
"""Bytes of the largest of the files."""
NESTED = 40
"""Levels of lists and objects in any of the files; ours have fewer than ten."""

Check = Callable[[Any], bool]


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def listed(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(v) for v in value)


def mapped(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(check(v) for v in value.values())


def record(**fields: Check) -> Check:
    """An object that has at least these fields."""
    return lambda value: isinstance(value, dict) and all(k in value and check(value[k]) for k, check in fields.items())


def having(**fields: Check) -> Check:
    """An object whose fields of these names, where it has them, are right."""
    return lambda value: isinstance(value, dict) and all(check(value[k]) for k, check in fields.items() if k in value)


def both(one: Check, other: Check) -> Check:
    return lambda value: one(value) and other(value)


def is_shape(value: Any) -> bool:
    """Sizes of one example, none of them absurd."""
    return listed(is_count)(value) and 1 <= len(value) <= 3 and min(value) > 0 and math.prod(value) <= 2**28


def within(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested at most so deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(levels > 0 and within(v, levels - 1) for v in inner)


def verified(
    path: Path, value: Any, fields: Mapping[str, Check], needed: tuple[str, ...] = (), advice: str = ""
) -> dict[str, Any]:
    """`value` as an object whose known fields have their types; UserError that names the first that has not."""
    advice = advice or "restore it from a copy"
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object; {advice}")
    if not within(value, NESTED):
        raise UserError(f"{path} is nested more than {NESTED} levels deep; {advice}")
    for name in needed:
        if name not in value:
            raise UserError(f"{path} has no field {name!r}; {advice}")
    for name, check in fields.items():
        if name in value and not check(value[name]):
            raise UserError(f"{path} has a value that cannot be right in the field {name!r}; {advice}")
    return value


def read(path: Path, fields: Mapping[str, Check], needed: tuple[str, ...] = (), advice: str = "") -> dict[str, Any]:
    """`verified`, from a file."""
    if not path.exists():
        raise UserError(f"{path} is not there; {advice or 'restore it from a copy'}")
    return verified(path, files.read_object(path, LIMIT), fields, needed, advice)
