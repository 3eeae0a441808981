"""ELBO and importance-weighted bounds against a model whose likelihood is known: x = W z + b + σ ε is Gaussian.

Each comparison allows 5 standard errors: a failure rate below 1e-6 per comparison.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from triptych.core import Clock
from triptych.errors import UserError
from triptych.models import VAEModel
from triptych.objectives.autoencoder import IWAE, VAE

D, LATENT, SIGMA = 4, 2, 0.6


class Fixed(nn.Module):
    """x to (A x + c, log s): a linear posterior."""

    def __init__(self, a: Tensor, log_s: Tensor) -> None:
        super().__init__()
        self.a, self.log_s = nn.Parameter(a), nn.Parameter(log_s)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x @ self.a.T, self.log_s.expand(len(x), -1)], 1)


def problem(exact_posterior: bool) -> tuple[VAEModel, Tensor, Tensor]:
    """A linear-Gaussian VAE, 20,000 draws from it, and their exact log density, (n,)."""
    g = torch.Generator().manual_seed(0)
    w = torch.randn(D, LATENT, generator=g, dtype=torch.float64)
    w = torch.linalg.qr(w)[0] * torch.tensor([1.5, 0.7], dtype=torch.float64)  # a diagonal posterior
    x = torch.randn(20_000, LATENT, generator=g, dtype=torch.float64) @ w.T
    x = x + SIGMA * torch.randn(20_000, D, generator=g, dtype=torch.float64)
    cov = w @ w.T + SIGMA**2 * torch.eye(D, dtype=torch.float64)
    log_p = torch.distributions.MultivariateNormal(torch.zeros(D, dtype=torch.float64), cov).log_prob(x)
    precision = torch.eye(LATENT, dtype=torch.float64) + w.T @ w / SIGMA**2
    a = torch.linalg.inv(precision) @ w.T / SIGMA**2
    log_s = -0.5 * precision.diagonal().log()
    if not exact_posterior:
        a, log_s = 0.8 * a, log_s + 0.3
    decoder = nn.Linear(LATENT, D, bias=False).double()
    decoder.weight.data = w
    return VAEModel((D,), LATENT, Fixed(a, log_s), decoder).double(), x, log_p


def bound(objective: VAE | IWAE, model: VAEModel, x: Tensor) -> Tensor:
    """The negative loss over 200 batches, (200,)."""
    with torch.no_grad():
        return -torch.stack([next(objective.step(model, iter([b]), Clock(0, 0, 0.0, 1))).loss for b in x.split(100)])


def test_elbo_with_the_true_posterior_is_the_likelihood() -> None:
    model, x, log_p = problem(exact_posterior=True)
    torch.manual_seed(1)
    gap = bound(VAE(sigma=SIGMA), model, x) - log_p.view(-1, 100).mean(1)
    assert abs(gap.mean()) <= 5 * gap.std() / math.sqrt(len(gap))
    # with the true posterior every importance weight is p(x): no noise at all
    torch.testing.assert_close(bound(IWAE(sigma=SIGMA, samples=3), model, x), log_p.view(-1, 100).mean(1))


def test_bounds_rise_with_k_and_stay_below_the_likelihood() -> None:
    model, x, log_p = problem(exact_posterior=False)
    torch.manual_seed(2)
    exact = log_p.view(-1, 100).mean(1)
    elbo = bound(VAE(sigma=SIGMA), model, x)
    bounds = [bound(IWAE(sigma=SIGMA, samples=k), model, x) for k in (1, 5, 50, 500)]
    for lower, higher in zip([*bounds, exact][:-1], [*bounds, exact][1:], strict=True):
        rise = higher - lower
        assert rise.mean() >= -5 * rise.std() / math.sqrt(len(rise))
    assert (exact - bounds[0]).mean() > 0.05
    assert (exact - bounds[-1]).mean().item() == pytest.approx(0, abs=0.005)
    same = elbo - bounds[0]  # K = 1 is the ELBO
    assert abs(same.mean()) <= 5 * same.std() / math.sqrt(len(same))


def test_elbo_of_validation_is_that_of_the_loss_at_beta_1() -> None:
    model, x, log_p = problem(exact_posterior=False)
    torch.manual_seed(3)
    with torch.no_grad():
        found = VAE(beta=4.0, sigma=SIGMA).validate(model, x.split(1000), Clock(0, 0, 0.0, 1))
    elbo = bound(VAE(sigma=SIGMA), model, x)
    assert found["elbo"] == pytest.approx(elbo.mean().item(), abs=5 * 2**0.5 * elbo.std().item() / math.sqrt(len(elbo)))
    assert found["elbo"] < log_p.mean().item()


def test_the_start_of_iwae_with_one_draw() -> None:
    """The draws of each step, by the random numbers that it takes."""
    model, x, _ = problem(exact_posterior=False)
    early, late = Clock(0, 0, 0.2, 10), Clock(5, 500, 0.5, 10)

    def loss(objective: IWAE, clock: Clock) -> float:
        torch.manual_seed(3)
        return next(objective.step(model, iter([x[:100]]), clock)).loss.item()

    both = IWAE(sigma=SIGMA, samples=50, ahead=0.5)
    assert loss(both, early) == loss(IWAE(sigma=SIGMA, samples=1), early)
    assert loss(both, late) == loss(IWAE(sigma=SIGMA, samples=50), late)
    assert loss(both, early) != loss(both, late)
    assert both.stages() == (0.0, 0.5)
    with pytest.raises(UserError, match=r"objective.ahead is 1"):
        IWAE(ahead=1.0)
