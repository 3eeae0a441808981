"""The second stage of an autoencoder: a density fitted to the codes of its training examples, to sample from.

An autoencoder has no prior, and the codes of a VAE leave holes in theirs. The networks are trained first, then this is
fitted to their codes, once. Sources: Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", section 3;
Dai & Wipf 2019, "Diagnosing and Enhancing VAE Models", section 4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from triptych.core.transport import Transport
from triptych.errors import UserError
from triptych.models.code_density import LEADING, SIZES, CodeDensity, fit_chosen, fit_codes, principal, whitened
from triptych.models.families import Codes, CodeSampler
from triptych.models.flows.coupling import NSF
from triptych.models.layers.bijections import DataInitialised

STEPS, BATCH, RATE = 2_000, 512, 3e-3
"""Of the flow's training: 20 seconds of one core at 16 latent dimensions."""


class MixtureOfCodes(CodeSampler):
    """A Gaussian of the codes, or a mixture in their leading principal directions, as many as the BIC chooses."""

    mean: Tensor
    axes: Tensor
    weights: Tensor
    centres: Tensor
    factors: Tensor

    def __init__(self, latent: int, most: int) -> None:
        super().__init__()
        p = min(latent, LEADING)
        self.most = most
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("axes", torch.eye(latent))
        self.register_buffer("weights", torch.full((most,), 1 / most))
        self.register_buffer("centres", torch.zeros(most, p))
        self.register_buffer("factors", torch.eye(p).repeat(most, 1, 1))

    def learn(self, z: Tensor, seed: int) -> None:
        found = fit_codes(z, 1) if self.most == 1 else fit_chosen(z, seed)
        self.mean.copy_(found.mean)
        self.axes.copy_(found.axes)
        k, p = found.centres.shape
        self.weights.zero_()
        self.weights[:k] = found.weights.to(self.weights)
        self.centres.zero_()
        self.centres[:k, :p] = found.centres.to(self.centres)
        self.factors[:k, :p, :p] = found.factors.to(self.factors)

    @property
    def density(self) -> CodeDensity:
        parts = (self.mean, self.axes, self.weights, self.centres, self.factors)
        return CodeDensity(*(w.double().cpu() for w in parts))

    def log_prob(self, z: Tensor) -> Tensor:
        return self.density.log_prob(z.cpu())

    def transport(self) -> Transport:
        """Of several components the first number chooses one, by the shares of the normal distribution."""
        chosen = self.weights > 0
        shares = self.weights[chosen].cpu().double().cumsum(0)
        edges = torch.special.ndtri((shares[:-1] / shares[-1]).clamp(0, 1)).to(self.mean)
        mean, axes, centres, factors = self.mean, self.axes, self.centres[chosen], self.factors[chosen]
        several, p = len(shares) > 1, centres.shape[1]

        def codes(noise: Tensor, y: Tensor | None) -> Tensor:
            if several:
                which, u = (noise[:, :1] >= edges).sum(1), noise[:, 1:]
                leading = centres[which] + (factors[which] @ u[:, :p, None])[:, :, 0]
            else:
                u = noise
                leading = centres[0] + u[:, :p] @ factors[0].T
            return mean + torch.cat([leading, u[:, p:]], 1) @ axes.T

        return Transport(len(mean) + several, codes)


class FlowOfCodes(CodeSampler):
    """A spline flow on the leading principal directions of the codes, whitened; the others are Gaussian."""

    mean: Tensor
    axes: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.p = min(latent, LEADING)
        self.flow = NSF(layers=4, width=64, bins=8).build((self.p,))
        self.flow.requires_grad_(requires_grad=False)
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("axes", torch.eye(latent))

    def learn(self, z: Tensor, seed: int) -> None:
        z = z.double().cpu()
        mean = z.mean(0)
        axes, _ = principal((z - mean).T @ (z - mean) / len(z), self.p)
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        u = whitened(z, mean, axes, self.p).to(self.mean)
        x = u
        for part in self.flow.flow.modules():
            if isinstance(part, DataInitialised):
                part.fit(x)
                x, _ = part(x)
        weights = list(self.flow.requires_grad_().parameters())
        optimizer = torch.optim.Adam(weights, RATE)
        g = torch.Generator().manual_seed(seed)
        with torch.enable_grad():
            for step in range(STEPS):
                optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
                rows = torch.randint(len(u), (BATCH,), generator=g)
                loss = -self.flow.log_density(u[rows]).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, 10.0)
                optimizer.step()
        optimizer.zero_grad()
        self.flow.requires_grad_(requires_grad=False)

    def transport(self) -> Transport:
        def codes(noise: Tensor, y: Tensor | None) -> Tensor:
            leading = self.flow.flow.inverse(noise[:, : self.p])
            return self.mean + torch.cat([leading, noise[:, self.p :]], 1) @ self.axes.T

        return Transport(len(self.mean), codes)

    def log_prob(self, z: Tensor) -> Tensor:
        scale = self.axes.double().square().sum(0).sqrt().clamp_min(1e-12)
        u = (z.double() - self.mean) @ self.axes.double() / scale.square()
        log_p = self.flow.log_density(u[:, : self.p].to(self.mean)).double()
        rest = u[:, self.p :]
        return log_p - 0.5 * rest.square().sum(1) - 0.5 * rest.shape[1] * math.log(2 * math.pi) - scale.log().sum()


def second_stage(codes: Codes, latent: int) -> CodeSampler | None:
    """What `codes` names, not fitted yet; None for the prior."""
    if codes == "prior":
        return None
    if codes == "flow" and latent < 2:
        raise UserError("a flow of codes needs at least 2 latent dimensions; take --model.codes mixture")
    if codes == "flow":
        return FlowOfCodes(latent)
    return MixtureOfCodes(latent, 1 if codes == "gaussian" else max(SIZES))
