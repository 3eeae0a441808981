"""MLflow."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from PIL import Image

from triptych.run.sinks import Values
from triptych.run.sinks.trackers import Tracker, numbers

LONGEST = 500
"""Characters of a parameter's value that every store takes."""


@dataclass(eq=False)
class MLflow(Tracker):
    """A run of the experiment `triptych` ($MLFLOW_EXPERIMENT_NAME), tagged with its group.

    At $MLFLOW_TRACKING_URI; without one in `trackers/mlflow.db` beside the run. Steps count images.
    """

    library = "mlflow"
    install = "mlflow"

    def start(self) -> None:
        mlflow, shown = self.module(), self.shown
        where: dict[str, Any] = {}
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            shown.folder.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{shown.folder.absolute() / 'mlflow.db'}"
            where["artifact_location"] = (shown.folder.absolute() / "mlflow").as_uri()
        self.client = mlflow.MlflowClient(tracking_uri=uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "triptych")
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self.client.create_experiment(name, **where)
        before = self.client.search_runs([experiment], f"tags.`triptych.id` = '{shown.id}'", max_results=1)
        if before:  # it goes on
            self.id = before[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
            return
        tags = {"triptych.id": shown.id, "group": shown.group}
        self.id = self.client.create_run(experiment, tags=tags, run_name=shown.name).info.run_id
        for key, value in shown.settings.items():
            self.client.log_param(self.id, key, str(value)[:LONGEST])

    def scalars(self, images: int, step: int, values: Values) -> None:
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, [Metric(k, v, now, images) for k, v in numbers(values, step).items()])

    def images(self, name: str, images: int, picture: Image.Image) -> None:
        self.client.log_image(self.id, picture, key=name, step=images)

    def close(self) -> None:
        self.client.set_terminated(self.id)
