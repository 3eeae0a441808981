"""What the explorer's page carries of one run: graphs, numbers, the data behind, and a sheet of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from triptych.core import Data, Latent, Train
from triptych.core.model import conditions_of
from triptych.core.statistics import format_number
from triptych.data import find
from triptych.errors import UserError
from triptych.export.formats import NotExportable
from triptych.export.graphs import Graph, PartName, graphs_of
from triptych.export.of_run import Precision, describe, kept_whole, written
from triptych.figures import planes, tiles
from triptych.models import latent_space
from triptych.run import data as run_data
from triptych.run import schema
from triptych.run.folder import Run
from triptych.run.shown import importance
from triptych.system.console import printable

FRAMES = 12
"""Checkpoints in the scrubber, at most."""
POINTS, SAMPLES = 2000, 500
"""Training points behind the samples of a 2-D set, and these."""
PICTURES = 1000
"""Training pictures among which the nearest are looked for."""


@dataclass(frozen=True)
class Training:
    """Whether training examples go into the page, and where they are."""

    wanted: bool = False
    where: str | None = None


@dataclass
class Embedded:
    """One model of the page."""

    about: dict[str, Any]
    """what the scripts know of it: plain JSON values"""
    sheet: Image.Image
    parts: dict[str, bytes] = field(default_factory=dict)
    terms: str = ""
    """of the training examples in the page, where there are some"""


def embed(
    name: str,
    run: Run,
    model: Latent,
    title: str,
    precision: Precision,
    training: Training,
    announce: Callable[[str], None],
) -> Embedded:
    """Export what the page needs of a run; parts are named with `name` in front. What is left out is announced."""
    images = len(model.shape) == 3
    what = "images" if images else "examples"
    about = describe(run, model, precision)
    made = Embedded(
        {
            "name": printable(title),
            "set": about["data"],
            "about": f"{about['data']}, {about['images']:,} {what} shown, seed {run.seed}",
            "shape": list(model.shape),
            "latent": model.latent,
            "spherical": model.spherical,
            "classes": [printable(name) for name in about.get("classes", [])],
            "given": [
                {k: printable(v) if isinstance(v, str) else v for k, v in one.items()} for one in about.get("given", [])
            ],
            "numbers": numbers(run),
            "verdict": verdict(run),
            "frames": [],
            "encode": None,
            "field": None,
        },
        blank(),
    )
    graphs = {graph.name: graph for graph in graphs_of(model)}
    announce(f"exporting {title}")
    packer = Packer(made, precision, announce)
    add_frames(packer, name, run, graphs)
    if images and "encode" in graphs:
        made.about["encode"] = packer.add(f"{name}-encode", graphs["encode"], about)
    field_of: PartName = "log_prob" if "log_prob" in graphs else "critic"
    if not images and field_of in graphs:
        graph = packer.add(f"{name}-field", graphs[field_of], about)
        made.about["field"] = graph and {"graph": graph, "density": field_of == "log_prob"}
    add_training(made, name, run, model, training, announce)
    return made


@dataclass(frozen=True)
class Packer:
    """Puts graphs into what the page carries of a model, and tells what is left out."""

    made: Embedded
    precision: Precision
    announce: Callable[[str], None]

    def put(self, name: str, graph: Graph, about: dict[str, Any]) -> str:
        """Put one graph into the page; its name there. NotExportable where it cannot be exported."""
        self.made.parts[name], checked = written(graph, "onnx", self.precision, about)
        if (kept := kept_whole(graph, checked, self.precision)) is not None:
            self.announce(f"{self.made.about['name']}: {kept}")
        return name

    def add(self, name: str, graph: Graph, about: dict[str, Any]) -> str | None:
        """As `put` of what the page can do without; None where it cannot be exported, which is announced."""
        try:
            return self.put(name, graph, about)
        except NotExportable as e:
            self.announce(f"left out: {e}")
            return None


def add_frames(packer: Packer, name: str, run: Run, last: Mapping[str, Graph]) -> None:
    """What decodes and what draws codes, and before it those of the checkpoints that the run was asked to keep."""
    saved = run.checkpoints() or [run.status["images"]]  # a run that was given away has weights alone
    usual = Train.__dataclass_fields__["keep"].default
    kept = saved[-1:] if run.recipe.train.keep == usual else saved
    if len(kept) > FRAMES:
        packer.announce(f"{packer.made.about['name']} kept {len(kept)} checkpoints; {FRAMES} of them are in the page")
        kept = [kept[round(i * (len(kept) - 1) / (FRAMES - 1))] for i in range(FRAMES)]
    for images in kept:
        here = images == kept[-1]
        graphs = last if here else {graph.name: graph for graph in graphs_of(run.load_at(images, "cpu"))}
        of = name if here else f"{name}-at-{images}"
        about = describe(run, graphs["decode"].model, packer.precision) | {"images": images}
        frame = {"images": images, "graph": packer.put(f"{of}-decode", graphs["decode"], about)}
        if "codes" in graphs:
            frame |= codes_of(graphs["codes"], packer.put(f"{of}-codes", graphs["codes"], about))
        packer.made.about["frames"].append(frame)


def codes_of(graph: Graph, name: str) -> dict[str, Any]:
    """What the page has to know of codes that are not plain noise: their graph, and where they lie."""
    assert graph.transport is not None
    assert isinstance(graph.model, Latent)
    there = latent_space.codes_of(graph.model)
    return {"codes": name, "takes": graph.transport.takes, "centre": there.mean.tolist(), "sd": there.sd.tolist()}


def add_training(
    made: Embedded, name: str, run: Run, model: Latent, training: Training, announce: Callable[[str], None]
) -> None:
    """The sheet of samples; behind points the data, and of pictures some to look for near ones, where asked for.

    Drawn sets are the program's own. Others go into the page only where they are asked for.
    """
    images = len(model.shape) == 3
    found = None if images and not training.wanted else own_data(run, training, announce)
    data = None if found is None else found.train
    drawn = found is not None and find(found.spec.name).drawn
    if data is not None and not drawn and not training.wanted:
        announce("the training points are left out of the page; --embed-training puts them in")
        data = None
    if data is not None and not drawn:
        made.terms = f"Training examples of {data.name} are in this page. Their terms: {terms(data)}."
    if images:
        made.sheet = tiles.tile(model.sample(16, seed=0).cpu())
        if data is not None:
            picked = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:PICTURES]
            made.parts[f"{name}-training"] = data.x[picked].numpy().tobytes()
            made.about["training"] = f"{name}-training"
        return
    y = model.labels(None, SAMPLES)
    samples = on_plane(model.sample(SAMPLES, seed=0).cpu(), y)
    points = samples if data is None else on_plane(data.x[:POINTS], conditions_of(model, data))
    centre, half = planes.view(points.float())
    made.about["view"] = {"centre": list(centre), "half": half}
    made.sheet = planes.plane_image(samples, points, model).convert("RGB")
    if data is not None:
        made.parts[f"{name}-data"] = points.numpy().astype("<f4").tobytes()
        made.about["data"] = f"{name}-data"


def on_plane(x: Tensor, y: Tensor | None) -> Tensor:
    """Points (n, 2): x itself, or of one column x (n, 1) over the first of the numbers y (n.., k) that it is given."""
    if x.shape[1] == 2:
        return x
    assert y is not None
    return torch.cat([y[: len(x), :1].cpu(), x], 1)


def own_data(run: Run, training: Training, announce: Callable[[str], None]) -> run_data.Found | None:
    """What the run was trained on, or None, announced, where it is not here; UserError where it was asked for."""
    try:
        return run_data.own(run, training.where)
    except UserError as e:
        if training.wanted:
            raise
        announce(f"drawn without the training points: {e}")
        return None


def terms(data: Data) -> str:
    return str(data.about.get("licence") or data.about.get("terms") or "not recorded; ask whoever they are from")


def blank() -> Image.Image:
    return Image.new("L", (1, 1))


def evaluated(run: Run) -> list[dict[str, Any]]:
    """The entries of eval.json, those first that say most; none where the run was not evaluated."""
    if not (run.path / "eval.json").exists():
        return []
    found = schema.read_evaluation(run.path)
    entries = [
        {"title": name} | {k: v for k, v in entry.items() if v not in (None, "")} for name, entry in found.items()
    ]
    return sorted((e for e in entries if e.get("value") is not None), key=importance)


def numbers(run: Run) -> list[dict[str, str]]:
    """Rows of a table: what it is, its value, and the same between two sets of real examples."""
    return [
        {
            "title": printable(e["title"]) + marks(e),
            "value": format_number(e["value"]) + (f" ± {format_number(e['se'])}" if "se" in e else ""),
            "floor": format_number(e["floor"]) if "floor" in e else "",
        }
        for e in evaluated(run)
    ]


def marks(entry: dict[str, Any]) -> str:
    """What stands behind a number's title: whose features it is of, and its unit."""
    found = ", ".join(printable(entry[key]) for key in ("variant", "unit") if entry.get(key))
    return f" ({found})" if found else ""


def verdict(run: Run) -> list[str]:
    """The first number in a line; then how the run ended and what was wrong with it."""
    status, rows = run.status, numbers(run)
    first = "not evaluated yet: `triptych evaluate RUN`"
    if rows:
        floor = f", real against real {rows[0]['floor']}" if rows[0]["floor"] else ""
        first = f"{rows[0]['title']}: {rows[0]['value']}{floor}"
    return [first, f"state: {status['state']}", *(f"alarm: {printable(str(a))}" for a in status.get("alarms", []))]
