"""What executors carry out, among it the trainings of a study, and how each ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from triptych.core import Recipe, encode
from triptych.core.codec import identity
from triptych.core.contract import Contract
from triptych.errors import UserError
from triptych.system import files, names


class Work(ABC):
    """Abstract base of frozen dataclasses: something that a worker does, here or on another machine."""

    path: Path
    """what it makes; its log lies beside it, and no two are alike"""

    @abstractmethod
    def order(self, device: str) -> dict[str, Any]:
        """What a worker is told, plain values of JSON: `task`, one of those that it knows, and what that needs."""


@dataclass(frozen=True)
class Job(Work):
    """One training to be done, and where."""

    recipe: Recipe
    seed: int
    path: Path
    samples: int | None = None
    pace: Contract | None = None
    """train nothing, but tell the images that this pays for"""
    judged: bool = True
    """whether the trained run is evaluated and drawn, too"""
    track: tuple[str, ...] = ()
    """sinks that it is also shown in, by name"""

    def order(self, device: str) -> dict[str, Any]:
        order = {"task": "train" if self.pace is None else "pace", "recipe": encode(self.recipe), "seed": self.seed}
        order |= {"path": str(self.path), "samples": self.samples}
        order |= {} if self.pace is None else {"pace": self.pace.told()}
        order |= {} if self.judged else {"judged": False}
        return order | {"device": device, "track": list(self.track)}

    @property
    def series(self) -> str:
        """What the seeds of a recipe have in common: the folder's name without the seed."""
        return self.path.name.removesuffix(f"-seed{self.seed}")

    @property
    def done(self) -> bool:
        """Trained and evaluated, or diverged, which training again from the same seed would only repeat."""
        return self.state == "diverged" or (self.state == "done" and (self.path / "eval.json").is_file())

    @property
    def status(self) -> dict[str, Any]:
        """status.json; empty where there is none that can be read: the run is then not done."""
        try:
            return files.read_object(self.path / "status.json")
        except (OSError, UserError):
            return {}

    @property
    def state(self) -> str:
        """`running`, `done`, `diverged`, … as status.json has it."""
        return str(self.status.get("state", "running"))

    @property
    def message(self) -> str:
        """The line that status.json gives with it."""
        return str(self.status.get("message", ""))


AnyWork = TypeVar("AnyWork", bound=Work)


@dataclass(frozen=True)
class Outcome(Generic[AnyWork]):
    """How a job ended: `done`, `diverged` or `failed`, and the one line that says why."""

    job: AnyWork
    state: str
    message: str = ""
    seconds: float = 0.0


def run_id(recipe: Recipe, seed: int) -> str:
    """`NAME-HASH-seedN`; the hash covers everything that decides the training, but not name and description.

    UserError where the name cannot be a folder's.
    """
    return f"{names.component(recipe.name or 'run', 'the recipe')}-{identity(recipe)}-seed{seed}"


Show = Callable[[dict[Path, AnyWork], Outcome[AnyWork] | None], None]
