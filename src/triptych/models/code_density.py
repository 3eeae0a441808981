"""Ex-post densities: what the codes of the training examples turned out to be distributed like.

An autoencoder has no prior, and a VAE's aggregate posterior is not its prior: samples decoded from where the codes
lie are often better than samples decoded from N(0, I). The difference is the prior hole.
Source: Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.core import Data, to_inner
from triptych.errors import TooFew, UserError
from triptych.models.families import Autoencoder, VAEModel

LEADING = 64
"""Principal directions of the codes that a mixture models; the rest is Gaussian."""


@dataclass(frozen=True, eq=False)
class CodeDensity:
    """A density of codes z = mean + axes u: u's leading dimensions are a mixture of Gaussians, the others N(0, 1)."""

    mean: Tensor
    """(latent,)"""
    axes: Tensor
    """(latent, latent): principal directions, each as long as the codes' standard deviation along it"""
    weights: Tensor
    """(k,)"""
    centres: Tensor
    """(k, p)"""
    factors: Tensor
    """(k, p, p) lower triangular: component j has covariance factors[j] factors[j]ᵀ"""

    def draw(self, n: int, seed: int = 0) -> Tensor:
        """n codes, (n, latent) float32, on the CPU."""
        g = torch.Generator().manual_seed(seed)
        u = torch.randn(n, len(self.mean), generator=g, dtype=torch.float64)
        which = torch.multinomial(self.weights, n, replacement=True, generator=g)
        p = self.centres.shape[1]
        u[:, :p] = self.centres[which] + torch.einsum("nij,nj->ni", self.factors[which], u[:, :p])
        return (self.mean + u @ self.axes.T).float()


def fit_codes(z: Tensor, components: int = 1, seed: int = 0, leading: int = LEADING) -> CodeDensity:
    """One Gaussian, or a mixture in the `leading` principal directions, fitted to codes z (n, latent).

    `TooFew` codes where there are fewer than twice the components.
    """
    if components < 1:
        raise UserError(f"a mixture has at least 1 component, not {components}")
    if len(z) < 2 * components:
        raise TooFew(f"{len(z)} codes are too few for {components} components; give more examples")
    z = z.double().cpu()
    mean = z.mean(0)
    values, vectors = torch.linalg.eigh((z - mean).T @ (z - mean) / len(z))
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    axes = vectors * values.sqrt()
    p = min(leading, int((values > 1e-9 * values[0]).sum())) or 1
    u = (z - mean) @ (vectors[:, :p] / values[:p].clamp_min(1e-30).sqrt())
    if components == 1:
        eye = torch.eye(p, dtype=torch.float64)
        return CodeDensity(mean, axes, torch.ones(1, dtype=torch.float64), torch.zeros_like(eye[:1]), eye[None])
    weights, centres, factors, _ = mixture(u, components, seed)
    return CodeDensity(mean, axes, weights, centres, factors)


def mixture(
    u: Tensor, components: int, seed: int = 0, most: int = 200, tolerance: float = 1e-4, ridge: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Expectation-maximisation of a full-covariance mixture of Gaussians on whitened u (n, p), float64.

    Returns weights (k,), centres (k, p), lower factors (k, p, p) and the log density of each u (n,). Starts at
    k-means++ centres (Arthur & Vassilvitskii 2007); ends when the mean log-likelihood rises by less than
    `tolerance`. `ridge` is added to each variance, which is 1 in u overall, so no component can close on one point.
    """
    (n, p), g = u.shape, torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(n, (1,), generator=g))]
    far = (u - u[chosen[0]]).square().sum(1)
    for _ in range(components - 1):
        chosen.append(int(torch.multinomial(far.clamp_min(1e-12), 1, generator=g)))
        far = torch.minimum(far, (u - u[chosen[-1]]).square().sum(1))
    centres = u[chosen].clone()
    weights = torch.full((components,), 1 / components, dtype=u.dtype)
    factors = torch.eye(p, dtype=u.dtype).repeat(components, 1, 1)
    before = -math.inf
    for _ in range(most):
        log_joint = component_log_prob(u, centres, factors) + weights.log()
        log_p = torch.logsumexp(log_joint, 1)
        if log_p.mean().item() - before < tolerance:
            break
        before = log_p.mean().item()
        share = (log_joint - log_p[:, None]).exp()
        mass = share.sum(0).clamp_min(1e-9)
        weights, centres = mass / mass.sum(), share.T @ u / mass[:, None]
        for j in range(components):
            d = u - centres[j]
            cov = (share[:, j, None] * d).T @ d / mass[j]
            cov.diagonal().add_(ridge)
            factors[j] = torch.linalg.cholesky(cov)
    log_p = torch.logsumexp(component_log_prob(u, centres, factors) + weights.log(), 1)
    return weights, centres, factors, log_p


def component_log_prob(u: Tensor, centres: Tensor, factors: Tensor) -> Tensor:
    """log N(u; centre, factor factorᵀ) of each component, (n, k)."""
    found = []
    for centre, factor in zip(centres, factors, strict=True):
        white = torch.linalg.solve_triangular(factor, (u - centre).T, upper=False)
        found.append(-0.5 * white.square().sum(0) - factor.diagonal().log().sum())
    return torch.stack(found, 1) - 0.5 * u.shape[1] * math.log(2 * math.pi)


@torch.no_grad()
def codes_of_data(model: Autoencoder, data: Data, most: int = 20_000, seed: int = 0, batch: int = 256) -> Tensor:
    """Codes of at most `most` examples, (n, latent): one draw of q(z|x) each for a VAE."""
    g = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(data), generator=g)[:most]
    found = []
    for part in rows.split(batch):
        x = to_inner(data.x[part]).to(model.device)
        if isinstance(model, VAEModel):
            mu, log_sigma = model.posterior(x)
            found.append((mu + log_sigma.exp() * torch.randn(mu.shape, generator=g).to(mu)).cpu())
        else:
            found.append(model.encoder(x).cpu())
    return torch.cat(found)
