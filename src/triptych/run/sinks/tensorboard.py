"""TensorBoard's event files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from triptych.run.sinks import Values
from triptych.run.sinks.trackers import Tracker, numbers


@dataclass(eq=False)
class TensorBoard(Tracker):
    """Event files in `trackers/tensorboard/GROUP/RUN` beside the run: `tensorboard --logdir` shows them.

    TensorBoard keeps numbers as float32. The axis counts images.
    """

    library = "torch.utils.tensorboard"
    install = "'triptych[trackers]'"

    def start(self) -> None:
        self.folder = self.shown.folder / "tensorboard" / self.shown.group / self.shown.name
        self.writer = None
        self.last = 0

    def scalars(self, images: int, step: int, values: Values) -> None:
        self.last = images
        if self.writer is None:  # what an earlier process wrote behind here no longer stands
            self.writer = self.module().SummaryWriter(str(self.folder), purge_step=images)
            settings = "\n".join(f"    {k}: {v}" for k, v in self.shown.settings.items())
            self.writer.add_text("settings", settings, images)
        for name, value in numbers(values, step).items():
            self.writer.add_scalar(name, value, images)

    def images(self, name: str, images: int, picture: Image.Image) -> None:
        if self.writer is not None:
            self.writer.add_image(name, np.asarray(picture.convert("RGB")), images, dataformats="HWC")

    def text(self, message: str) -> None:
        if self.writer is not None:
            self.writer.add_text("messages", message, self.last)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
