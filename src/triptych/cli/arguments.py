"""How the command line's words become values, and a parser's complaints one line."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import re
from collections.abc import Sequence
from typing import Any

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from triptych.errors import UserError


def parse(what: Any, name: str, argv: Sequence[str], **how: Any) -> Any:
    """tyro, with its framed errors as one line. A function is called; what it writes to stderr is shown."""
    printed = io.StringIO()
    later = inspect.isfunction(what)

    @functools.wraps(what, updated=())
    def bound(*args: Any, **options: Any) -> Any:
        return functools.partial(what, *args, **options)

    try:
        with contextlib.redirect_stderr(printed), numbers():
            parsed = tyro.cli(bound if later else what, prog=f"triptych {name}", args=list(argv), **how)
    except SystemExit as e:
        if e.code in (0, None):
            raise
        raise UserError(one_line(printed.getvalue(), name)) from None
    return parsed() if later else parsed


def numbers() -> ConstructorRegistry:
    """How numbers are read: 1e6 and 1_000_000 are whole ones, and what is none is an error in words."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type not in (int, float):
            return None
        whole = info.type is int
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT" if whole else "FLOAT",
            instance_from_str=lambda args: whole_number(args[0]) if whole else any_number(args[0]),
            is_instance=lambda x: type(x) is int or (not whole and isinstance(x, float)),
            str_from_instance=lambda x: [str(x)],
        )

    return registry


def whole_number(text: str) -> int:
    """An int from text; 1e6 and 1_000_000 too."""
    with contextlib.suppress(ValueError):
        return int(text)
    value = any_number(text, "a whole number")
    if not value.is_integer():  # nor is inf or nan
        raise ValueError(f"{text!r} is not a whole number")
    return int(value)


def any_number(text: str, kind: str = "a number") -> float:
    """A float from text; ValueError in words."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {kind}") from None


KINDS = {
    "{None}": "None",
    "FLOAT": "a number",
    "INT": "a whole number",
    "{FLOAT FLOAT}": "two numbers with a space between",
}
"""What a parser's placeholders ask for, in words."""


def one_line(framed: str, name: str) -> str:
    """`what is wrong; what to do` out of a parser's panel."""
    lines = [re.sub(r"[│╭╮╰╯]", "", line).strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", framed).splitlines()]
    rules = [bool(line) and set(line) <= set("─-") for line in lines]  # drawn in ASCII where the stream has no more
    first = next((i for i in range(1, len(lines)) if not rules[i]), 1)
    body, rules = lines[first:-1], rules[first:-1]
    rule = next((i for i, drawn in enumerate(rules) if drawn), len(body))
    what = " ".join(body[:rule]).rstrip(".")
    own = re.match(r"Error parsing [\w.]+: (.+; .+)", what)
    if own:  # a message of our own, from a dataclass that refused its values
        return own[1]
    mixed = re.match(r"Error parsing (\S+): no type matching (.+?) could be instantiated from \[(.*?)\]", what)
    if mixed:
        option, kinds, given = mixed.groups()
        known = [KINDS.get(k, k.strip("{}")) for k in kinds.split("|") if k != "{None}"]
        return f"{option} is {listed(given)}; give {' or '.join(known)}, or None"
    several = re.match(r"Error parsing (\S+): Could not parse arguments \[(.*?)\] into tuple type .*\[(.*)\]", what)
    if several:
        option, given, kinds = several.groups()
        return f"{option} is {listed(given)}; give {kinds.count(',') + 1} numbers"
    what = re.sub(r"^Error parsing (\S+): ", r"\1: ", what)
    near = [line.split()[0] for line in body[rule:] if line.startswith("--")]
    if "you meant" in " ".join(body[rule:]).lower() and near:
        return f"{what}; did you mean {', '.join(near[:3])}?"
    return f"{what}; `triptych {name} --help` lists the options"


def listed(given: str) -> str:
    """`'0.9', 'x'` as it was typed."""
    return given.replace("'", "").replace(",", "")
