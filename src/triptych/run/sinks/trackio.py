"""Trackio."""

from __future__ import annotations

import os
from dataclasses import dataclass

from PIL import Image

from triptych.run.sinks import Values
from triptych.run.sinks.trackers import Tracker, numbers


@dataclass(eq=False)
class Trackio(Tracker):
    """A run of the project `triptych` ($TRACKIO_PROJECT) in trackio's local store; `trackio show` shows it.

    Steps count images.
    """

    library = "trackio"
    install = "trackio"

    def start(self) -> None:
        self.run = self.module().init(
            project=os.environ.get("TRACKIO_PROJECT", "triptych"),
            name=f"{self.shown.name}-{self.shown.id[:6]}",
            group=self.shown.group,
            config=dict(self.shown.settings),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def scalars(self, images: int, step: int, values: Values) -> None:
        self.run.log(numbers(values, step), step=images)

    def images(self, name: str, images: int, picture: Image.Image) -> None:
        self.run.log({name: self.module().Image(picture)}, step=images)

    def close(self) -> None:
        self.run.finish()
