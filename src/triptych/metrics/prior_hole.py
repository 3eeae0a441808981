"""The prior hole of an autoencoder: how much better it samples from where its codes really lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Data, Metric, Quantity, Value, to_bytes, to_inner, to_public
from triptych.core.model import conditions_of
from triptych.metrics.comparison import counted, subset
from triptych.metrics.features.extractor import Identity, extract
from triptych.metrics.frechet import frechet_from_features
from triptych.metrics.transport import sliced_wasserstein
from triptych.models.code_density import CodeDensity, fit_codes
from triptych.models.families import AEModel, Autoencoder, codes_of_data
from triptych.models.latent_space import decode, encode
from triptych.models.second_stage import MixtureOfCodes


@dataclass(frozen=True)
class PriorHole(Metric):
    """Distance to real examples of what the decoder makes of four kinds of codes: one decoder with each sampler.

    `hole_...` are sliced Wasserstein distances in public units, `hole_frechet_...` Fréchet distances, of pictures in
    the set's own features. `prior`: codes from N(0, I) (an AE has none); `gaussian` and `mixture`: from a Gaussian and
    from a mixture, its size by BIC, fitted to the codes of training examples, or from the mixture that is the model's
    second stage; `reconstruction`: the held-out examples' own codes, the best that a decoder can do. The prior hole is
    the first minus the third. Of a model with classes or numbers each is within these: densities are fitted and drawn
    from given those of the examples. Source: Ghosh et al. 2020, section 5.
    """

    needs = Autoencoder
    quantities: ClassVar[Mapping[str, Quantity]] = {
        f"hole_{short}{name}": Quantity(f"{distance} distance of decoded {codes}", "lower", rank=55)
        for short, distance in (("", "Sliced Wasserstein"), ("frechet_", "Fréchet"))
        for name, codes in {
            "prior": "draws of the prior",
            "gaussian": "draws of a Gaussian fitted to codes",
            "mixture": "draws of a mixture fitted to codes",
            "reconstruction": "codes of held-out examples",
        }.items()
    }
    points: int = 2000
    """examples a side"""
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
        z, own_y = codes_of_data(model, train, seed=self.seed)
        given, k = model.inner(own_y), model.classes
        y = model.labels(conditions_of(model, real), n, self.seed)
        asked = None if y is None else model.inner(y.cpu())
        made: dict[str, Tensor] = {}
        if not isinstance(model, AEModel):
            g = torch.Generator().manual_seed(self.seed)
            made["prior"] = torch.randn(n, model.latent, generator=g).to(model.device)
        made["gaussian"] = fit_codes(z, y=given, classes=k).draw(n, self.seed, asked)
        second = model.second
        if isinstance(second, MixtureOfCodes) and second.most > 1 and bool(second.fitted):
            mixture = second.density  # fitted to as many codes; in many dimensions that takes a minute
        else:
            mixture = fit_codes(z, None, self.seed, y=given, classes=k)
        made["mixture"] = mixture.draw(n, self.seed, asked)
        made["reconstruction"] = encode(model, x, y=y)
        own = comparison.extractors.own if real.is_images else Identity()
        features = extract(own, real)["features"] if own is not None else None
        found = {}
        for name, codes in made.items():
            fake = decode(model, codes, y=y)
            note = f"{gaussians(mixture)}, " if name == "mixture" else ""
            note += f"{len(z)} codes fitted" if name != "reconstruction" else "the best that this decoder can do"
            distance = sliced_wasserstein(x.flatten(1), fake.flatten(1), seed=self.seed)
            found[f"hole_{name}"] = comparison.value(distance, seed=self.seed, note=note)
            if own is None or features is None or n < 2:
                continue
            samples = Data("decoded", to_bytes(fake) if real.is_images else fake)
            frechet = frechet_from_features(features, extract(own, samples)["features"])
            found[f"hole_frechet_{name}"] = comparison.value(
                frechet, extractor=own.id, resize=own.resize, dtype=own.dtype, seed=self.seed, note=note
            )
        return counted(found, n)


def gaussians(density: CodeDensity) -> str:
    """How many components it has, in words; given classes how many each of them has."""
    if not density.classes:
        return f"{int((density.weights > 0).sum())} Gaussians"
    counts = (density.weights > 0).sum(1)
    low, high = int(counts.min()), int(counts.max())
    return f"{low if low == high else f'{low} to {high}'} Gaussians a class"
