"""The prior hole of an autoencoder: how much better it samples from where its codes really lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Metric, Quantity, Value, to_inner, to_public
from triptych.metrics.comparison import counted, subset
from triptych.metrics.transport import sliced_wasserstein
from triptych.models.code_density import codes_of_data, fit_codes
from triptych.models.families import AEModel, Autoencoder
from triptych.models.latent_space import decode, encode


@dataclass(frozen=True)
class PriorHole(Metric):
    """Sliced Wasserstein distance to real examples, in public units, of what the decoder makes of four kinds of codes.

    `hole_prior`: codes from N(0, I) (an AE has none); `hole_gaussian` and `hole_mixture`: from a Gaussian and a
    mixture fitted to the codes of training examples; `hole_reconstruction`: the held-out examples' own codes, the
    best that a decoder can do. The prior hole is the first minus the third. Source: Ghosh et al. 2020, section 5.
    """

    needs = Autoencoder
    quantities: ClassVar[Mapping[str, Quantity]] = {
        f"hole_{name}": Quantity(f"Sliced Wasserstein distance of decoded {codes}", "lower", rank=55)
        for name, codes in {
            "prior": "draws of the prior",
            "gaussian": "draws of a Gaussian fitted to codes",
            "mixture": "draws of a mixture fitted to codes",
            "reconstruction": "codes of held-out examples",
        }.items()
    }
    points: int = 2000
    """examples a side"""
    components: int = 10
    """Gaussians in the mixture"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        if not isinstance(comparison.model, Autoencoder):
            return "the model is no autoencoder"
        return "" if comparison.train is not None else "the training examples are not at hand"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model, train = comparison.model, comparison.train
        assert isinstance(model, Autoencoder)
        assert train is not None
        real = subset(comparison.real, self.points, self.seed)
        x, n = to_public(to_inner(real.x)), len(real)
        z = codes_of_data(model, train, seed=self.seed)
        made: dict[str, Tensor] = {}
        if not isinstance(model, AEModel):
            made["prior"] = model.prior(n, torch.Generator().manual_seed(self.seed))
        made["gaussian"] = fit_codes(z).draw(n, self.seed)
        made["mixture"] = fit_codes(z, self.components, self.seed).draw(n, self.seed)
        made["reconstruction"] = encode(model, x)
        note = f"sliced Wasserstein of pixels or vectors; {len(z)} codes fitted"
        found = {}
        for name, codes in made.items():
            distance = sliced_wasserstein(x.flatten(1), decode(model, codes).flatten(1), seed=self.seed)
            found[f"hole_{name}"] = comparison.value(distance, seed=self.seed, note=note)
        return counted(found, n)
