"""Trackers: sinks outside the run folder, asked for by `--track NAME`, that show runs beside each other.

A tracker is told under which name, in which group and with which settings it shows what it is given; the runs of one
recipe are a group. Where it writes files of its own and nothing else is configured, they go to the folder `trackers`
beside the runs.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from triptych.core import encode
from triptych.core.codec import flat, identity
from triptych.core.discovery import library, parts
from triptych.errors import UserError, nearest
from triptych.run.folder import Run
from triptych.run.sinks import Sink, Values


@dataclass(frozen=True)
class Shown:
    """What a tracker shows as one row: a run, or several seeds of a recipe as one."""

    name: str
    group: str
    """the recipe's name and hash: the same for all its seeds"""
    settings: Mapping[str, Any]
    folder: Path
    """for files of the tracker's own"""

    @property
    def id(self) -> str:
        """The same for the same place and name: by it a run that goes on is found again."""
        return hashlib.sha256(f"{self.folder.absolute()}|{self.group}|{self.name}".encode()).hexdigest()[:16]


def shown(run: Run) -> Shown:
    """How a run is shown."""
    recipe = run.recipe
    settings = {k: v for k, v in flat(encode(recipe)).items() if k != "about"} | {"seed": run.seed}
    return Shown(run.name, f"{recipe.name or 'run'}-{identity(recipe)}", settings, run.path.parent / "trackers")


@dataclass(eq=False)
class Tracker(Sink, ABC):
    """Abstract base of trackers, which are dataclasses made from what they show.

    `start` is called before anything else, once.
    """

    library: ClassVar[str] = ""
    """the module that it needs; empty: none"""
    install: ClassVar[str] = ""
    """what pip is given for it; empty: the module's name"""
    of: InitVar[Run | Shown]
    """what it shows, from then on in `shown`: handed on here, so that a subclass may be a dataclass of any form"""

    def __post_init__(self, of: Run | Shown) -> None:
        self.shown = of if isinstance(of, Shown) else shown(of)
        self.start()

    def start(self) -> None:
        """Open what the rest writes to."""

    @abstractmethod
    def scalars(self, images: int, step: int, values: Values) -> None:
        """As of every sink; a tracker shows numbers at least."""

    @classmethod
    def module(cls) -> ModuleType:
        """The library; UserError with what to install where it is not here."""
        try:
            return library(cls.library)
        except ImportError as e:
            raise UserError(
                f"--track {cls.__name__.lower()} needs {cls.library} ({e}); pip install {cls.install or cls.library}"
            ) from e


def numbers(values: Values, step: int) -> dict[str, float]:
    """A line of the log as plain numbers: of a list one each, `kl_per_dim/3`; NaN for what was not finite."""
    found: dict[str, float] = {"step": step}
    for name, value in values.items():
        if value is None or isinstance(value, int | float):
            found[name] = math.nan if value is None else value
        else:
            found |= {f"{name}/{i}": math.nan if v is None else v for i, v in enumerate(value)}
    return found


def by_name(names: Sequence[str]) -> list[Callable[[Run], Sink]]:
    """The sinks that `--track` names, installed or of a plug-in; UserError for one that is not here."""
    known = {name.lower(): part.value for name, part in parts("sink").items() if not part.value.essential}
    found = []
    for name in dict.fromkeys(names):
        sink = known.get(name.lower())
        if sink is None:
            raise UserError(
                f"no tracker is named {name!r}; {nearest(name.lower(), known, f'there are {listed(known)}')}"
            )
        if issubclass(sink, Tracker) and sink.library:
            sink.module()
        found.append(sink)
    return found


def listed(known: Mapping[str, Any]) -> str:
    return ", ".join(sorted(known))
