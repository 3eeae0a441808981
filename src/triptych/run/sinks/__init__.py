"""Where the numbers, pictures and messages of a training go: files of the run folder, the terminal, a tracker.

A new place is one class derived from `Sink` in a file of its own, made with the `Run` it is to show. Training calls
every method from one thread, in the order of the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


class Sinks(Sink):
    """Several places as one. One that is not essential and fails is named once and left out from then on.

    It is named in the others, or by `say` where that is given, and stands in `failed` with the reason.
    """

    def __init__(
        self,
        own: Sequence[Sink],
        others: Iterable[Callable[[Run], Sink]],
        run: Run,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.open = list(own)
        self.failed: list[str] = []
        self.say = self.text if say is None else say
        for make in others:
            try:
                self.open.append(make(run))
            except Exception as e:
                self._left_out(getattr(make, "__name__", type(make).__name__), e)

    def scalars(self, images: int, step: int, values: Values) -> None:
        self._each(lambda sink: sink.scalars(images, step, values))

    def images(self, name: str, images: int, picture: Image.Image) -> None:
        self._each(lambda sink: sink.images(name, images, picture))

    def text(self, message: str) -> None:
        self._each(lambda sink: sink.text(message))

    def close(self) -> None:
        self._each(lambda sink: sink.close())

    def _each(self, call: Callable[[Sink], None]) -> None:
        failed: list[tuple[Sink, Exception]] = []
        for sink in self.open:
            try:
                call(sink)
            except Exception as e:
                if sink.essential:
                    raise
                failed.append((sink, e))
        gone = {id(sink) for sink, _ in failed}
        self.open = [sink for sink in self.open if id(sink) not in gone]
        for sink, e in failed:
            self._left_out(type(sink).__name__, e)

    def _left_out(self, name: str, e: Exception) -> None:
        reason = " ".join(str(e).split())[:200] or type(e).__name__
        self.failed.append(f"{name} ({reason})")
        self.say(f"{name} failed ({reason}) and is left out from here on; the run folder has everything")
