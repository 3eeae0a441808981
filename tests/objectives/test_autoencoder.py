"""Networks, losses and schedules of the autoencoders, against sums done by hand."""

import math

import pytest
import torch

from triptych.core import Clock, Data, ModelSpec, to_inner
from triptych.errors import UserError
from triptych.models import VAEModel
from triptych.models.autoencoders import ConvAutoencoder, MLPAutoencoder, ResidualAutoencoder
from triptych.objectives.autoencoder import AE, VAE
from triptych.objectives.collapse import collapse_panel, decompose
from triptych.objectives.likelihoods import discretised_logistic
from triptych.objectives.posterior import kl_to_prior
from triptych.recipes.autoencoders import STUDY

CIFAR = (3, 32, 32)


def clock(step: int, steps: int) -> Clock:
    return Clock(step, step, step / max(steps, 1), steps)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"latent": 16, "variational": False}, 1_212_819),
        ({"latent": 128, "variational": False}, 2_130_435),
        ({"latent": 1024, "variational": False}, 9_471_363),
        ({"latent": 1024}, 13_666_691),
        ({"latent": 1024, "head": "coded"}, 11_570_563),
    ],
)
def test_the_studys_networks_have_its_parameter_counts(options: dict, parameters: int) -> None:
    model = ConvAutoencoder(**options).build(CIFAR)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("spec", [ConvAutoencoder(latent=5, width=4), ResidualAutoencoder(latent=5, width=4)])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64)])
def test_pictures_keep_their_shape(spec: ModelSpec, shape: tuple[int, ...]) -> None:
    model = spec.build(shape)
    assert isinstance(model, VAEModel)
    assert model.decode(model.encode(torch.rand(3, *shape))).shape == (3, *shape)
    assert model.sample(2, seed=1).shape == (2, *shape)


def test_vae_loss_sums_over_dimensions_and_averages_over_the_batch() -> None:
    torch.manual_seed(0)
    model = MLPAutoencoder(latent=3).build((2,)).double()
    x = torch.randn(7, 2, dtype=torch.float64)
    torch.manual_seed(1)
    (move,) = VAE(beta=1.7).step(model, iter([x]), clock(0, 1))
    torch.manual_seed(1)
    mu, log_sigma = (t.detach() for t in model.posterior(x))
    y = model.decoder(mu + log_sigma.exp() * torch.randn_like(mu)).detach()
    recon = sum(float((x[i] - y[i]).square().sum()) for i in range(7)) / 7
    kl = sum(float(kl_to_prior(mu[i], log_sigma[i]).sum()) for i in range(7)) / 7
    assert float(move.logs["recon"]) == pytest.approx(recon)
    assert float(move.logs["kl"]) == pytest.approx(kl)
    assert float(move.loss.detach()) == pytest.approx(recon + math.log(math.pi) + 1.7 * kl)


def test_kl_is_the_one_of_torch() -> None:
    mu, log_sigma = torch.randn(9, 4, dtype=torch.float64), torch.randn(9, 4, dtype=torch.float64)
    q = torch.distributions.Normal(mu, log_sigma.exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    torch.testing.assert_close(kl_to_prior(mu, log_sigma), torch.distributions.kl_divergence(q, p))


@pytest.mark.parametrize("shape", [(1, 3, 3), (9,)])
def test_bernoulli_is_the_one_of_torch(shape: tuple[int, ...]) -> None:
    """Pictures are -1 and 1 inside, vectors 0 and 1."""
    model = MLPAutoencoder(output="logit").build(shape)
    x = (torch.rand(50, *shape) < 0.5).double()
    y = 40 * torch.randn(50, *shape, dtype=torch.float64)
    bits = torch.distributions.Bernoulli(logits=y)
    found = VAE(likelihood="bernoulli").log_likelihood(to_inner(x), y, model)
    torch.testing.assert_close(found, bits.log_prob(x).flatten(1).sum(1))
    torch.testing.assert_close(model.mean(y), to_inner(bits.mean))


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (MLPAutoencoder(output="logit"), (1, 4, 4)),
        (MLPAutoencoder(output="logit"), (5,)),
        (ConvAutoencoder(latent=2, width=2, output="logit"), (1, 16, 16)),
    ],
)
def test_a_bernoulli_decoder_starts_at_the_mean_of_the_data(spec: ModelSpec, shape: tuple[int, ...]) -> None:
    """Also where a pixel is always off: the log-odds stay finite."""
    torch.manual_seed(0)
    bits = (torch.rand(400, *shape) < 0.2).float()
    bits.flatten(1)[:, 0] = 0
    data = Data("bits", bits if len(shape) == 1 else (255 * bits).to(torch.uint8))
    model = spec.build(shape)
    VAE(likelihood="bernoulli").prepare(model, data)
    *_, last = (p for name, p in model.decoder.named_parameters() if name.endswith("bias"))
    assert torch.isfinite(last).all()
    expected = bits.mean(0).flatten() if last.numel() > 1 else bits.mean().view(1)
    torch.testing.assert_close(torch.sigmoid(last), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("objective", [AE(), VAE()])
def test_a_perceptron_encoder_sees_pictures_less_their_mean(objective: AE | VAE) -> None:
    torch.manual_seed(0)
    data = Data("x", torch.randint(0, 256, (300, 1, 4, 4), dtype=torch.uint8))
    model = MLPAutoencoder(variational=isinstance(objective, VAE)).build((1, 4, 4))
    objective.prepare(model, data)
    _, centred, net = model.encoder
    seen = centred(to_inner(data.x).flatten(1))
    torch.testing.assert_close(seen.mean(0), torch.zeros(16), atol=1e-6, rtol=0)
    torch.testing.assert_close(model.encoder(to_inner(data.x)), net(seen))
    assert len(MLPAutoencoder().build((5,)).encoder) == 2  # vectors are taken as they are


def test_gaussian_likelihoods_are_those_of_torch() -> None:
    """Fixed sigma as asked; the learned one is the running mean of the squared error."""
    model = MLPAutoencoder().build((1, 3, 3))
    x, y = torch.randn(7, 1, 3, 3, dtype=torch.float64), 2 * torch.rand(7, 1, 3, 3, dtype=torch.float64) - 1
    for objective, sigma in ((VAE(sigma=0.3), 0.3), (VAE(likelihood="gaussian-learned"), 0.5)):
        model.noise.fill_(0.25)
        found = objective.log_likelihood(x, y, model)
        expected = torch.distributions.Normal(y, sigma).log_prob(x).sum((1, 2, 3))
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_logistic_takes_its_scale_from_the_squared_error() -> None:
    """A logistic of scale s has the variance (π s)² / 3."""
    model = MLPAutoencoder().build((1, 1, 1))
    model.noise.fill_(0.04)
    levels = (torch.arange(256) / 127.5 - 1).double().view(-1, 1, 1, 1)
    p = VAE(likelihood="logistic").log_likelihood(levels, torch.zeros_like(levels), model).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-6)
    assert float((p * levels.flatten().square()).sum()) == pytest.approx(0.04, rel=0.02)


def test_bits_per_dim_of_a_density_count_bins_of_grey_levels() -> None:
    """A uniform density on [-1, 1]^d, elbo = -d log 2, says nothing about 256 levels: 8 bits."""
    x = torch.zeros(2, 1, 4, 4)
    assert VAE().bits_per_dim(-16 * math.log(2), x) == pytest.approx(8)
    assert VAE(likelihood="bernoulli").bits_per_dim(-16 * math.log(2), x) == pytest.approx(1)
    assert VAE().bits_per_dim(-2 * math.log(2), torch.zeros(2, 2)) == pytest.approx(1)


@pytest.mark.parametrize("name", [n for n in STUDY if "residual" not in n])
def test_the_studys_recipes_are_its_protocol(name: str) -> None:
    recipe = STUDY[name]
    assert (recipe.data.name, recipe.data.split) == ("cifar10", "train")
    train = recipe.train
    assert (train.images, train.batch, train.lr, train.clip, train.schedule) == (1_000_000, 256, 1e-3, 1.0, "constant")
    assert isinstance(recipe.model, ConvAutoencoder)
    assert recipe.model.latent == (int(name.removeprefix("ae-cifar10-")) if name.startswith("ae") else 1024)
    if isinstance(recipe.objective, VAE):
        assert recipe.objective.beta == {"beta0.8": 0.8, "beta1.2": 1.2}.get(name.removeprefix("vae-cifar10-"), 1.0)
        assert recipe.objective.likelihood == "gaussian"
        assert recipe.objective.sigma == pytest.approx(math.sqrt(0.5))


def test_discretised_logistic_sums_to_one() -> None:
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for mean, scale in [(0.0, 0.1), (-0.999, 0.01), (0.7, 1.0), (1.0, 0.001)]:
        mass = discretised_logistic(levels, torch.tensor(mean).double(), torch.tensor(scale).double()).exp().sum()
        assert float(mass) == pytest.approx(1, abs=1e-9)


def test_schedules_start_and_end_where_they_say() -> None:
    steps = 40
    path = {s: [VAE(schedule=s).risen(clock(i, steps)) for i in range(steps)] for s in ("linear", "staircase")}
    assert path["linear"][0] == 0
    assert path["linear"][-1] == 1
    assert path["staircase"][:3] == [0, 0, 0.05]
    assert path["staircase"][-1] == 0.95
    cyclical = [VAE(schedule="cyclical").risen(clock(i, steps)) for i in range(steps)]
    assert [i for i in range(steps) if cyclical[i] == 0] == [0, 10, 20, 30]
    assert cyclical[-1] == 1
    assert VAE(schedule="linear", ramp=10).risen(clock(9, steps)) == 1


def test_capacity_is_per_example_and_free_bits_per_dimension() -> None:
    kl = torch.tensor([[1.0, 0.0], [5.0, 0.0]])
    penalty, weight = VAE(beta=10, schedule="capacity", capacity=3).penalty(kl, clock(9, 10))
    assert float(penalty) == 10 * 2
    assert float(weight) == 0
    penalty, _ = VAE(free_bits=0.5).penalty(kl, clock(0, 10))
    assert float(penalty) == 3.5


def test_running_moments_are_those_of_the_codes() -> None:
    torch.manual_seed(0)
    model = MLPAutoencoder(latent=2, variational=False).build((2,))
    codes = torch.randn(40, 50, 2) @ torch.tensor([[2.0, 0.0], [1.0, 0.5]]) + torch.tensor([3.0, -1.0])
    for batch in codes:
        model.observe(batch, 0.0, torch.tensor(0.25))
    torch.testing.assert_close(model.code_mean, codes.flatten(0, 1).mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.code_cov, codes.flatten(0, 1).T.cov(correction=0), atol=1e-3, rtol=1e-3)
    assert float(model.noise) == pytest.approx(0.25)
    drawn = model.prior(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.T.cov(), model.code_cov, atol=0.15, rtol=0.05)


def test_wrong_input_is_refused_with_the_fix() -> None:
    grey = Data("grey", torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2))
    binary = Data("binary", torch.tensor([0, 255, 255, 0], dtype=torch.uint8).view(1, 1, 2, 2))
    vae = MLPAutoencoder(output="logit").build((1, 2, 2))
    bernoulli = VAE(likelihood="bernoulli")
    bernoulli.check(vae, binary)
    with pytest.raises(UserError, match="binary data and grey is not; add"):
        bernoulli.check(vae, grey)
    with pytest.raises(UserError, match=r"--model\.output logit"):
        bernoulli.check(MLPAutoencoder().build((1, 2, 2)), binary)
    with pytest.raises(UserError, match="takes 11 steps and the run has 10"):
        VAE(schedule="linear", ramp=11).check(vae, grey, 10)
    for schedule, message in ((VAE(schedule="cyclical"), "4 cycles"), (VAE(schedule="staircase"), "20 stairs")):
        with pytest.raises(UserError, match=f"{message} do not fit the 7 steps"):
            schedule.check(vae, grey, 7)
    with pytest.raises(UserError, match="free_bits"):
        VAE(schedule="capacity", free_bits=0.1)
    with pytest.raises(UserError, match=r"objective\.beta is -1"):
        VAE(beta=-1)
    for latent in (0, -3):
        with pytest.raises(UserError, match=r"model\.latent"):
            ConvAutoencoder(latent=latent).build(CIFAR)
    with pytest.raises(UserError, match="posterior"):
        VAE().check(MLPAutoencoder(variational=False).build((2,)), grey)
    with pytest.raises(UserError, match="no-variational"):
        AE().check(vae, grey)


def test_a_batch_of_one_trains() -> None:
    model = MLPAutoencoder().build((2,))
    for objective in (VAE(), VAE(likelihood="gaussian-learned")):
        (move,) = objective.step(model, iter([torch.randn(1, 2)]), clock(0, 1))
        move.loss.backward()
        assert torch.isfinite(move.loss)
        with torch.no_grad():
            found = objective.validate(model, [torch.randn(1, 2)], clock(0, 1))
        assert math.isfinite(found.pop("elbo"))
        assert all(math.isfinite(v) for v in found.values() if isinstance(v, float))


def test_collapse_panel_of_a_known_posterior() -> None:
    """Two informative dimensions that are one and the same, one that is the prior: N(0, 1) marginals throughout."""
    torch.manual_seed(0)
    code = torch.randn(512, 1)
    mu = torch.cat([0.8 * code, 0.8 * code, torch.zeros_like(code)], 1)
    log_sigma = torch.tensor([0.6, 0.6, 1.0]).log().expand(512, 3)
    found = collapse_panel(mu, log_sigma)
    assert found["active_units"] == 2
    kl = 0.5 * (0.64 * code.square().mean().item() + 0.36 - 2 * math.log(0.6) - 1)
    assert found["kl_per_dim"] == pytest.approx([kl, kl], abs=1e-3)
    # q(z) is Gaussian with correlation 0.64 between the first two: its entropy gives everything else
    correlation = -0.5 * math.log(1 - 0.64**2)
    assert found["total_correlation"] == pytest.approx(correlation, abs=0.1)
    assert found["marginal_kl"] == pytest.approx(correlation, abs=0.15)
    assert found["mutual_info"] == pytest.approx(2 * kl - correlation, abs=0.15)


def test_dimensions_of_another_width_than_the_priors_are_no_total_correlation():
    """They carry nothing of x, and were taken to follow the prior."""
    g = torch.Generator().manual_seed(0)
    mu = torch.cat([torch.randn(4_000, 2, generator=g), torch.zeros(4_000, 4)], 1)
    log_sigma = torch.tensor([0.5] * 2 + [0.2] * 4).log().expand_as(mu)
    torch.manual_seed(0)
    assert abs(decompose(mu, log_sigma)["total_correlation"]) < 0.2
