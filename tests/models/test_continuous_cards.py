"""What is said of a continuous flow's likelihood and round trip."""

from __future__ import annotations

import pytest
import torch
from continuous_models import perturbed, plane
from torch import Tensor, nn

from triptych.core import Density
from triptych.data import load
from triptych.metrics.cards import EstimateCard
from triptych.metrics.comparison import Comparison
from triptych.metrics.likelihood import Likelihood
from triptych.metrics.log_likelihoods import exact
from triptych.metrics.round_trip import RoundTrip
from triptych.models.flows.coupling import RealNVP

# ------------------------------------------------------------------------------------------- cards


def test_the_card_of_an_estimate_says_how_and_whether_it_converged() -> None:
    model, data = plane(0.1), load("8gaussians")
    log_p, card = exact(model, data.x[:100])
    assert isinstance(card, EstimateCard)
    assert (card.kind, card.solver, card.tolerance, card.probes) == ("estimate", "dopri5", 1e-5, 0)
    assert card.converged
    assert card.value_at_doubled_steps == pytest.approx(card.value_at_steps, abs=0.01)
    assert card.se == pytest.approx((log_p.std() / 10).item())
    assert "NOT" not in str(card)
    finer = model.tolerance / 32  # which float32 can keep: what is compared is finer than the number, not coarser
    with torch.no_grad(), model.at_tolerance(finer):
        want = -model.log_prob(data.x[:100]).double().mean().item()
    assert card.value_at_doubled_steps == pytest.approx(want, abs=1e-6)
    with model.at_tolerance(0.01):
        _, loose = exact(model, data.x[:100])
    assert isinstance(loose, EstimateCard)
    assert loose.converged == (abs(loose.value_at_doubled_steps - loose.value_at_steps) <= 0.01)
    assert abs(loose.value_at_doubled_steps - loose.value_at_steps) > abs(
        card.value_at_doubled_steps - card.value_at_steps
    )


def test_evaluations_take_fewer_where_a_likelihood_is_dear_and_say_so() -> None:
    class Dear(Density):
        def __init__(self) -> None:
            super().__init__((2,))
            self.player = nn.Linear(1, 1)
            self.price = 1.0

        @property
        def cost(self):
            from triptych.core.model import Cost

            return Cost(likelihood=self.price)

        def log_prob(self, x: Tensor) -> Tensor:
            return x.sum(1)

    data, model = load("8gaussians"), Dear()
    cheap = Likelihood(drawn=3000)(Comparison(data, data, model=model))["nll"]
    model.price = 100_000.0
    dear = Likelihood(drawn=3000)(Comparison(data, data, model=model))["nll"]
    assert (cheap.n, dear.n) == (3000, 100)
    assert dear.card is not None
    assert dear.card["examples"] == 100


def test_a_round_trip_needs_a_density_and_a_way_back_not_a_class() -> None:
    data = load("8gaussians")
    for model in (plane(0.1, solver="rk4", steps=16), perturbed(RealNVP(layers=2, width=8).build((2,)))):
        found = RoundTrip(points=50)(Comparison(data, data, model=model))["round_trip"]
        assert found.value is not None
        assert found.value < 2e-3
    assert (
        "rk4, 16 steps"
        in RoundTrip(points=5)(Comparison(data, data, model=plane(solver="rk4", steps=16)))["round_trip"].note
    )
