"""Values and the annotated types of the fields that they are for: one idea of it for Python, files and options."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from triptych.errors import UserError


def is_whole(value: Any) -> bool:
    """Whether this is a whole number, NumPy's too (a truth value is none)."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def conforms(value: Any, hint: Any) -> bool:
    """Whether a value is of the annotated type. A whole number is a float, too; what has no simple type passes."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(value == v and type(value) is type(v) for v in inner)
    if origin in (Union, UnionType):
        return any(conforms(value, h) for h in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inner) == 2 and inner[1] is Ellipsis:
            return all(conforms(v, inner[0]) for v in value)
        return len(value) == len(inner) and all(map(conforms, value, inner))
    if hint in (int, float) and type(value) is int:
        return abs(value) < 2**63
    if hint is float:
        return type(value) is float and math.isfinite(value)
    return isinstance(value, hint) if isinstance(hint, type) and hint is not int else hint is not int


def fitted(value: Any, hint: Any) -> Any:
    """`value` as `hint` wants it: lists become tuples, whole numbers floats; TypeError says what would do."""
    origin, options = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value in options:
            return value
        raise TypeError(f"choose {' or '.join(map(str, options))}")
    if origin in (Union, UnionType):
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
    if hint in (int, float):
        return fitted_number(value, hint)
    if hint in (bool, str) and type(value) is not hint:
        raise TypeError("give true or false" if hint is bool else "give text")
    if isinstance(hint, type) and not isinstance(value, hint):
        raise TypeError(f"give a {hint.__name__}")
    return value


def fitted_number(value: Any, hint: type[int] | type[float]) -> Any:
    """`fitted` to a whole number or a float. NumPy's numbers become Python's: a recipe is written as JSON."""
    kind = "a whole number" if hint is int else "a number"
    if isinstance(value, str):
        # YAML 1.1 reads 1e5 as text
        try:
            value = float(value)
        except ValueError:
            raise TypeError(f"give {kind}") from None
        value = int(value) if hint is int and value.is_integer() else value
    if is_whole(value):
        try:
            return hint(value)
        except OverflowError:
            raise TypeError("give a smaller number") from None
    if hint is int or isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"give {kind}")
    if not math.isfinite(value):
        raise TypeError("give a finite number")
    return float(value)


def fit_fields(part: Any, prefix: str = "") -> None:
    """Bring the fields of a frozen dataclass to their types, in place, as its `__post_init__` may.

    UserError for a value that cannot be one, named with the prefix. What is of its type stays as it is, so that the
    text of a recipe, its identity, does.
    """
    hints = hints_of(type(part))
    for f in dataclasses.fields(part):
        value, hint = getattr(part, f.name), hints.get(f.name, Any)
        if conforms(value, hint):
            continue
        try:
            object.__setattr__(part, f.name, fitted(value, hint))
        except TypeError as e:
            raise UserError(f"{prefix}{f.name} is {value!r}; {e}") from e


@functools.cache
def hints_of(cls: type) -> dict[str, Any]:
    """Annotated types of the fields of a dataclass."""
    try:
        return get_type_hints(cls)
    except NameError:  # a stranger's class, with names that are there for type checkers alone
        return {}
