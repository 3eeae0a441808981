"""What a command is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from triptych.cli.arguments import parse


@dataclass(frozen=True)
class Command:
    """A command: the line that describes it, and what it does with the words behind its name."""

    about: str
    run: Callable[[Sequence[str]], Any]
    function: Callable[..., Any] | None = None
    """what has an annotation for each option, where that is known"""


def from_function(name: str, function: Callable[..., Any], more: Callable[[], str] = lambda: "") -> Command:
    """The command whose options are the annotations of a function; `more` is added to its help."""

    def run(argv: Sequence[str]) -> None:
        parse(function, name, argv, more=more)

    return Command((function.__doc__ or " ").split(". ")[0].splitlines()[0], run, function)
