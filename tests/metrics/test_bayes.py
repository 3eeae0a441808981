"""A conditional flow as a classifier by Bayes' rule."""

from __future__ import annotations

import pytest
import torch

from triptych.core import Data
from triptych.metrics.bayes import Bayes, calibration_error, log_joint
from triptych.metrics.comparison import Comparison
from triptych.models.flows.coupling import RealNVP
from triptych.models.flows.multiscale import Glow
from triptych.models.layers.bijections import ClassGaussian


def test_calibration_error_by_hand() -> None:
    p = torch.tensor([0.9, 0.9, 0.6, 0.6])
    assert calibration_error(p, torch.tensor([True, True, True, False])) == pytest.approx(0.1, abs=1e-6)
    assert calibration_error(torch.ones(5), torch.ones(5, dtype=torch.bool)) == 0
    assert calibration_error(torch.ones(5), torch.zeros(5, dtype=torch.bool)) == 1


def two_classes(shape: tuple[int, ...]) -> Glow | RealNVP:
    return RealNVP(layers=1, width=8, classes=2) if len(shape) == 1 else Glow(levels=1, steps=1, width=4, classes=2)


def test_classes_that_are_two_gaussians_are_told_as_well_as_they_can_be() -> None:
    """p(x | c) = N(±1, I): the best accuracy is Φ(1) in one dimension, 84.1 %, and the probabilities are right."""
    g = torch.Generator().manual_seed(0)
    y = torch.randint(2, (4_000,), generator=g)
    x = torch.randn(4_000, 2, generator=g)
    x[:, 0] += 2.0 * y - 1
    data = Data("pair", x, "test", labels=y, classes=("a", "b"))
    torch.manual_seed(0)
    model = RealNVP(layers=1, width=8, classes=2).build((2,))
    prior = ClassGaussian(2, 2)
    with torch.no_grad():
        prior.mean.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    model.flow = prior
    model.know_classes(data)
    found = Bayes(points=4_000)(Comparison(data, data, model=model))
    # 5 standard errors: fails by chance in 6e-7
    assert found["bayes_accuracy"].value == pytest.approx(0.8413, abs=5 * 0.0058)
    assert found["bayes_accuracy"].floor == pytest.approx(model.frequencies.max().item())
    assert found["bayes_calibration"].value < 0.03
    assert "4,000 of 4,000" in found["bayes_accuracy"].note


def test_pictures_and_no_classes() -> None:
    x = torch.randint(0, 256, (20, 1, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
    data = Data("pictures", x, "test", labels=torch.arange(20) % 2, classes=("a", "b"))
    torch.manual_seed(0)
    model = two_classes((1, 4, 4)).build((1, 4, 4)).eval()
    joint = log_joint(model, data.x)
    assert joint.shape == (20, 2)
    assert joint.dtype == torch.float64
    whole = joint.logsumexp(1)
    torch.manual_seed(1)
    u = torch.rand(x.shape).clamp_max(1 - 2**-16)
    public = (x + u) / 256
    torch.testing.assert_close(model.log_prob(public), model.log_joint(public).logsumexp(1), atol=1e-4, rtol=0)
    assert torch.isfinite(whole).all()
    plain = Glow(levels=1, steps=1, width=4).build((1, 4, 4))
    assert "no classes" in Bayes().applies(Comparison(data, data, model=plain))
    bare = Data("pictures", x, "test")
    assert "no labels" in Bayes().applies(Comparison(bare, bare, model=model))
