"""Gaussian posteriors q(z|x) = N(μ, diag σ²) of autoencoders: KL to the prior, draws, and dimensions in use."""

from __future__ import annotations

from torch import Tensor

ACTIVE = 0.01
"""A latent dimension is active where the variance of its mean over examples is above this."""


def kl_to_prior(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 2 log σ − 1) per dimension, in nats; all (n, latent)."""
    return 0.5 * (mu.square() + (2 * log_sigma).exp() - 2 * log_sigma - 1)


def importance_draws(mu: Tensor, log_sigma: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """z = μ + σ noise, (k, n, latent), and log p(z) / q(z|x), (k, n), for mu, log_sigma (n, latent), noise like z.

    With log p(x|z) added these are the log importance weights of Burda et al. 2016, eq. 8.
    """
    z = mu + log_sigma.exp() * noise
    # the constants of the two Gaussians cancel
    return z, (0.5 * noise.square() + log_sigma - 0.5 * z.square()).sum(2)


def active(mu: Tensor, above: float = ACTIVE) -> Tensor:
    """Whether Var_x E[z|x] > 0.01, per latent dimension: means (n, latent) to bools (latent,).

    Source: Burda et al. 2016, section 5.2.
    """
    return mu.var(0, correction=0) > above
