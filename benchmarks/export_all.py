"""Every recipe's networks, at full width and with weights away from their start, as ONNX against PyTorch.

    python benchmarks/export_all.py [RECIPE ...] [--minutes 30]

Recipes that share a network and a shape of data are exported once, the small networks first. What was done before is
kept in the record: the script may be stopped and asked again; a recipe named is done anew. Yardsticks, fitted in
closed form, have no network and are not counted.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import replace

import torch
from common import RESULTS, record

from triptych.core import ModelSpec, Recipe
from triptych.core.model import given_to
from triptych.export import formats
from triptych.export.graphs import Graph, graphs_of
from triptych.models import second_stage
from triptych.models.build import build
from triptych.models.families import Autoencoder
from triptych.objectives.closed_form import ClosedForm
from triptych.recipes import all_recipes

NAME = "export-all"
second_stage.STEPS = 50  # a flow of codes need not be a good one here
SIDES = {"mnist": (1, 28), "binarymnist": (1, 28), "stackedmnist": (3, 28), "cifar10": (3, 32), "birds": (3, 32)}
SIDES |= {"celeba": (3, 64), "glyphs": (1, 32)}


def shape_of(recipe: Recipe) -> tuple[int, ...]:
    """The shape of the recipe's examples, without the data."""
    if recipe.data.name not in SIDES:
        return (2 - len(recipe.data.given),)
    channels, side = SIDES[recipe.data.name]
    side = int(recipe.data.resolution or side)
    return (recipe.data.channels or channels, side, side)


def network_of(recipe: Recipe) -> ModelSpec:
    """The recipe's network as its data make it: told how many numbers it is given."""
    given = len(recipe.data.given)
    return replace(recipe.model, numbers=given) if given else recipe.model  # type: ignore[call-arg]


def size(recipe: Recipe) -> float:
    """Roughly how long a network takes to export: its parameters, as often as they are passed."""
    with torch.device("meta"):
        weights = sum(w.numel() for w in network_of(recipe).build(shape_of(recipe)).parameters())
    return weights * max(1, getattr(recipe.model, "steps", 1))


def one(graph: Graph) -> dict[str, object]:
    """Export a part and compare; why not, where it cannot be exported."""
    began = time.perf_counter()
    try:
        model = formats.to_onnx(graph)
        checked = formats.check(graph, formats.run_onnx(model.SerializeToString()))
    except formats.NotExportable as e:
        return {"left_out": str(e)}
    if checked["largest_difference"] > formats.CLOSE and graph.transport is None:
        checked["float32_from_float64"] = rounding(graph)
    return checked | {"bytes": len(model.SerializeToString()), "seconds": round(time.perf_counter() - began, 1)}


def halved(graph: Graph) -> dict[str, object]:
    """A part with weights in float16; what speaks against it, where `export` would keep them in float32."""
    try:
        model = formats.halve(formats.to_onnx(graph)).SerializeToString()
        checked = formats.check(graph, formats.run_onnx(model))
    except formats.NotExportable as e:
        return {"kept": str(e)}
    if checked.get("within_a_grey_level", 1.0) < formats.NEAR:
        return {"kept": f"{checked['within_a_grey_level']:.2%} of pixels within a grey level"}
    return checked | {"bytes": len(model)}


@torch.no_grad()
def rounding(graph: Graph) -> float:
    """How far PyTorch's own float32 is from its float64 on the same inputs, measured as `formats.check` does."""
    exact, worst = copy.deepcopy(graph).double(), 0.0
    for n in formats.BATCHES:
        given = graph.all_examples(n, seed=n)
        want = exact(*(x.double() if x.is_floating_point() else x for x in given))
        worst = max(worst, float(((graph(*given) - want).abs() / want.abs().clamp_min(1)).max()))
    return worst


def all_parts(recipe: Recipe) -> dict[str, object]:
    """What each part of a recipe's model is as ONNX, and its decoder with weights in float16."""
    torch.manual_seed(0)
    model = build(network_of(recipe), shape_of(recipe)).eval()
    with torch.no_grad():
        for w in model.parameters():
            # by as much in a unit's output, however many inputs it has: wide couplings would be chaotic
            inputs = w[0].numel() if w.dim() > 1 else 1
            w.add_(min(0.02, 0.1 / math.sqrt(inputs)) * torch.randn_like(w))
    if isinstance(model, Autoencoder) and model.second is not None:
        with given_to(model, None, 2_000):
            model.second.fit(torch.randn(2_000, model.latent) ** 3, 0)
    made = graphs_of(model)
    found: dict[str, object] = {graph.name: one(graph) for graph in made}
    return found | {"decode, fp16": halved(made[0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*")
    parser.add_argument("--minutes", type=float, default=60.0)
    asked = parser.parse_args()
    file = RESULTS / f"{NAME}.json"
    rows: dict[str, dict] = json.loads(file.read_text(encoding="utf-8"))["details"]["rows"] if file.exists() else {}
    recipes = {name: recipe for name, recipe in all_recipes().items() if not isinstance(recipe.objective, ClosedForm)}
    groups: dict[str, list[str]] = {}
    for name, recipe in recipes.items():
        groups.setdefault(f"{network_of(recipe)} {shape_of(recipe)}", []).append(name)
    began = time.monotonic()
    for names in groups.values():  # other recipes may have come to a network since, before the one it was done for
        found = [rows.pop(name) for name in names if name in rows]
        if found:
            rows[names[0]] = found[0] | {"recipes": names}
    for names in sorted(groups.values(), key=lambda names: size(recipes[names[0]])):
        if asked.recipes and not set(names) & set(asked.recipes):
            continue
        if not asked.recipes and names[0] in rows:
            continue
        if time.monotonic() - began > 60 * asked.minutes:
            break
        rows[names[0]] = {"recipes": names, "parts": all_parts(recipes[names[0]])}
        print(names[0], json.dumps(rows[names[0]]["parts"]), flush=True)
        write(rows, len(recipes))
    write(rows, len(recipes))


def write(rows: dict[str, dict], total: int) -> None:
    done = sum(len(row["recipes"]) for row in rows.values())
    parts = [(name, part) for row in rows.values() for name, part in row["parts"].items()]
    whole = [part["largest_difference"] for name, part in parts if "fp16" not in name and "left_out" not in part]
    half = [part for name, part in parts if "fp16" in name and "within_a_grey_level" in part]
    near = min((part["within_a_grey_level"] for part in half), default=1.0)
    out = sum("left_out" in part for _, part in parts)
    silent = sum("left_out" in part for name, part in parts if name in ("decode", "sample"))
    kept = sum("kept" in part for _, part in parts)
    rounded = max((part["float32_from_float64"] for _, part in parts if "float32_from_float64" in part), default=0.0)
    met = done == total and max(whole, default=1.0) <= 1e-4 and near >= 0.999 and not silent
    record(
        NAME,
        "every recipe as ONNX, batches of 1, 3 and 64, against PyTorch",
        "within 1e-4; weights in float16: 99.9 % of pixels within one grey level",
        f"{done} of {total} recipes ({len(rows)} networks); largest difference {max(whole, default=0):.1e}, "
        f"{sum(d > 1e-4 for d in whole)} of {len(whole)} parts above 1e-4 "
        f"(there PyTorch's float32 is up to {rounded:.1e} from its float64); "
        f"in float16 {near:.2%} of pixels, {kept} decoders kept in float32; {out} other parts left out",
        met,
        {"rows": rows},
        "Weights are random, away from the start. Differences are relative where values are above 1.",
    )


if __name__ == "__main__":
    main()
