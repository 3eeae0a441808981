"""Autoencoders with discrete codes: first the reconstruction, then how likely each code is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from triptych.core import Clock, Data, Model, Move, Quantity
from triptych.errors import UserError
from triptych.models.discrete import DiscreteAutoencoder
from triptych.objectives.collapse import ACTIVE_UNITS
from triptych.objectives.likelihoods import TRAINED_ON, Bounded, sse
from triptych.objectives.posterior import active
from triptych.objectives.stages import InTwoStages


@dataclass(frozen=True)
class FSQ(InTwoStages, Bounded):
    """−E log p(x|c(x)), and then −E log p(c(x)) with the codes c(x) held as they are: two stages of one run.

    The first `share` of the budget moves encoder and decoder, the rest the predictor of codes. The encoder gives each
    x one code, so that p(x) = Σ_c p(x|c) p(c) ≥ p(x|c(x)) p(c(x)): the sum of the two is an upper bound of
    −log p(x), whatever the encoder is. Sources: van den Oord et al. 2017, "Neural Discrete Representation Learning",
    section 3; Mentzer et al. 2023, "Finite Scalar Quantization".
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        **Bounded.quantities,
        "nll_codes": Quantity("−log p(codes) while training", neither=TRAINED_ON, unit="nats"),
        "val_nll_codes": Quantity(
            "Held-out −log p(codes)", neither="a code that says less is more likely", unit="nats", live=True
        ),
        "active_units": ACTIVE_UNITS,
    }
    _: KW_ONLY
    share: float = 0.35
    """part of the budget that the autoencoder takes"""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_share()

    def step(self, model: DiscreteAutoencoder, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        if clock.fraction < self.share:
            x = self.observed(next(batches), model)
            z = model.codes(x)
            y = model.decoder(z)
            recon = sse(x, self.location(y, model).detach()).mean()
            model.observe(z.detach(), self.error(recon) / x[0].numel())
            loss = -self.log_likelihood(x, y, model).mean()
            yield Move(("encoder", "decoder"), loss, {"loss": loss, "recon": recon})
        else:
            with torch.no_grad():
                z = model.codes(next(batches))
            loss = -model.log_prior(z).mean()
            yield Move("predictor", loss, {"loss": loss, "nll_codes": loss})

    def elbo(self, x: Tensor, model: DiscreteAutoencoder) -> Tensor:
        z = model.codes(x)
        return self.log_likelihood(x, model.decoder(z), model) + model.log_prior(z)

    def check(self, model: Model, data: Data, steps: int = 0) -> None:
        if not isinstance(model, DiscreteAutoencoder):
            raise UserError(
                f"FSQ trains an autoencoder with discrete codes, and {type(model).__name__} is none; use FSQTransformer"
            )
        if self.likelihood == "bernoulli":
            raise UserError("FSQ has no Bernoulli likelihood; add --objective.likelihood logistic")
        self.check_likelihood(model, data)
        self.check_steps(steps)

    def validate(self, model: DiscreteAutoencoder, batches: Iterable[Tensor], clock: Clock) -> dict[str, Any]:
        """Held-out means over examples: `val_recon` (squared error), `val_nll_codes`, `elbo` and `bits_per_dim`."""
        recon = log_p = nll = 0.0
        codes = []
        for x in batches:
            x = self.observed(x, model)
            z = model.codes(x)
            y = model.decoder(z)
            recon += sse(x, self.location(y, model)).sum().item()
            log_p += self.log_likelihood(x, y, model).sum().item()
            nll -= model.log_prior(z).sum().item()
            codes.append(z)
        z = torch.cat(codes)
        elbo = (log_p - nll) / len(z)
        return {
            "val_recon": recon / len(z),
            "val_nll_codes": nll / len(z),
            "elbo": elbo,
            "bits_per_dim": self.bits_per_dim(elbo, x),
            "active_units": float(active(z).sum()),
        }
