"""Models with classes: what a label changes, what it must not, and densities over all of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from triptych.core import Conditional, Data, Model
from triptych.core.labels import class_number, draw_labels, given, labels_at_hand
from triptych.core.model_spec import ConditionalSpec
from triptych.errors import UserError
from triptych.models import latent_space
from triptych.models.autoencoders import ConvAutoencoder, MLPAutoencoder, ResidualAutoencoder
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.continuous import choose_guidance
from triptych.models.flows.coupling import NSF, RealNVP
from triptych.models.flows.multiscale import Glow, MultiScaleRealNVP
from triptych.models.flows.transformer import JetFlow, TransformerFlow
from triptych.models.flows.velocity import VelocityMLP, VelocityUNet
from triptych.models.gans.dcgan import DCGAN
from triptych.models.gans.mlp import MLPGAN
from triptych.models.gans.pyramid import PyramidGAN
from triptych.models.gans.resnet import ResNetGAN
from triptych.models.gans.small_conv import ConvGAN

K = 3
FLOWS: dict[str, ConditionalSpec] = {
    "affine": RealNVP(layers=3, width=16, classes=K),
    "spline": NSF(layers=2, width=16, bins=6, classes=K),
    "autoregressive": MAF(layers=2, width=16, classes=K),
    "continuous": VelocityMLP(width=16, octaves=1, classes=K, solver="dopri5"),
}
OTHERS: dict[str, tuple[ConditionalSpec, tuple[int, ...]]] = {
    "gan": (MLPGAN(width=16, classes=K), (2,)),
    "vae": (MLPAutoencoder(width=16, classes=K), (2,)),
    "one pass": (VelocityMLP(width=16, octaves=1, classes=K, one_pass=True), (2,)),
    "gan 28": (ConvGAN(latent=8, width=4, classes=K), (1, 8, 8)),
    "gan 28 plain": (ConvGAN(latent=8, width=4, classes=K, norm="none"), (1, 8, 8)),
    "dcgan": (DCGAN(latent=8, width=4, classes=K), (1, 16, 16)),
    "pyramid": (PyramidGAN(latent=8, width=4, classes=K), (3, 16, 16)),
    "resnet": (ResNetGAN(latent=8, width=4, classes=K), (3, 32, 32)),
    "conv vae": (ConvAutoencoder(latent=4, width=4, classes=K), (1, 16, 16)),
    "residual vae": (ResidualAutoencoder(latent=4, width=4, classes=K), (1, 16, 16)),
    "glow": (Glow(width=4, levels=1, steps=1, classes=K), (1, 8, 8)),
    "realnvp": (MultiScaleRealNVP(width=4, levels=1, couplings=1, classes=K), (1, 8, 8)),
    "jet": (JetFlow(width=8, layers=2, depth=1, heads=2, classes=K), (1, 8, 8)),
    "tarflow": (TransformerFlow(width=8, layers=2, depth=1, heads=2, classes=K), (1, 8, 8)),
    "unet": (VelocityUNet(width=4, classes=K, steps=2), (1, 8, 8)),
}
ALL = {**{name: (spec, (2,)) for name, spec in FLOWS.items()}, **OTHERS}


def made(spec: ConditionalSpec, shape: tuple[int, ...] = (2,)) -> Any:
    """The model with every weight away from where it starts, so that no layer is the identity."""
    torch.manual_seed(0)
    model = spec.build(shape)
    assert isinstance(model, Conditional)
    model.know_classes(Data("d", torch.zeros(10, 2), labels=torch.tensor([0] * 5 + [1] * 3 + [2] * 2)))
    with torch.no_grad():
        for w in model.parameters():
            w += 0.15 * torch.randn_like(w)
    return model.eval()


@pytest.mark.parametrize("name", FLOWS)
def test_the_density_of_each_class_integrates_to_1(name: str) -> None:
    model = made(FLOWS[name])
    side = 81 if name == "continuous" else 321
    line = torch.linspace(-8, 8, side)
    x = torch.cartesian_prod(line, line)
    for c in range(K):
        with torch.no_grad():
            p = torch.cat([model.log_prob(part, y=c) for part in x.split(20_000)]).double().exp()
        assert p.sum().item() * (line[1] - line[0]).item() ** 2 == pytest.approx(1, abs=4e-3)


@pytest.mark.parametrize("name", FLOWS)
def test_without_a_label_the_density_is_that_over_all_classes(name: str) -> None:
    model, x = made(FLOWS[name]), torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    each = torch.stack([model.log_prob(x, y=c) for c in range(K)], 1)
    whole = (each.double() + torch.tensor([0.5, 0.3, 0.2]).double().log()).logsumexp(1)
    torch.testing.assert_close(model.log_prob(x).double(), whole, atol=1e-5, rtol=0)
    assert each.std(1).min() > 1e-3, "the label changes nothing"


def test_the_random_numbers_of_an_estimate_are_the_same_for_all_classes() -> None:
    """Two classes with one embedding have one likelihood, however rough its estimate is; the next call has others."""
    model = made(VelocityUNet(width=4, classes=K, steps=1, tolerance=0.01), (1, 12, 12))
    with torch.no_grad():
        model.flow.times.embedding.weight[1] = model.flow.times.embedding.weight[0]
        x = torch.rand(2, 1, 12, 12)
        first, again = model.log_joint(x), model.log_joint(x)
    p = first - model.frequencies.log()
    torch.testing.assert_close(p[:, 0], p[:, 1])
    assert not torch.allclose(first, again, atol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_another_label_changes_its_own_row_and_no_other(name: str) -> None:
    spec, shape = ALL[name]
    model = made(spec, shape)
    z = model.prior(4, torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 0])
    other = torch.tensor([0, 1, 2, 1])
    with torch.no_grad():
        a, b = model.decode(z, y=y), model.decode(z, y=other)
        assert torch.equal(a, model.decode(z, y=y))
        torch.testing.assert_close(a[:3], b[:3], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(a[3], b[3], atol=1e-4)
        alone = torch.cat([model.decode(z[i : i + 1], y=y[i : i + 1]) for i in range(4)])
        torch.testing.assert_close(alone, a, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "name", [name for name in ALL if "gan" not in name and name not in ("dcgan", "pyramid", "resnet", "one pass")]
)
def test_encoding_is_given_the_label_too(name: str) -> None:
    spec, shape = ALL[name]
    model = made(spec, shape)
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0)) * 0.98 + 0.01
    y = torch.tensor([0, 1, 2])
    with torch.no_grad():
        z = model.encode(x, y=y)
        assert not torch.allclose(z, model.encode(x, y=torch.tensor([1, 2, 0])), atol=1e-4)
        if "vae" not in name and name != "unet":  # a U-Net's two steps do not invert each other
            torch.testing.assert_close(model.decode(z, y=y), x, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_samples_of_a_seed_and_a_class(name: str) -> None:
    spec, shape = ALL[name]
    model = made(spec, shape)
    model.class_names = ("robin", "wren", "Tit")
    first = model.sample(6, seed=3, y=1, batch=4)
    assert torch.equal(first, model.sample(6, seed=3, y="Wren", batch=4))
    assert torch.equal(first, model.sample(6, seed=3, y=torch.full((6,), 1), batch=4))
    drawn = draw_labels(model.frequencies, 6, 3)
    assert torch.equal(model.sample(6, seed=3), model.sample(6, seed=3, y=drawn.tolist()))


@pytest.mark.parametrize("name", ["gan", "vae", "affine", "spline", "continuous", "gan 28", "glow", "jet"])
def test_the_whole_share_of_a_class_is_its_label(name: str) -> None:
    spec, shape = ALL[name]
    model, z = made(spec, shape), None
    z = model.prior(3, torch.Generator().manual_seed(0))
    y = torch.tensor([2, 0, 1])
    shares = torch.nn.functional.one_hot(y, K).float()
    with torch.no_grad():
        torch.testing.assert_close(model.decode(z, y=shares), model.decode(z, y=y), atol=1e-5, rtol=1e-4)
        assert not torch.allclose(
            model.decode(z, y=shares.flip(0) * 0.5 + shares * 0.5), model.decode(z, y=y), atol=1e-4
        )


def test_the_critic_is_given_the_label() -> None:
    for name in ("gan", "gan 28", "dcgan", "pyramid", "resnet"):
        spec, shape = ALL[name]
        model, x = made(spec, shape), torch.rand(2, *ALL[name][1])
        with given(torch.tensor([0, 1])):
            a, twice = model.critic(x), model.critic(torch.cat([x, x]))
        with given(torch.tensor([0, 2])):
            b = model.critic(x)
        assert torch.allclose(twice, torch.cat([a, a]), atol=1e-5)
        assert torch.allclose(a[0], b[0], atol=1e-5)
        assert not torch.allclose(a[1], b[1], atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_an_unconditional_model_has_no_weights_for_classes(name: str) -> None:
    spec, shape = ALL[name]
    plain = type(spec)(**{**vars(spec), "classes": 0}).build(shape)
    assert not [k for k in plain.state_dict() if "frequencies" in k or "embedding" in k or "of_class" in k]
    assert isinstance(plain, Conditional)
    assert plain.classes == 0
    with pytest.raises(UserError, match="has no classes"):
        plain.decode(torch.zeros(1, plain.latent), y=1)  # type: ignore[attr-defined]


def test_networks_with_classes_want_labels() -> None:
    model = made(MLPGAN(width=8, classes=K))
    with pytest.raises(UserError, match="without labels"):
        model.generator(torch.zeros(2, 2))
    with given(torch.tensor([1, 2])):
        with given(torch.tensor([0])):
            assert labels_at_hand(3).tolist() == [0, 0, 0]
        assert labels_at_hand(4).tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (3, "there is no class 3; this model has the classes 0 to 2"),
        ("robn", "there is no class 'robn'; the nearest are robin"),
        ("xyz", "there is no class 'xyz'; classes are 0 to 2"),
        ([0, 1], "2 labels were given for 4 examples"),
        (torch.tensor([0, 1]), r"give int64 \(4,\)"),
        (torch.tensor([0, 1, 2, 3]), "labels go from 0 to 3"),
        (torch.tensor([0.0, 1.0]), r"give \(4, 3\)"),
    ],
)
def test_labels_that_are_none(y: Any, said: str) -> None:
    model = made(MLPGAN(width=8, classes=K))
    model.class_names = ("robin", "wren", "tit")
    with pytest.raises(UserError, match=said):
        model.sample(4, y=y)


def test_a_name_comes_before_a_number() -> None:
    assert class_number("3", ("7", "3"), 2) == 1
    assert class_number("1", ("7", "3"), 2) == 1
    assert class_number("0", ("7", "3"), 2) == 0


def test_guidance() -> None:
    model = made(VelocityMLP(width=16, octaves=1, classes=K))
    z, y = torch.randn(5, 2), torch.tensor([0, 1, 2, 0, 1])

    def at(weight: float, y: Tensor) -> Tensor:
        choose_guidance(model, weight)
        with torch.no_grad():
            return model.decode(z, y=y)

    plain = at(1.0, y)
    assert torch.allclose(at(0.0, y), at(0.0, y.flip(0)), atol=1e-5), "weight 0 is no label"
    assert not torch.allclose(at(2.0, y), plain, atol=1e-4)
    cost = model.cost.sample
    with pytest.raises(UserError, match="have no density"):
        model.log_prob(z, y=y)
    choose_guidance(model, 1.0)
    assert cost == 2 * model.cost.sample
    assert math.isfinite(model.log_prob(z, y=y).sum().item())
    for weight in (-1.0, 1e6, math.nan):
        with pytest.raises(UserError, match="guidance"):
            choose_guidance(model, weight)
    plain_model: Model = VelocityMLP(width=8).build((2,))
    with pytest.raises(UserError, match="cannot be guided"):
        choose_guidance(plain_model, 2.0)
    with pytest.raises(UserError, match="has no classes"):
        VelocityMLP(guidance=2.0)


@pytest.mark.parametrize("d", [3, 6, 12])
@pytest.mark.parametrize("spec", [RealNVP(layers=3, width=8, classes=K), NSF(layers=3, width=8, bins=4, classes=K)])
def test_every_column_of_a_vector_depends_on_the_label(spec: ConditionalSpec, d: int) -> None:
    """Fixed random orders let some columns through all couplings unchanged; they depend on it too."""
    model = made(spec, (d,))
    z = torch.randn(50, d, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x, other = model.decode(z, 0), model.decode(z, 1)
        assert ((x - other).abs().amax(0) > 1e-4).all()
        torch.testing.assert_close(model.encode(x, 0), z, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("index", [3, 500, -1, -100])
def test_labels_of_an_example_that_is_not_there(index):
    model = made(OTHERS["vae"][0])
    data = Data("three", torch.randn(3, 2), labels=torch.tensor([0, 1, 2]))
    for ask in (lambda: latent_space.labels_for(model, data, [0, index]), lambda: latent_space.public(data, [index])):
        with pytest.raises(UserError, match=f"three has no example {index}; it has 0 to 2"):
            ask()
