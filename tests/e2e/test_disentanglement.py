"""Known factors: a short training on glyphs, evaluated axis by axis as `evaluate` does it."""

import dataclasses

import pytest
import torch

from triptych.core import DataSpec, Recipe, Train
from triptych.data import load_spec
from triptych.evaluate import Samples, evaluate_run
from triptych.metrics.comparison import Comparison
from triptych.metrics.disentanglement import Disentanglement
from triptych.models.autoencoders import MLPAutoencoder
from triptych.objectives.autoencoder import VAE
from triptych.run import Run
from triptych.trainer import fit

RECIPE = Recipe(
    DataSpec("glyphs", resolution=16, channels=1),
    MLPAutoencoder(latent=6, width=256),
    VAE(sigma=0.3),
    Train(images=60_000, batch=256, lr=2e-3, evaluate=60_000, sample=60_000),
)
SCORES = {"mig", "sap", "beta_vae_score", "dci_disentanglement", "dci_completeness", "dci_informativeness"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fit(RECIPE, 0, tmp_path_factory.mktemp("runs") / "vae", progress=False)


def test_a_trained_encoder_is_above_an_untrained_one_and_above_chance(run):
    """On three factors it cannot miss, by margins several times the spread over seeds."""
    data = load_spec(RECIPE.data, "test")
    torch.manual_seed(0)
    models = {"trained": run.load(), "untrained": RECIPE.model.build(data.shape).eval()}
    found = {k: Disentanglement()(Comparison(data, data, model=m)) for k, m in models.items()}
    assert set(found["trained"]) == SCORES
    for name, value in found["trained"].items():
        raw = found["untrained"][name]
        assert 0 <= value.floor < value.value <= 1
        if name not in ("dci_disentanglement", "dci_completeness"):  # of what little an untrained net tells, too
            assert value.value > 1.5 * raw.value, name
    for name, most in (("mig", 0.01), ("sap", 0.02), ("dci_informativeness", 0.01), ("dci_disentanglement", 0.01)):
        assert abs(found["trained"][name].floor) < most
    # chance is to name one factor of seven; 5 standard deviations of 3,500 held-out points are 0.03
    assert found["trained"]["beta_vae_score"].floor == pytest.approx(1 / 7, abs=0.04)
    assert "7 factors, 6 axes" in found["trained"]["mig"].note


def test_evaluate_reports_them_with_everything_a_vae_has(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    values = evaluate_run(run.path, samples=Samples(n=60))
    assert set(values) >= SCORES
    assert {"nll_elbo", "nll_iwae", "bits_per_dim_elbo", "bits_per_dim_iwae", "separability", "hole_prior"} <= set(
        values
    )
    elbo, iwae = values["nll_elbo"], values["nll_iwae"]
    assert iwae.value < elbo.value
    assert (elbo.card["draws"], iwae.card["draws"]) == (1, 500)
    assert values["path_length"].value > 0
    assert dataclasses.asdict(values["mig"])["floor"] is not None
    assert (Run(run.path).path / "eval.json").is_file()
