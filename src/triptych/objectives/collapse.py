"""What a latent space is used for: the collapse panel of a VAE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from triptych.core import Quantity
from triptych.objectives.posterior import ACTIVE, active, kl_to_prior

POINTS = 512
"""Examples that the pairwise estimates use: their cost is its square."""


ACTIVE_UNITS = Quantity("Active latent dimensions", neither="how many the data need is not known")
PANEL: Mapping[str, Quantity] = {
    "active_units": ACTIVE_UNITS,
    "kl_per_dim": Quantity("KL of each latent dimension", neither="it shows which dimensions are used", unit="nats"),
    "mutual_info": Quantity("Information of codes about examples", neither="it is one part of the KL", unit="nats"),
    "marginal_kl": Quantity("KL(all codes ‖ prior)", neither="codes that say nothing have 0", unit="nats"),
    "total_correlation": Quantity(
        "Total correlation of codes",
        neither="less is more independent, and none is easy for codes that say nothing",
        unit="nats",
    ),
    "active_groups": Quantity("Active groups of latent dimensions", neither="how many the data need is not known"),
    "kl_per_group": Quantity("KL of each group of latents", neither="it shows which groups are used", unit="nats"),
}
USED = 0.01
"""Nats of KL per example above which a group of latent dimensions is in use."""


def collapse_panel(mu: Tensor, log_sigma: Tensor) -> dict[str, Any]:
    """Use of the latent space by q(z|x) = N(μ, diag σ²) for held-out examples (n, latent).

    `active_units`; `kl_per_dim`, the mean KL of each dimension in nats, largest first, without those below 0.01;
    and E KL(q(z|x) ‖ p) split into mutual information and the aggregate posterior's gap to the prior, beside the
    total correlation (nats; see `decompose`).
    """
    kl = kl_to_prior(mu, log_sigma).mean(0)
    used = kl[kl >= 0.01].sort(descending=True).values
    return {
        "active_units": float(active(mu).sum()),
        "kl_per_dim": [round(v, 4) for v in used.tolist()],
        **decompose(mu, log_sigma),
    }


def group_panel(mu: Tensor, log_sigma: Tensor, groups: Sequence[int]) -> dict[str, Any]:
    """Use of a latent space of several `groups` of dimensions by posteriors (n, latent), μ and log σ.

    `kl_per_group`, the mean KL of each in nats, from the first to the last; `active_groups`, how many of them have
    more than 0.01; and `active_units`. The later groups' μ depend on the draws of those before, so that the aggregate
    posterior has no simple form.
    """
    kl = [part.sum().item() for part in kl_to_prior(mu, log_sigma).mean(0).split(list(groups))]
    return {
        "active_units": float(active(mu).sum()),
        "active_groups": float(sum(nats > USED for nats in kl)),
        "kl_per_group": [round(nats, 4) for nats in kl],
    }


def decompose(mu: Tensor, log_sigma: Tensor, points: int = POINTS) -> dict[str, float]:
    """E KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)), in nats; and the total correlation of q(z).

    q(z) is the mixture of the first `points` posteriors, each with one draw of z. A mixture of m posteriors cannot
    show more than log m nats of information, so `mutual_info` is at most that, and `marginal_kl` is too large by what
    is missing. Sources: Hoffman & Johnson 2016; Chen et al. 2018, eq. 2.
    """
    mu, log_sigma = mu[:points].float(), log_sigma[:points].float()
    m = len(mu)
    z = mu + log_sigma.exp() * torch.randn_like(mu)
    log_q_zx = log_normal(z, mu, log_sigma).sum(1)
    log_p = log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
    # Σ_d (z − μ)²/σ² over all pairs as three matrix products, in float64 against cancellation
    precision, zd, mud = (-2 * log_sigma.double()).exp(), z.double(), mu.double()
    quadratic = zd.square() @ precision.T - 2 * zd @ (mud * precision).T + (mud.square() * precision).sum(1)
    log_pair = -0.5 * quadratic - log_sigma.double().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)
    log_q = torch.logsumexp(log_pair, 1).float() - math.log(m)
    # Dimensions that follow the prior factorise in q(z): leaving them out of the product changes nothing.
    used = active(mu, above=ACTIVE / 4) | (kl_to_prior(mu, log_sigma).mean(0) > USED)
    log_product = torch.zeros(m, device=mu.device)
    inverse = (-log_sigma).exp()
    # a row a dimension: each pass over the pairs then reads one stretch of memory, and writes where the last one wrote
    columns = (v[:, used].T.contiguous() for v in (z, mu, inverse, log_sigma + 0.5 * math.log(2 * math.pi)))
    for zj, muj, inversej, constant in zip(*columns, strict=True):
        pair = torch.sub(zj[:, None], muj).mul_(inversej).square_().mul_(-0.5).sub_(constant)
        log_product += torch.logsumexp(pair, 1) - math.log(m)
    rest = ~used
    log_product += log_normal(z[:, rest], torch.zeros_like(z[:, rest]), torch.zeros_like(z[:, rest])).sum(1)
    return {
        "mutual_info": (log_q_zx - log_q).mean().item(),
        "marginal_kl": (log_q - log_p).mean().item(),
        "total_correlation": (log_q - log_product).mean().item(),
    }


def log_normal(z: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """log N(z; μ, σ²) elementwise."""
    return -0.5 * ((z - mu) * (-log_sigma).exp()).square() - log_sigma - 0.5 * math.log(2 * math.pi)
