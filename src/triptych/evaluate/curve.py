"""Distance against images shown: from the log of a run, and from the checkpoints that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.core import Sampler
from triptych.errors import UserError
from triptych.evaluate.protocol import own_extractors
from triptych.evaluate.while_training import during_training, left_out_along, of_features, quantities, samples_along
from triptych.figures.charts import panels
from triptych.metrics.features.contrasts import SEEDS
from triptych.run import data as run_data
from triptych.run import json_types, schema
from triptych.run.folder import Run
from triptych.system.device import pick_device
from triptych.system.files import write_json
from triptych.system.progress import bars

SPAN = 30
"""Most over least from which on an axis is of powers of ten."""
SHOWN = 3
"""Numbers that are drawn, a panel each, the first by their rank."""


def judge_checkpoints(run: Run, data: str | None = None, device: str = "auto", *, progress: bool = False) -> Path:
    """The numbers of the log, made of every kept checkpoint, into `curve.json`; draws the curve and returns its path.

    Checkpoints that were judged before, by the same extractors, and are gone since keep their place. UserError for
    runs that are not on images, or on too few, and models that cannot sample.
    """
    found = run_data.own(run, data)
    train, test = found.train, found.test()
    if not train.is_images:
        raise UserError(f"{run.path} is on vectors, whose log has every distance; --curve is for images")
    if why := left_out_along(train, test, run.recipe.train.images) if len(train if test is None else test) < 4 else "":
        raise UserError(f"{run.path} has no curve: {why}; give it more examples")
    saved = run.checkpoints()
    if not saved:
        run.newest()  # says that there is none
    extractors = own_extractors(train, test, SEEDS[:1], bars(shown=progress)).on(pick_device(device))
    ids = [e.id for e in extractors.of_features]
    known = schema.read_curve(run.path)
    lines = {line["images"]: line for line in known["lines"] if known["extractors"] == ids}
    bar = bars(shown=progress)
    update = bar("checkpoints") if bar else None
    for i, images in enumerate(saved):
        model = run.load_at(images, device)
        if not isinstance(model, Sampler):
            raise UserError(f"{type(model).__name__} cannot sample, so that there is no curve of it; leave --curve out")
        graphics = model.device.type == "cuda"
        n = samples_along(train, run.recipe.train.images, graphics=graphics)
        told = during_training(model, train, test, n, run.seed, extractors)
        lines[images] = {"images": images, **told}
        if update:
            update(i + 1, len(saved))
    write_json(run.path / "curve.json", {"extractors": ids, "lines": [lines[k] for k in sorted(lines)]})
    drawn = draw_curve(run)
    if drawn is None:
        raise UserError(
            f"{run.path} keeps one checkpoint, and a curve takes two; its numbers are in {run.path / 'curve.json'}"
        )
    return drawn


def curve(run: Run) -> list[Mapping[str, Any]]:
    """The lines of the log, with what was made of checkpoints since."""
    return schema.with_curve(run.lines(), schema.read_curve(run.path)["lines"])


def draw_curve(run: Run) -> Path | None:
    """`curve.png` in the run folder: distance and coverage against images shown; None where there are no two points."""
    lines, known = curve(run), quantities()
    charts, powers = {}, []
    for name in of_features():
        points = [(float(line["images"]), float(line[name])) for line in lines if json_types.is_number(line.get(name))]
        if len(points) > 1 and len(charts) < SHOWN:
            title = known[name].name
            charts[title] = {run.name: [points]}
            least, most = min(y for _, y in points), max(y for _, y in points)
            powers += [title] if least > 0 and most > SPAN * least else []
    return panels(charts, run.path / "curve.png", xlabel="images shown", powers=powers) if charts else None
