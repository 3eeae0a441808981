"""Likelihoods on models whose exact values are known, and cards that forbid wrong comparisons."""

import math

import pytest
import torch
from torch import nn

from triptych.core import Data, Density
from triptych.core.labels import labels_at_hand
from triptych.errors import UserError
from triptych.metrics.cards import Card, rank
from triptych.metrics.comparison import Comparison
from triptych.metrics.likelihood import Likelihood
from triptych.metrics.log_likelihoods import exact, gaussian_bits, variational
from triptych.models import GANModel, VAEModel
from triptych.objectives.autoencoder import VAE


class Uniform(Density):
    """The uniform density on the unit cube."""

    def __init__(self, shape):
        super().__init__(shape)
        self.player = nn.Linear(1, 1)

    def log_prob(self, x):
        assert x.min() >= 0
        assert x.max() <= 1
        return torch.zeros(len(x))


class Linear(nn.Module):
    """The encoder of a linear-Gaussian model: a posterior that is a little too wide."""

    def __init__(self, w, sigma, wider=1.3):
        super().__init__()
        precision = torch.eye(w.shape[1]) + w.T @ w / sigma**2
        self.gain = nn.Parameter(torch.linalg.solve(precision, w.T) / sigma**2)
        self.spread = wider * precision.diagonal().rsqrt()

    def forward(self, x):
        mu = x @ self.gain.T
        return torch.cat([mu, self.spread.log().expand_as(mu)], 1)


def linear_gaussian():
    g = torch.Generator().manual_seed(0)
    w, sigma = torch.randn(4, 2, generator=g), 0.8
    decoder = nn.Linear(2, 4, bias=False)
    decoder.weight.data = w
    model = VAEModel((4,), 2, Linear(w, sigma), decoder)
    x = (torch.randn(400, 2, generator=g) @ w.T + sigma * torch.randn(400, 4, generator=g)).float()
    distribution = torch.distributions.MultivariateNormal(torch.zeros(4), w @ w.T + sigma**2 * torch.eye(4))
    return model, VAE(sigma=sigma), x, distribution.log_prob(x).double().mean().item()


def test_elbo_and_iwae_bound_the_exact_value_from_below():
    model, objective, x, truth = linear_gaussian()
    means = []
    for k in (1, 5, 2000):
        bound, card = variational(model, objective, x, k)
        means.append(bound.mean().item())
        assert card.estimator == ("ELBO" if k == 1 else "IWAE")
        assert (card.draws, card.bound, card.space) == (k, "lower bound", "the data's units")
    assert means[0] < means[1] < means[2]
    assert means[2] == pytest.approx(truth, abs=0.02)
    assert means[0] < truth - 0.02


def test_a_uniform_density_has_eight_bits():
    x = torch.randint(0, 256, (50, 1, 4, 4), dtype=torch.uint8)
    for k in (1, 3):
        log_p, card = exact(Uniform((1, 4, 4)), x, k)
        assert log_p.abs().max() < 1e-12
    assert (card.dequantisation, card.draws, card.bound, card.space) == ("uniform", 3, "lower bound", "[0, 1]^D")
    data = Data("noise", x)
    found = Likelihood()(Comparison(data, data, model=Uniform((1, 4, 4))))
    assert found["bits_per_dim"].value == 8
    assert found["bits_per_dim"].card["estimator"] == "exact"


def test_gaussian_reference_of_uniform_noise():
    """The best Gaussian for uniform pixels pays ½ log₂(2πe/12) bits more than the uniform density."""
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (20_000, 1, 2, 2), generator=g, dtype=torch.uint8)
    want = 8 + 0.5 * math.log2(2 * math.pi * math.e / 12)
    assert gaussian_bits(Data("a", x[:10_000]), Data("b", x[10_000:])) == pytest.approx(want, abs=0.01)


def test_gaussian_bits_change_no_example() -> None:
    """The arithmetic is in place, on copies: the sets stay, and are the same the second time."""
    x = torch.randint(0, 256, (600, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    a, b = Data("a", x[:400].clone()), Data("b", x[400:].clone())
    assert gaussian_bits(a, b) == gaussian_bits(a, b)
    assert torch.equal(a.x, x[:400])
    assert torch.equal(b.x, x[400:])


def test_a_gan_has_no_density():
    data = Data("points", torch.randn(10, 2))
    model = GANModel((2,), 2, nn.Linear(2, 2), nn.Linear(2, 1))
    value = Likelihood()(Comparison(data, data, model=model))["nll"]
    assert value.value is None
    assert "not defined: GANModel has no density" in value.note


def test_ranking_refuses_bounds_beside_exact_values():
    flow = Card("[0, 1]^D", "uniform", "exact", 1, "lower bound", 100)
    vae = Card("[0, 1]^D", "uniform", "ELBO", 1, "lower bound", 100)
    assert rank({"a": (-3.0, flow), "b": (-2.0, flow)}) == ["b", "a"]
    with pytest.raises(UserError, match="cannot be ranked"):
        rank({"flow": (-3.0, flow), "vae": (-2.0, vae)})
    with pytest.raises(UserError, match="non-finite"):
        rank({"a": (-3.0, Card("[0, 1]^D", "uniform", "exact", 1, "lower bound", 100, 2))})
    assert "K = 1" in str(vae)


def test_non_finite_likelihoods_are_counted():
    class Half(Uniform):
        def log_prob(self, x):
            return torch.where(x[:, 0] > 0, 0.0, -math.inf)

    data = Data("points", torch.tensor([[0.0], [0.5], [0.7], [0.0]]))
    value = Likelihood()(Comparison(data, data, model=Half((1,))))["nll"]
    assert value.value is None
    assert value.card["non_finite"] == 2
    assert "2 of 4 not finite" in value.note


class LinearOfClasses(VAEModel):
    """x = W z + shift_c + σ ε, z ~ N(0, I), with its exact posterior, so that every ELBO is tight but for its noise."""

    def __init__(self, latent, width, classes, apart):
        g = torch.Generator().manual_seed(0)
        decoder = nn.Linear(latent, width, bias=False)
        decoder.weight.data = torch.randn(width, latent, generator=g) / latent**0.5
        super().__init__((width,), latent, nn.Identity(), decoder)
        self.shift = apart * torch.randn(classes, width, generator=g)
        self.classes, self.sigma = classes, 0.5
        self.frequencies = torch.full((classes,), 1 / classes)
        w = decoder.weight.data.double()
        self.spread = torch.distributions.MultivariateNormal(
            torch.zeros(width).double(), w @ w.T + self.sigma**2 * torch.eye(width).double()
        )

    def truth(self, x):
        parts = [self.spread.log_prob(x.double() - s.double()) for s in self.shift]
        return torch.stack(parts).logsumexp(0) - math.log(self.classes)


class ExactELBO(VAE):
    """One draw of the exact posterior, and its KL in closed form."""

    def elbo(self, x, model):
        w, centred = model.decoder.weight, x - model.shift[labels_at_hand(len(x))]
        cov = torch.linalg.inv(torch.eye(model.latent) + w.T @ w / model.sigma**2)
        mu = centred @ w @ cov / model.sigma**2
        z = mu + torch.randn(mu.shape) @ torch.linalg.cholesky(cov).T
        log_p = torch.distributions.Normal(z @ w.T, model.sigma).log_prob(centred).sum(1)
        kl = 0.5 * (cov.trace() + mu.square().sum(1) - model.latent - torch.logdet(cov))
        return log_p - kl


@pytest.mark.parametrize("apart", [0.0, 0.2, 1.0])
def test_the_elbo_over_classes_is_a_lower_bound_however_alike_they_are(apart):
    """Of noisy ELBOs of each class the log of the mean exponential was not: it lay nats above log p(x)."""
    torch.manual_seed(0)
    model = LinearOfClasses(32, 64, 10, apart)
    z, c = torch.randn(1_000, 32), torch.randint(10, (1_000,))
    x = z @ model.decoder.weight.data.T + model.shift[c] + 0.5 * torch.randn(1_000, 64)
    bound, _ = variational(model, ExactELBO(sigma=0.5), x)
    excess = bound - model.truth(x)
    error = excess.std().item() / 1_000**0.5
    assert excess.mean().item() < 4 * error  # one in 30,000 by chance
    assert excess.mean().item() > -3.0


def test_gaussian_reference_of_flat_pictures_is_the_density_that_was_fitted():
    """The noise of a grey level was counted twice, which costs pixels that never change 0.14 bits each."""
    g = torch.Generator().manual_seed(0)
    x = torch.zeros(6_000, 1, 4, 4, dtype=torch.uint8)
    x[:, :, :2] = torch.randint(0, 256, (6_000, 1, 2, 4), generator=g, dtype=torch.uint8)
    flat, full = 0.5 * math.log2(2 * math.pi * math.e / 12), 8 + 0.5 * math.log2(2 * math.pi * math.e / 12)
    assert gaussian_bits(Data("a", x[:5_000]), Data("b", x[5_000:])) == pytest.approx((flat + full) / 2, abs=0.03)
