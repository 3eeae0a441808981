"""What a model's public methods refuse, in one sentence, and what they leave alone."""

import pytest
import torch

from triptych.errors import UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.flows.multiscale import Glow
from triptych.models.gans.mlp import MLPGAN

PICTURES, VECTORS = (3, 8, 8), (2,)
AE = MLPAutoencoder(latent=2, width=8, variational=False)
VAE = MLPAutoencoder(latent=2, width=8)
FLOW = Glow(levels=1, steps=1, width=8)


def built(spec, shape=PICTURES):
    torch.manual_seed(0)
    return spec.build(shape).eval()


@pytest.mark.parametrize("spec", [AE, VAE, FLOW], ids=["ae", "vae", "flow"])
@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda x: x * 2 - 1, UserError, r"outside \[0, 1\] \(-0\.9"),
        (lambda x: x * 255, UserError, r"outside \[0, 1\]"),
        (lambda x: (x * 255).byte(), TypeError, "uint8 .* give x.float"),
        (lambda x: x.double(), TypeError, "float64"),
        (lambda x: x.long(), TypeError, "int64"),
        (lambda x: x.permute(0, 2, 3, 1), UserError, "channels come first"),
        (lambda x: x[0], UserError, r"shape \(3, 8, 8\); give \(n, 3, 8, 8\)"),
        (lambda x: x[..., :4], UserError, "shape"),
        (lambda x: x.flatten(1), UserError, "shape"),
        (lambda x: x.where(x > 0.5, float("nan")), UserError, "some are NaN"),
        (lambda x: x.numpy(), TypeError, "give a tensor"),
        (lambda x: None, TypeError, "NoneType"),
    ],
)
def test_examples_that_are_not_public(spec, change, error, said):
    model, x = built(spec), torch.rand(4, *PICTURES, generator=torch.Generator().manual_seed(0))
    for ask in (model.encode, model.log_prob) if spec is FLOW else (model.encode,):
        with pytest.raises(error, match=said) as e:
            ask(change(x))
        assert "\n" not in str(e.value)


def test_vectors_have_to_be_finite():
    model = built(RealNVP(layers=2, width=8), VECTORS)
    assert model.log_prob(torch.full((3, 2), 900.0)).shape == (3,), "vectors have no range"
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="NaN or infinite"):
            model.log_prob(torch.full((3, 2), bad))
    with pytest.raises(ValueError, match=r"give \(n, 2\)"):
        model.encode(torch.zeros(3, 3))


@pytest.mark.parametrize("spec", [AE, VAE, FLOW, MLPGAN(width=8, latent=2)], ids=["ae", "vae", "flow", "gan"])
def test_codes_of_another_form(spec):
    model = built(spec)
    n = model.latent
    for z in (torch.zeros(4, n + 1), torch.zeros(n), torch.zeros(1, 4, n)):
        with pytest.raises(ValueError, match="codes have the shape"):
            model.decode(z)
    with pytest.raises(TypeError, match="float64"):
        model.decode(torch.zeros(4, n).double())


@pytest.mark.parametrize(
    ("spec", "method"),
    [(MLPGAN(width=8), "encode"), (MLPGAN(width=8), "log_prob"), (VAE, "log_prob"), (AE, "log_prob")],
)
def test_what_a_family_cannot_do_is_a_type_error(spec, method):
    with pytest.raises(TypeError, match=r"has no (encoder|exact density)"):
        getattr(built(spec), method)(torch.zeros(2, *PICTURES))


@pytest.mark.parametrize("spec", [AE, VAE, FLOW], ids=["ae", "vae", "flow"])
def test_what_a_model_makes_it_takes(spec):
    """And its derivative, and in float64."""
    model = built(spec)
    x = model.sample(4, seed=0).requires_grad_()
    model.encode(x).sum().backward()
    assert x.grad is not None
    model.double()
    assert model.encode(torch.rand(2, *PICTURES).double()).dtype == torch.float64


def test_an_exported_model_needs_no_values():
    """What looks at values is left out where they are not known."""
    model = built(VAE)

    class Encode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model.encode(x)

    x = torch.rand(2, *PICTURES)
    program = torch.export.export(Encode(), (x,))
    assert torch.allclose(program.module()(x), model.encode(x), atol=1e-6)
