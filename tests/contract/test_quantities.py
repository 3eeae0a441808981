"""Every number says what it is: whoever makes one has declared it, and nobody else keeps a list of names."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import trainable
from torch import Tensor, nn

import triptych
from triptych.core import Clock, Data, Extractor, Metric, Objective, Quantity, Value, discover
from triptych.core.columns import Column, Columns
from triptych.core.features import Extractors
from triptych.core.metric import described
from triptych.core.quantity import BOOKKEEPING, TOLD, live, read_back, undeclared
from triptych.data import load
from triptych.data.batches import Batches, InOrder
from triptych.metrics.comparison import Comparison, fresh, subset
from triptych.metrics.features.extractor import Inception
from triptych.metrics.features.self_trained import Offline
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.models.two_stages import LatentUNet
from triptych.objectives.autoencoder import VAE
from triptych.run import schema
from triptych.trainer.quantities import logged

METRICS, OBJECTIVES = discover("metrics", Metric), discover("objectives", Objective)
SMALL = {"points": 60, "matched": 40, "drawn": 60, "codes": 2, "components": 2, "subsets": 2, "size": 20}
"""Fields of metrics that make them quick."""


def inception() -> Inception:
    """Features and logits of the right names from a fixed projection: no weights are here."""
    weights = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))

    def net(images: Tensor) -> Mapping[str, Tensor]:
        features = images[:, :1, ::2, ::2].float().flatten(1)[:, :64] @ weights / 255
        return {"features": features, "logits": features, "logits_unbiased": features}

    return Inception(net, "inception:0")


class Told(nn.Module):
    """Features and ten classes from a fixed projection of the pixels."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.flatten(1)
        features = flat @ torch.randn(flat.shape[1], 10, generator=torch.Generator().manual_seed(0))
        return features, 9 * features


def classifier() -> Offline:
    return Offline(Told(), "classifier", "classifier:0", accuracy=0.95, accuracy_n=100)


def comparisons() -> Iterator[Comparison]:
    """Small comparisons, among them one that every metric applies to."""
    torch.manual_seed(0)  # untrained networks, and whether their samples have two classes, come from it
    toy = load("8gaussians")
    real, fake = (dataclasses.replace(toy, x=toy.sample(80, seed)) for seed in (1, 2))
    vae = MLPAutoencoder(latent=2, width=8, variational=True)
    for model in (MLPGAN(width=8).build((2,)), RealNVP(width=8, layers=2).build((2,)), vae.build((2,))):
        yield Comparison(real, Data("samples", fake.x), model=model, objective=VAE(), train=toy)
    moons = load("moons")
    flow = RealNVP(width=8, layers=2, classes=2).build((2,))
    yield Comparison(fresh(moons, 80, 1, labelled=True), fresh(moons, 80, 2, labelled=True), model=flow, train=moons)
    semi = dataclasses.replace(vae, classes=2, classifier=True).build((2,))
    yield Comparison(fresh(moons, 80, 1, labelled=True), Data("samples", moons.x[:80]), model=semi, train=moons)
    glyphs = load("glyphs")
    some = [subset(glyphs, 120, seed) for seed in range(3)]
    shape = glyphs.shape
    coded = LatentUNet(width=8, flow_width=8, flow_depth=1, side=8, codes=2)
    models = (vae.build(shape), MLPGAN(latent=2, width=8).build(shape), coded.build(shape))
    for model in models:
        yield Comparison(
            some[0],
            Data("samples", some[1].x),
            model=model,
            objective=VAE(),
            train=some[2],
            extractors=Extractors(
                own=classifier(), beside=(dataclasses.replace(classifier(), beside=True),), inception=inception()
            ),
        )
    columns = Columns((Column("x", "number", scale=1.0), Column("kind", "category", values=("a", "b"))))
    rows = [columns.encode([np.linspace(-1, 1, 40) ** k, np.arange(40.0) % 2]) for k in (1, 3)]
    table = Data("rows", rows[0], typed=columns)
    yield Comparison(table, dataclasses.replace(table, x=rows[1]))
    extractors = Extractors(own=classifier())
    few = [dataclasses.replace(d, labels=d.factors["class"] % 3, classes=()) for d in some]
    yield Comparison(few[0], few[1], extra_real=few[2], extractors=extractors)
    stacked = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    digits = Extractors(digits=classifier())
    yield Comparison(Data("stacked", stacked[:20]), Data("samples", stacked[20:]), extractors=digits)


@pytest.fixture(scope="module")
def values() -> dict[str, dict[str, Value]]:
    """What every metric makes of the comparisons."""
    found: dict[str, dict[str, Value]] = {}
    for comparison in comparisons():
        for name, cls in METRICS.items():
            names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
            metric = cls(**{k: v for k, v in SMALL.items() if k in names})
            if (comparison.model is None or isinstance(comparison.model, cls.needs)) and not metric.applies(comparison):
                found.setdefault(name, {}).update(metric.evaluated(comparison))
    return found


@pytest.mark.parametrize("name", METRICS)
def test_every_number_of_a_metric_has_a_direction_or_says_why_not(name: str, values) -> None:
    assert values[name], "no comparison of this test makes the metric run"
    for key, value in values[name].items():
        assert value.title, key
        assert bool(value.better) != bool(value.neither), key
        assert read_back(dataclasses.asdict(value)).name


def test_every_declared_quantity_is_made(values) -> None:
    """A declaration that nothing makes is a mistake in its name."""
    for name, cls in METRICS.items():
        made = {v.quantity for v in values[name].values()} | values[name].keys()
        on_the_way = {k for k, q in cls.quantities.items() if q.logged}
        assert set(cls.quantities) <= made | on_the_way, name


def test_what_metrics_log_on_the_way_is_declared_for_those_data() -> None:
    seen = set()
    for comparison in comparisons():
        kind = "images" if comparison.is_images else "vectors"
        for cls in METRICS.values():
            if comparison.model is None or isinstance(comparison.model, cls.needs):
                for key in cls().along(comparison):
                    assert cls.quantities[key].logged == kind, key
                    seen.add(key)
    assert seen == {k for cls in METRICS.values() for k, q in cls.quantities.items() if q.logged}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_number_an_objective_logs_is_declared(name: str) -> None:
    objective = OBJECTIVES[name]()
    spec, data = trainable(objective)
    model = spec.build(data.shape)
    objective.prepare(model, data)
    clock = Clock(0, 0, 0.0, 10)
    made = set(objective.validate(model, InOrder(data, 64, torch.device("cpu"), 128), clock))
    for move in objective.step(model, Batches(data, 32, 0, torch.device("cpu")), clock):
        made |= set(move.logs)
    assert made <= objective.quantities.keys()
    assert not made & set(BOOKKEEPING)
    assert all("loss" not in k or not q.better for k, q in objective.quantities.items()), "a loss ranks nobody"


@pytest.mark.parametrize("fields", [{}, {"better": "lower", "neither": "why"}, {"better": "down"}])
def test_a_quantity_without_a_direction_or_reason_is_an_error(fields: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="better"):
        Quantity("Number", **fields)


def test_a_number_that_is_not_declared_is_an_error() -> None:
    known = {"a": Quantity("A", "lower")}
    with pytest.raises(TypeError, match="'b' is not declared"):
        described({"b": Value(1.0, 1)}, known)
    with pytest.raises(TypeError, match="'a_best' is not declared"):
        described({"a_best": Value(1.0, 1)}, known)


def test_what_is_told_of_a_number_has_a_place_in_every_file_and_is_checked_there() -> None:
    assert set(TOLD) <= {f.name for f in dataclasses.fields(Value)}, "in eval.json"
    assert set(TOLD) == set(schema.QUANTITY), "in eval.json and env.json, read back"


def test_a_variant_is_told_by_who_makes_the_name() -> None:
    known = {"a": Quantity("A", "higher", unit="nats"), "famous": Quantity("Famous", "lower")}
    found = described(
        {"a_far": Value(1.0, 1, quantity="a", variant="far"), "famous": Value(1.0, 1, quantity="a")}, known
    )
    assert (found["a_far"].better, read_back(vars(found["a_far"])).name) == ("higher", "A, far (nats)")
    assert (found["famous"].better, found["famous"].title) == ("lower", "Famous")


def test_extractors_name_variants() -> None:
    class Mine(Extractor):
        label = "mine"

        def __call__(self, examples: Tensor) -> Mapping[str, Tensor]:
            return {"features": examples.flatten(1).float()}

        def name(self, base: str) -> str:
            return f"{base}_mine"

    mine = Mine()
    mine.id, mine.resize, mine.dtype = "mine", "none", "float32"
    x = torch.randint(0, 256, (30, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    comparison = Comparison(Data("a", x[:15]), Data("b", x[15:]), extractors=Extractors(own=mine))
    found = METRICS["Neighbours"]().evaluated(comparison) | METRICS["Frechet"]().evaluated(comparison)
    assert {k: v.better for k, v in found.items()} == {
        "precision_mine": "higher",
        "recall_mine": "higher",
        "density_mine": "higher",
        "coverage_mine": "higher",
        "frechet_mine": "lower",
    }
    assert {v.variant for v in found.values()} == {"mine"}


def test_the_progress_bar_shows_the_most_telling_numbers_first() -> None:
    assert live(logged(OBJECTIVES["VAE"]()))[:2] == ["modes", "high_quality"]
    assert [k for k in live(logged(OBJECTIVES["GAN"]())) if k.endswith("loss")] == ["critic_loss", "generator_loss"]
    assert live({"a": Quantity("A", "lower", rank=9, live=True), "b": Quantity("B", "lower", rank=1, live=True)}) == [
        "b",
        "a",
    ]


def test_what_nobody_declared_has_no_direction() -> None:
    assert (undeclared("so-and_so").name, undeclared("so").sign) == ("So and so", 0)


def names_in(node: ast.AST) -> list[str]:
    """The texts that a tuple, list or set holds, or the keys of a dictionary."""
    parts = (
        node.elts
        if isinstance(node, ast.Tuple | ast.List | ast.Set)
        else node.keys
        if isinstance(node, ast.Dict)
        else []
    )
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


def test_there_is_no_list_of_names_of_numbers_outside_the_metrics_and_objectives() -> None:
    known = {k for cls in (*METRICS.values(), *OBJECTIVES.values()) for k in cls.quantities}
    root = Path(triptych.__file__).parent
    lists = []
    for file in root.rglob("*.py"):
        if file.relative_to(root).parts[0] in ("metrics", "objectives"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if len(told := known & set(names_in(node))) > 1:
                lists.append(f"{file.relative_to(root)}:{getattr(node, 'lineno', 0)}: {sorted(told)}")
    assert not lists
