"""Densities fitted to codes."""

import pytest
import torch

from triptych.core import Data
from triptych.errors import TooFew
from triptych.models import code_density
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.code_density import fit_codes, mixture
from triptych.models.families import codes_of_data


def two_clouds(n: int = 4000) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    z = torch.randn(n, 3, generator=g) * torch.tensor([0.3, 2.0, 1.0])
    z[: n // 4, 0] += 5
    return z


def test_one_gaussian_has_the_codes_moments() -> None:
    z = two_clouds()
    drawn = fit_codes(z).draw(40_000, seed=1)
    torch.testing.assert_close(drawn.mean(0), z.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), z.T.cov(), atol=0.12, rtol=0.03)


def test_a_mixture_finds_the_clouds() -> None:
    z = two_clouds()
    drawn = fit_codes(z, components=2).draw(8000, seed=1)
    assert ((drawn[:, 0] > 2.5).float().mean() - 0.25).abs() < 0.02
    assert ((drawn[:, 0] > 1.5) & (drawn[:, 0] < 3.5)).float().mean() < 0.002
    torch.testing.assert_close(drawn.std(0), z.std(0), atol=0.05, rtol=0.03)


def test_mixture_is_as_likely_as_scikit_learns() -> None:
    from sklearn.mixture import GaussianMixture

    u = two_clouds().double()
    u = (u - u.mean(0)) / u.std(0)
    *_, log_p = mixture(u, 2)
    reference = GaussianMixture(2, reg_covar=1e-3, tol=1e-4, random_state=0).fit(u.numpy())
    assert log_p.mean().item() == pytest.approx(reference.score(u.numpy()), abs=2e-3)


def test_in_many_dimensions_too_where_clouds_overlap() -> None:
    """The products are in float32 there, and codes without a share in a component are left out."""
    from sklearn.mixture import GaussianMixture

    p, g = code_density.FEW + 4, torch.Generator().manual_seed(0)
    centres = 0.8 * torch.randn(3, p, generator=g)
    roots = 0.3 * torch.randn(3, p, p, generator=g)
    which = torch.randint(3, (3000,), generator=g)
    u = centres[which] + (roots[which] @ torch.randn(3000, p, 1, generator=g))[:, :, 0]
    u = ((u - u.mean(0)) / u.std(0)).double()
    weights, found, factors, log_p = mixture(u, 3)
    reference = GaussianMixture(
        3,
        reg_covar=1e-3,
        tol=1e-4,
        weights_init=weights.numpy(),
        means_init=found.numpy(),
        precisions_init=torch.cholesky_inverse(factors).numpy(),
    ).fit(u.numpy())
    assert log_p.mean().item() == pytest.approx(reference.score(u.numpy()), abs=2e-3)
    for own in (weights, found, factors, log_p):
        assert own.dtype is torch.float64


def test_a_collapsed_dimension_and_few_codes() -> None:
    z = two_clouds(100)
    z[:, 2] = 1.5
    drawn = fit_codes(z, components=2).draw(50)
    torch.testing.assert_close(drawn[:, 2], torch.full((50,), 1.5))
    assert torch.isfinite(drawn).all()
    with pytest.raises(TooFew, match="too few"):
        fit_codes(z[:5], components=3)


def test_codes_of_data_have_one_row_an_example() -> None:
    data = Data("points", torch.randn(300, 2))
    for variational in (True, False):
        model = MLPAutoencoder(latent=3, variational=variational).build((2,))
        z, y = codes_of_data(model, data, most=200)
        assert z.shape == (200, 3)
        assert y is None


def test_a_grid_takes_many_components() -> None:
    """Of 25 narrow modes few components are no better than one, and 32 and more far better."""
    g = torch.Generator().manual_seed(0)
    grid = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0)).double()
    u = grid[torch.randint(25, (3000,), generator=g)] + 0.05 * torch.randn(3000, 2, generator=g, dtype=torch.float64)
    assert len(code_density.choose((u - u.mean(0)) / u.std(0))[0]) >= 32
    assert len(code_density.choose(torch.randn(3000, 6, generator=g, dtype=torch.float64))[0]) == 1


@pytest.mark.parametrize("p", [3, 20, 40])
def test_sums_of_products_are_those_of_each_component(p: int) -> None:
    """Up to FEW dimensions they come from one matrix product, above from one for each component."""
    g = torch.Generator().manual_seed(0)
    u = torch.randn(200, p, generator=g, dtype=torch.float64)
    factors = torch.linalg.cholesky(torch.cov(torch.randn(p, 4 * p, generator=g, dtype=torch.float64))).expand(
        2, -1, -1
    )
    centres = torch.randn(2, p, generator=g, dtype=torch.float64)
    want = [
        torch.distributions.MultivariateNormal(c, scale_tril=f).log_prob(u)
        for c, f in zip(centres, factors, strict=True)
    ]
    found = code_density.component_log_prob(u, centres, factors)
    torch.testing.assert_close(found, torch.stack(want, 1))
    whole = code_density.unfolded(code_density.products(u), p)
    torch.testing.assert_close(whole, u[:, :, None] * u[:, None])
