"""Several sinks as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from PIL import Image

from triptych.run.folder import Run
from triptych.run.sinks import Sink, Values


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
            except Exception as e:  # whatever somebody else's tracker raises at its start
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
            except Exception as e:  # or on its way
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
