"""What every metric of `metrics/` promises, on vectors and on pictures."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from triptych.core import Data, Metric, Value, discover
from triptych.metrics.comparison import Case
from triptych.metrics.features.self_trained import extractor_for
from triptych.models import GANModel

METRICS = discover("metrics", Metric)


class Pixels(torch.nn.Module):
    """z (n, 2) to flat pictures of two grey levels."""

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.ones(()))

    def forward(self, z):
        return (z[:, :1, None, None] * self.level).tanh().expand(-1, 1, 8, 8)


def cases():
    g = torch.Generator().manual_seed(0)
    points = [torch.randn(60, 2, generator=g) for _ in range(2)]
    pictures = [torch.randint(0, 256, (40, 1, 8, 8), generator=g, dtype=torch.uint8) for _ in range(2)]
    vectors = GANModel((2,), 2, torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    images = GANModel((1, 8, 8), 2, Pixels(), torch.nn.Flatten())
    real = Data("pictures", pictures[0], labels=torch.arange(40) % 4)
    return {
        "vectors": Case(Data("points", points[0]), Data("samples", points[1]), model=vectors),
        "pictures": Case(real, Data("samples", pictures[1]), model=images, extractors=(extractor_for(real),)),
    }


@pytest.fixture(params=["vectors", "pictures"])
def case(request):
    return cases()[request.param]


@pytest.mark.parametrize("name", METRICS)
def test_metric(name, case):
    metric = METRICS[name]()
    assert dataclasses.is_dataclass(metric)
    assert metric.__dataclass_params__.frozen
    assert METRICS[name].__doc__
    why_not = metric.applies(case)
    assert isinstance(why_not, str)
    if why_not:
        return
    state = torch.get_rng_state()
    found = metric(case)
    assert torch.equal(state, torch.get_rng_state()), "the global random state was touched"
    assert found
    for key, value in found.items():
        assert key.isidentifier()
        assert isinstance(value, Value)
        assert value.n > 0
        assert value.reference
        assert (value.value is None) == bool(value.value is None and value.note)
        assert value.value is None or math.isfinite(value.value)
        assert (value.floor is None) == (value.floor_n is None)
        json.dumps(dataclasses.asdict(value))
    assert {k: v.value for k, v in metric(case).items()} == {k: v.value for k, v in found.items()}
