"""Weights & Biases."""

from __future__ import annotations

import os
from dataclasses import dataclass

from PIL import Image

from triptych.run.sinks import Values
from triptych.run.sinks.trackers import Tracker, numbers


@dataclass(eq=False)
class WandB(Tracker):
    """A run of the project `triptych` ($WANDB_PROJECT), its seeds a group.

    Online for whom is logged in; else offline, in `trackers/wandb` beside the run, from where `wandb sync` sends it.
    $WANDB_MODE decides otherwise.
    """

    library = "wandb"
    install = "'triptych[trackers]'"

    def start(self) -> None:
        wandb = self.module()
        mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False) else "offline")
        if mode != "online":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would ask its own server
        self.shown.folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "triptych"),
            name=self.shown.name,
            group=self.shown.group,
            id=self.shown.id,
            config=dict(self.shown.settings),
            dir=str(self.shown.folder),
            mode=mode,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", save_code=False),
        )
        self.run.define_metric("*", step_metric="images")

    def scalars(self, images: int, step: int, values: Values) -> None:
        self.run.log({**numbers(values, step), "images": images})

    def images(self, name: str, images: int, picture: Image.Image) -> None:
        self.run.log({name: self.module().Image(picture), "images": images})

    def close(self) -> None:
        self.run.finish()
