"""How the command line's words become values, and a parser's complaints one line."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from triptych.errors import UserError

WIDE = {"COLUMNS": "10000"}
"""A terminal so wide that the parser cuts no word of a complaint in two."""
ALONE = {"TYPEGUARD_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""No search of all that is installed for plug-ins of the type checker: a fifth of a second of every command."""


MARK: type[Any] = type(tyro.conf.arg())
"""What an annotation says of an option."""


def parse(
    what: Any, name: str, argv: Sequence[str], *, more: Callable[[], str] = lambda: "", unknown: bool = False
) -> Any:
    """A value of the type `what` from the words of a command line. A function is called with what they say.

    `more` is added to the help. With `unknown`, words that are no options come back beside the value. UserError, one
    line, for words that cannot be meant.
    """
    later = inspect.isfunction(what)

    @functools.wraps(what, updated=())
    def bound(*args: Any, **options: Any) -> Any:
        return functools.partial(what, *args, **options)

    how: dict[str, Any] = {"return_unknown_args": True} if unknown else {}
    asked = not {"-h", "--help"}.isdisjoint(argv)
    if asked and (added := more()):
        how["description"] = f"{inspect.cleandoc(what.__doc__ or '')}\n\n{added}"

    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed), numbers(), environment(**ALONE | ({} if asked else WIDE)):
            parsed = tyro.cli(bound if later else what, prog=f"triptych {name}", args=list(argv), **how)
    except SystemExit as e:
        if e.code in (0, None):
            raise
        raise UserError(own_words(e) or one_line(printed.getvalue(), name)) from None
    check_once(parsed[0] if unknown else parsed, argv)
    return parsed() if later else parsed


def check_once(parsed: Any, argv: Sequence[str]) -> None:
    """UserError for an option of several values that is written more than once: the parser would keep the last ones."""
    written = Counter(word.split("=")[0].replace("_", "-") for word in argv if word.startswith("--"))
    several = names_of_several(parsed)
    for option, times in written.items():
        if times > 1 and option.removeprefix("--").rpartition(".")[2] in several:
            raise UserError(f"{option} is given {times} times; write it once, with all of its values behind it")


def names_of_several(parsed: Any) -> set[str]:
    """The options, without their prefix, whose values are several, of a dataclass or of a call of a function."""
    call = isinstance(parsed, functools.partial)
    fields, where = (parsed.keywords, parsed.func) if call else (vars(parsed), type(parsed))
    hints = get_type_hints(where, include_extras=True)
    inner = [names_of_several(value) for value in fields.values() if is_dataclass(value)]
    return {written_as(name, hints[name]) for name, v in fields.items() if isinstance(v, tuple | list)}.union(*inner)


def written_as(name: str, hint: Any) -> str:
    """The option of a field or a parameter: its name, unless its annotation has another."""
    said = [mark.name for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, MARK) and mark.name]
    return (said or [name.replace("_", "-")])[0]


def own_words(e: BaseException) -> str:
    """The message of our own error that made the parser give up, from a dataclass that refused its values."""
    cause = e.__context__
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__context__
    return str(cause or "")


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """These environment variables, and afterwards those of before."""
    before = {k: os.environ.get(k) for k in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for k, value in before.items():
            if value is None:
                del os.environ[k]
            else:
                os.environ[k] = value


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


ANSI = re.compile(r"\x1b\[[0-9;]*m")
SIDES = "│┃║|"
TOP_OR_BOTTOM = re.compile(r"[╭┌┏╔╰└┗╚+][─━═-].*")
RULE = re.compile(r"[─━═-]+")


def paragraphs(said: str) -> list[list[str]]:
    """What a parser said without the frame it draws around it, in whatever signs: lines, parted where it drew rules.

    Its title goes as well: it stands in the frame's upper side or, where the stream has no such signs, above a rule.
    """
    found: list[list[str]] = [[]]
    framed = False
    for line in ANSI.sub("", said).splitlines():
        text = line.strip()
        if TOP_OR_BOTTOM.fullmatch(text) or text.startswith("usage:"):
            framed = True
            continue
        text = text.strip(SIDES).strip()
        if RULE.fullmatch(text):
            found.append([])
        elif text:
            found[-1].append(re.sub(r"^triptych [\w -]*: error: ", "", text))
    found = [lines for lines in found if lines]
    return (found if framed else found[1:] or found) or [["the options are not understood"]]


def one_line(said: str, name: str) -> str:
    """`what is wrong; what to do` out of a parser's complaint."""
    first, *rest = paragraphs(said)
    hints = [line for lines in rest for line in lines]
    what = " ".join(first).rstrip(".")
    mixed = re.match(r"Error parsing (\S+): no type matching (.+?) could be instantiated from \[(.*?)\]", what)
    if mixed:
        option, kinds, given = mixed.groups()
        known = [KINDS.get(k, k.strip("{}")) for k in kinds.split("|") if k != "{None}"]
        none = ", or None" if "{None}" in kinds.split("|") else ""
        return f"{option} is {listed(given)}; give {' or '.join(known)}{none}"
    several = re.match(r"Error parsing (\S+): Could not parse arguments \[(.*?)\] into tuple type", what)
    if several:
        option, given = several[1], listed(several[2])
        return f"{option} is {given}; give {len(given.split())} numbers"
    what = re.sub(r"^Error parsing (\S+): ", r"\1: ", what)
    near = [line.split()[0] for line in hints if line.startswith("--")]
    if near and any("you mean" in line.lower() or "similar" in line.lower() for line in hints):
        return f"{what}; did you mean {', '.join(near[:3])}?"
    return f"{what}; `triptych {name} --help` lists the options"


def listed(given: str) -> str:
    """`'0.9', 'x'` as it was typed."""
    return given.replace("'", "").replace(",", "")
