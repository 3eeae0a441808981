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

from triptych.errors import TooFew, UserError

LEADING = 64
"""Principal directions of the codes that a mixture models; the rest is Gaussian."""
FEW = 16
"""Dimensions up to which all products of two are kept side by side."""
TINY = 1e-12
"""Standard deviation along an axis below which all codes are taken to lie in a plane."""
SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of components that `choose` tries."""


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

    def draw(self, n: int, seed: int | torch.Generator = 0) -> Tensor:
        """n codes, (n, latent) float32, on the CPU."""
        g = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        u = torch.randn(n, len(self.mean), generator=g, dtype=torch.float64)
        which = torch.multinomial(self.weights, n, replacement=True, generator=g)
        p = self.centres.shape[1]
        u[:, :p] = self.centres[which] + torch.einsum("nij,nj->ni", self.factors[which], u[:, :p])
        return (self.mean + u @ self.axes.T).float()

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats of codes (n, latent), (n,) float64; −inf off a plane that all codes of the fit lay in."""
        scale = self.axes.square().sum(0).sqrt().clamp_min(TINY)
        u = (z.double() - self.mean) @ self.axes / scale.square()
        return mixture_log_prob(u, self.weights, self.centres, self.factors) - scale.log().sum()


def mixture_log_prob(u: Tensor, weights: Tensor, centres: Tensor, factors: Tensor) -> Tensor:
    """log density (n,) of u (n, d): a mixture (k,), (k, p), (k, p, p) in the first p dimensions, N(0, 1) elsewhere."""
    p = centres.shape[1]
    log_p = torch.logsumexp(component_log_prob(u[:, :p], centres, factors) + weights.log(), 1)
    rest = u[:, p:]
    return log_p - 0.5 * rest.square().sum(1) - 0.5 * rest.shape[1] * math.log(2 * math.pi)


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
    axes, p = principal((z - mean).T @ (z - mean) / len(z), leading)
    if components == 1:
        return CodeDensity(mean, axes, *one_gaussian(p))
    weights, centres, factors, _ = mixture(whitened(z, mean, axes, p), components, seed)
    return CodeDensity(mean, axes, weights, centres, factors)


def fit_chosen(z: Tensor, seed: int = 0, leading: int = LEADING, ridge: float = 1e-3) -> CodeDensity:
    """`fit_codes` with as many components as `choose` finds, no more than half as many as there are codes."""
    if len(z) < 2:
        raise TooFew(f"{len(z)} codes are too few for a Gaussian; give more examples")
    z = z.double().cpu()
    mean = z.mean(0)
    axes, p = principal((z - mean).T @ (z - mean) / len(z), leading)
    return CodeDensity(mean, axes, *choose(whitened(z, mean, axes, p), seed, ridge))


def principal(cov: Tensor, leading: int) -> tuple[Tensor, int]:
    """Principal axes of a covariance (d, d), each as long as its standard deviation, the longest first, and p.

    p is `leading`, or fewer where that many directions do not vary.
    """
    values, vectors = torch.linalg.eigh(cov)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    return vectors * values.sqrt(), min(leading, int((values > 1e-9 * values[0]).sum())) or 1


def whitened(z: Tensor, mean: Tensor, axes: Tensor, p: int) -> Tensor:
    """u of codes z (n, d) along the first p axes, (n, p)."""
    return (z - mean) @ (axes[:, :p] / axes[:, :p].square().sum(0).clamp_min(1e-30))


def one_gaussian(p: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, centres and factors of N(0, I) in p dimensions, as a mixture of one."""
    eye = torch.eye(p, dtype=torch.float64)
    return torch.ones(1, dtype=torch.float64), torch.zeros_like(eye[:1]), eye[None]


def choose(u: Tensor, seed: int = 0, ridge: float = 1e-3) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, centres and factors of the mixture of whitened u (n, p) with the lowest BIC = q ln n − 2 log L.

    q counts free numbers: k (1 + p + p (p + 1) / 2) − 1. All of `SIZES` are tried: of a grid two may be
    no better than one, and 32 far better. Source: Schwarz 1978, "Estimating the Dimension of a Model".
    """
    n, p = u.shape
    best, lowest = one_gaussian(p), math.inf
    for k in SIZES:
        if 2 * k > n:
            break
        *found, log_p = mixture(u, k, seed, most=60, tolerance=1e-3, ridge=ridge)
        bic = (k * (1 + p + p * (p + 1) / 2) - 1) * math.log(n) - 2 * log_p.sum().item()
        if bic < lowest:
            best, lowest = (found[0], found[1], found[2]), bic
    return best


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
        if p <= FEW:
            cov = (share.T @ products(u) / mass[:, None]).view(-1, p, p) - centres[:, :, None] * centres[:, None]
        else:
            cov = torch.stack(
                [(s[:, None] * (u - c)).T @ (u - c) / m for s, c, m in zip(share.T, centres, mass, strict=True)]
            )
        cov.diagonal(dim1=1, dim2=2).add_(ridge)
        factors = torch.linalg.cholesky(cov)
    log_p = torch.logsumexp(component_log_prob(u, centres, factors) + weights.log(), 1)
    return weights, centres, factors, log_p


def component_log_prob(u: Tensor, centres: Tensor, factors: Tensor) -> Tensor:
    """log N(u; centre, factor factorᵀ) of each component, (n, k)."""
    p = u.shape[1]
    constant = -factors.diagonal(dim1=1, dim2=2).log().sum(1) - 0.5 * p * math.log(2 * math.pi)
    eye = torch.eye(u.shape[1], dtype=u.dtype, device=u.device)
    inverse = torch.linalg.solve_triangular(factors, eye.expand_as(factors), upper=False)
    if p <= FEW and u.dtype == torch.float64:
        precision = inverse.mT @ inverse
        linear = (precision @ centres[:, :, None])[:, :, 0]
        constant = constant - 0.5 * (linear * centres).sum(1)
        return u @ linear.T - 0.5 * products(u) @ precision.flatten(1).T + constant
    white = [((u - centre) @ root.T).square().sum(1) for centre, root in zip(centres, inverse, strict=True)]
    return constant - 0.5 * torch.stack(white, 1)


def products(u: Tensor) -> Tensor:
    """u uᵀ of each row of u (n, p), (n, p²): with it, sums over a few dimensions are one matrix product."""
    return (u[:, :, None] * u[:, None]).flatten(1)
