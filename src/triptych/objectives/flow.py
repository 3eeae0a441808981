"""Maximum likelihood for flows: the density is exact, so the loss is the negative log-likelihood itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from triptych.core import Clock, Data, Model, Move, Objective, Quantity, to_inner
from triptych.core.counts import plural
from triptych.core.labels import given
from triptych.core.objective import examples
from triptych.core.units import bits_per_dim
from triptych.errors import UserError
from triptych.models.families import FlowModel
from triptych.models.layers.bijections import Affine, DataInitialised

FITTED = 100_000
"""Most images that data-dependent initialisation uses."""


TRAINED_ON = "it is of the batches that are trained on"
SPREAD = "it is the spread of the examples"


def check_vectors(data: Data) -> None:
    """UserError for vectors that have no density: too few, not finite, or with a constant column."""
    if len(data) < 2:
        raise UserError(f"{data.name} has {plural(len(data), 'row')}; a density cannot be learned from fewer than 2")
    names = data.columns or tuple(f"column {i + 1}" for i in range(data.shape[0]))
    if not bool(torch.isfinite(data.x).all()):
        row, column = (~torch.isfinite(data.x)).nonzero()[0].tolist()
        raise UserError(
            f"{data.name} holds a value that is not finite (row {row + 1}, {names[column]}); "
            "remove such rows or fill them in"
        )
    spread = data.x.double().std(0)
    flat = spread <= 1e-6 * data.x.double().abs().amax(0).clamp_min(1e-30)
    if bool(flat.any()):
        column = int(flat.nonzero()[0])
        raise UserError(f"{names[column]} of {data.name} is constant and has no density; leave that column out")


@dataclass(frozen=True)
class NLL(Objective):
    """−E log p(x), with log p(x) = log N(f(x); 0, I) + log |det ∂f/∂x|, in nats per example.

    With classes it is −E log p(x | y).

    Pictures are whole grey levels k, and a density on them could grow without bound. Noise u in [0, 1) makes
    them continuous, and what is maximised is a lower bound of log P(k): E_q log p(k + u) − log q(u | k), with
    q = 1 unless the model has learned one.

    Sources: Dinh et al. 2017, eq. 2; Theis et al. 2016, section 3.1; Ho et al. 2019, eq. 7.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "loss": Quantity("Loss", neither=TRAINED_ON, rank=43, live=True),
        "nll": Quantity("Negative log-likelihood", "lower", unit="nats", rank=21, live=True),
        "nll_se": Quantity("Standard error of the negative log-likelihood", neither=SPREAD, unit="nats"),
        "nonfinite": Quantity("Held-out examples of no finite likelihood", neither="any above 0 is a fault"),
        "round_trip": Quantity("Error of inversion", "lower", rank=60),
        "max_log_scale": Quantity(
            "Largest log scale", neither="it only warns: near its bound of 2 the flow is strained"
        ),
        "bits_per_dim": Quantity("Bits per dimension", "lower", rank=22),
    }

    def log_likelihood(self, model: FlowModel, x: Tensor) -> Tensor:
        """Of inner examples x, in nats, (n,); for images log p((k + u) / 256) − log q(u | k) on [0, 1]^d."""
        y, log_q = model.dequantise(x)
        unit = model.latent * math.log(2) if x.dim() == 4 else 0.0
        return model.log_density(y) - log_q + unit

    def step(self, model: FlowModel, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        x, y = next(examples(model, batches))
        with given(y):
            nll = -self.log_likelihood(model, x).mean()
        yield Move(tuple(model.players), nll, {"loss": nll})

    def check(self, model: Model, data: Data, steps: int = 0) -> None:
        if not isinstance(model, FlowModel):
            raise UserError(f"NLL needs a model with an exact density; {type(model).__name__} has none: use a flow")
        if data.is_images:  # dequantised, even one has a density
            return
        check_vectors(data)

    def prepare(self, model: FlowModel, data: Data) -> None:
        """What the head of a flow takes from the data: scales and quantiles of columns, shares of grey levels.

        From every vector, or from `FITTED` images spread evenly over the set.
        """
        every = -(-len(data) // FITTED) if data.is_images else 1
        x = to_inner(data.x[::every].to(model.device))
        DataInitialised.fit_each(model.flow, x)

    def validate(self, model: FlowModel, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """Held-out negative log-likelihood with its standard error, and what goes wrong first in a flow.

        nll: nats per example (images: of the density on [0, 1]^d), over the finite ones; nonfinite: how many
        were not; bits_per_dim: images only; round_trip: largest |f⁻¹(f(x)) − x| of the first batch; max_log_scale:
        largest |log s| of an affine transform (its bound is 2).
        """
        parts, scales, round_trip, images = [], [], 0.0, False

        def watch(part: nn.Module, seen: tuple[Tensor, ...], out: Tensor) -> None:
            scales.append(Affine.bounded(out.chunk(2, dim=-1)[0]).abs().max())

        hooks = [part.net.register_forward_hook(watch) for part in model.modules() if isinstance(part, Affine)]
        for i, (x, label) in enumerate(examples(model, batches)):
            images = x.dim() == 4
            with given(label):
                parts.append(-self.log_likelihood(model, x).double())
                if i == 0:
                    y, _ = model.dequantise(x)
                    round_trip = (model.flow.inverse(model.flow(y)[0]) - y).abs().max().item()
        for hook in hooks:
            hook.remove()
        nll = torch.cat(parts)
        finite = nll[torch.isfinite(nll)]
        mean = finite.mean().item() if len(finite) else math.inf
        out = {
            "nll": mean,
            "nll_se": finite.std().item() / math.sqrt(len(finite)) if len(finite) > 1 else math.inf,
            "nonfinite": float(len(nll) - len(finite)),
            "round_trip": round_trip,
        }
        if scales:
            out["max_log_scale"] = torch.stack(scales).max().item()
        if images:
            out["bits_per_dim"] = bits_per_dim(-mean, model.shape)
        return out
