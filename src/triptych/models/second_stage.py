"""The second stage of an autoencoder: a density fitted to the codes of its training examples, to sample from.

An autoencoder has no prior, and the codes of a VAE leave holes in theirs. The networks are trained first, then this is
fitted to their codes, once. Of a model that is conditioned on classes or numbers it is a density of codes given these.
Sources: Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", section 3;
Dai & Wipf 2019, "Diagnosing and Enhancing VAE Models", section 4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from triptych.core.labels import given
from triptych.core.transport import Transport
from triptych.errors import UserError
from triptych.models.code_density import LEADING, SIZES, CodeDensity, fit_codes, principal, whitened
from triptych.models.code_sampler import Codes, CodeSampler
from triptych.models.flows.coupling import NSF
from triptych.models.layers.bijections import DataInitialised

STEPS, BATCH, RATE = 2_000, 512, 3e-3
"""Of the flow's training: 20 seconds of one core at 16 latent dimensions."""
HELD = 2**22
"""Most numbers in the factors of all components, 16 MiB of each checkpoint: many classes have fewer components each."""


class MixtureOfCodes(CodeSampler):
    """A Gaussian of the codes, or a mixture in their leading principal directions, as many as the BIC chooses.

    One for each class, or one given numbers, where there are `classes`: see `CodeDensity`.
    """

    mean: Tensor
    axes: Tensor
    weights: Tensor
    centres: Tensor
    factors: Tensor

    def __init__(self, latent: int, most: int, classes: int = 0) -> None:
        super().__init__(classes)
        p = min(latent, LEADING) + self.numbers
        each = () if self.numbers or not classes else (classes,)
        self.most = most = max(1, min(most, HELD // (math.prod(each) * p * p)))
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("axes", torch.eye(latent))
        self.register_buffer("weights", torch.full((*each, most), 1 / most))
        self.register_buffer("centres", torch.zeros(*each, most, p))
        self.register_buffer("factors", torch.eye(p).repeat(*each, most, 1, 1))

    def learn(self, z: Tensor, seed: int) -> None:
        components = 1 if self.most == 1 else None
        found = fit_codes(z, components, seed, y=self.at_hand(len(z)), classes=self.classes, most=self.most)
        self.few = found.few
        self.mean.copy_(found.mean)
        self.axes.copy_(found.axes)
        k, p = found.centres.shape[-2:]
        self.weights.zero_()
        self.weights[..., :k] = found.weights.to(self.weights)
        self.centres.zero_()
        self.centres[..., :k, :p] = found.centres.to(self.centres)
        self.factors[..., :k, :p, :p] = found.factors.to(self.factors)

    @property
    def density(self) -> CodeDensity:
        parts = (self.mean, self.axes, self.weights, self.centres, self.factors)
        return CodeDensity(*(w.double().cpu() for w in parts), numbers=self.numbers)

    def log_prob(self, z: Tensor) -> Tensor:
        return self.density.log_prob(z.cpu(), self.at_hand(len(z)))

    def transport(self) -> Transport:
        """Of several components the first number chooses one, by the shares of the normal distribution.

        What has shares of classes is drawn from that with the largest.
        """
        chosen = (self.weights > 0).reshape(-1, self.most).any(0)
        some = (slice(None), chosen) if self.classes else (chosen,)
        parts = (self.weights[some], self.centres[some], self.factors[some])
        density = CodeDensity(self.mean, self.axes, *parts, numbers=self.numbers)
        several = density.weights.shape[-1] > 1
        shares = density.weights.cpu().double().cumsum(-1)
        edges = torch.special.ndtri((shares[..., :-1] / shares[..., -1:]).clamp(0, 1)).to(self.mean)
        if self.numbers:
            # a property that is kept: made before anything is traced, it is a constant of the graph
            density.slopes  # noqa: B018

        def component(noise: Tensor, y: Tensor | None) -> Tensor:
            if self.numbers:
                below = density.weights_given(y).cumsum(1)[:, :-1]
                return (0.5 * (1 + torch.erf(noise / math.sqrt(2))) >= below).sum(1)
            return (noise >= (edges if y is None else edges[y])).sum(1)

        def codes(noise: Tensor, _: Tensor | None) -> Tensor:
            y = self.at_hand(noise.shape[0])
            if self.classes and y is not None and y.dim() == 2:
                y = y.argmax(1)
            which = component(noise[:, :1], y) if several else torch.zeros_like(noise[:, 0], dtype=torch.int64)
            return density.place(noise[:, int(several) :], which, y)

        return Transport(len(self.mean) + several, codes)


class FlowOfCodes(CodeSampler):
    """A spline flow on the leading principal directions of the codes, whitened; the others are Gaussian.

    Where there are `classes` or numbers its couplings see them, as those of a conditional flow do.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, latent: int, classes: int = 0) -> None:
        super().__init__(classes)
        self.p = min(latent, LEADING)
        self.flow = NSF(layers=4, width=64, bins=8, classes=self.classes, numbers=self.numbers).build((self.p,))
        self.flow.requires_grad_(requires_grad=False)
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("axes", torch.eye(latent))

    def learn(self, z: Tensor, seed: int) -> None:
        y = self.at_hand(len(z))
        z = z.double().cpu()
        mean = z.mean(0)
        axes, _ = principal((z - mean).T @ (z - mean) / len(z), self.p)
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        u = whitened(z, mean, axes, self.p).to(self.mean)
        DataInitialised.fit_each(self.flow.flow, u)
        weights = list(self.flow.requires_grad_().parameters())
        optimizer = torch.optim.Adam(weights, RATE)
        g = torch.Generator().manual_seed(seed)
        with torch.enable_grad():
            for step in range(STEPS):
                optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
                rows = torch.randint(len(u), (BATCH,), generator=g)
                with given(None if y is None else y[rows.to(y.device)]):
                    loss = -self.flow.log_density(u[rows]).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, 10.0)
                optimizer.step()
        optimizer.zero_grad()
        self.flow.requires_grad_(requires_grad=False)

    def transport(self) -> Transport:
        def codes(noise: Tensor, _: Tensor | None) -> Tensor:
            leading = self.flow.flow.inverse(noise[:, : self.p])
            return self.mean + torch.cat([leading, noise[:, self.p :]], 1) @ self.axes.T

        return Transport(len(self.mean), codes)

    def log_prob(self, z: Tensor) -> Tensor:
        scale = self.axes.double().square().sum(0).sqrt().clamp_min(1e-12)
        u = (z.double() - self.mean) @ self.axes.double() / scale.square()
        log_p = self.flow.log_density(u[:, : self.p].to(self.mean)).double()
        rest = u[:, self.p :]
        return log_p - 0.5 * rest.square().sum(1) - 0.5 * rest.shape[1] * math.log(2 * math.pi) - scale.log().sum()


def second_stage(codes: Codes, latent: int, classes: int = 0) -> CodeSampler | None:
    """What `codes` names, not fitted yet, given so many classes or `Numbers`; None for the prior."""
    if codes == "prior":
        return None
    if codes == "flow" and latent < 2:
        raise UserError("a flow of codes needs at least 2 latent dimensions; take --model.codes mixture")
    if codes == "flow":
        return FlowOfCodes(latent, classes)
    return MixtureOfCodes(latent, 1 if codes == "gaussian" else max(SIZES), classes)
