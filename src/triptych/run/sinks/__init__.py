"""Where the numbers, pictures and messages of a training go: files of the run folder, the terminal, a tracker.

A new place is one class derived from `Sink` in a file of its own, made with the `Run` it is to show. Training calls
every method from one thread, in the order of the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image

from triptych.figures import canvas
from triptych.run.folder import Run
from triptych.system.progress import Progress

Values = Mapping[str, float | Sequence[float] | None]
"""Numbers by name; None is one that was not finite."""


class Sink:
    """One place; each method does nothing unless a class says more."""

    essential: ClassVar[bool] = False
    """Whether its failure ends the training, as that of the run's own files does. Any other sink is left out then."""

    def scalars(self, images: int, step: int, values: Values) -> None:
        """One line of the log after `step` steps and `images` real examples: numbers, and a few lists of them."""

    def images(self, name: str, images: int, picture: Image.Image) -> None:
        """A picture of the series `name` (samples, reconstructions), made after `images` real examples."""

    def text(self, message: str) -> None:
        """A line for a person."""

    def close(self) -> None:
        """Called once, however the training ended."""


@dataclass(eq=False)
class JSONLines(Sink):
    """metrics.jsonl: a line of JSON each."""

    essential = True
    run: Run

    def scalars(self, images: int, step: int, values: Values) -> None:
        self.run.append({"images": images, "step": step, **values})


@dataclass(eq=False)
class PictureFiles(Sink):
    """SERIES/IMAGES.png: of samples, reconstructions, cooled."""

    essential = True
    run: Run

    def images(self, name: str, images: int, picture: Image.Image) -> None:
        canvas.save_picture(picture, self.run.path / name / f"{images:09d}.png")


@dataclass(eq=False)
class Terminal(Sink):
    """A few numbers beside the progress bar, and messages above it."""

    essential = True
    bar: Progress

    def scalars(self, images: int, step: int, values: Values) -> None:
        self.bar.show({"images": images, "step": step, **values})

    def text(self, message: str) -> None:
        self.bar.say(message)
