"""Networks of continuous flows in their form for samples, against the modules themselves."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.labels import given
from triptych.models.flows.continuous import OnePassFlow
from triptych.models.flows.path import Scaled
from triptych.models.flows.velocity import VelocityUNet, norm
from triptych.models.layers import inference
from triptych.models.layers.inference import Packed, Preparable, activated, available, in_bfloat16, normalised
from triptych.models.two_stages import LatentUNet
from triptych.system.device import place

pytestmark = pytest.mark.skipif(not available("cpu", torch.float32), reason="PyTorch was built without oneDNN")
halves = pytest.mark.skipif(not available("cpu", torch.bfloat16), reason="oneDNN has no bfloat16 on this processor")
LAST = {"memory_format": torch.channels_last}
SPECS = {
    "unet": (VelocityUNet(width=16), (3, 16, 16)),
    "unet with classes": (VelocityUNet(width=8, blocks=2, classes=3), (1, 8, 12)),
    "mean velocity": (VelocityUNet(width=8, one_pass=True), (1, 8, 8)),
    "codes": (LatentUNet(codes=4, side=4, width=4, flow_width=32, flow_depth=2), (1, 16, 16)),
}


def made(name: str) -> Scaled:
    """A model away from its start, where the last convolutions are 0."""
    torch.manual_seed(0)
    spec, shape = SPECS[name]
    model = spec.build(shape)
    assert isinstance(model, Scaled)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model.eval()


def labelled(model: Scaled, n: int = 5) -> AbstractContextManager[None]:
    return given(torch.tensor([0, 2, 1, 1, 0])[:n]) if model.classes else nullcontext()


def asked(model: Scaled, n: int = 5) -> list[Tensor]:
    g = torch.Generator().manual_seed(1)
    inputs = [torch.randn(n, *model.moved, generator=g), torch.rand(n, 1, generator=g)]
    return [*inputs, torch.ones(n, 1)] if isinstance(model, OnePassFlow) else inputs


@pytest.mark.parametrize("name", SPECS)
def test_in_float32_it_is_the_same_function(name: str) -> None:
    model = made(name)
    assert isinstance(model.flow, Preparable)
    form = model.flow.prepared(torch.float32)
    for n in (5, 3):
        with torch.no_grad(), labelled(model, n):
            want = model.flow(*asked(model, n))
            assert want.std() > 0.1
            torch.testing.assert_close(form(*asked(model, n)), want, rtol=1e-3, atol=1e-4)


@halves
@pytest.mark.parametrize("name", SPECS)
def test_in_bfloat16_it_is_as_near_to_float32_as_autocast(name: str) -> None:
    model = made(name)
    assert isinstance(model.flow, Preparable)
    with torch.no_grad(), labelled(model):
        want = model.flow(*asked(model))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model.flow(*asked(model)).float()
        found = model.flow.prepared(torch.bfloat16)(*asked(model)).float()
    assert 0 < (found - want).norm() <= 2 * (rounded - want).norm()


@pytest.mark.parametrize("inside", [1.0, 30.0])
@pytest.mark.parametrize(("channels", "side"), [(4, 5), (16, 8), (24, 32), (96, 4)])
def test_a_normalisation_and_its_activation(channels: int, side: int, inside: float) -> None:
    """Also where the mean of a group is large beside its deviation."""
    g = torch.Generator().manual_seed(0)
    layer = norm(channels)
    x = torch.randn(3, channels, side, side, generator=g) + inside * torch.randn(1, channels, 1, 1, generator=g)
    x = x.contiguous(**LAST)
    scale, shift = torch.randn(2, 3, channels, generator=g)
    with torch.no_grad():
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
        want = layer(x)
        torch.testing.assert_close(normalised(layer, x), want, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(activated(layer, x), F.silu(want), rtol=1e-3, atol=1e-3)
        gain, offset = layer.weight * (1 + scale), layer.bias * (1 + scale) + shift
        want = want * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
        torch.testing.assert_close(activated(layer, x, gain, offset), F.silu(want), rtol=1e-3, atol=1e-3)
        half = x.bfloat16()
        want = layer(half.float())
        found = activated(layer, half)
    assert found.dtype is torch.bfloat16
    assert found.is_contiguous(**LAST)
    assert (found.float() - F.silu(want)).norm() <= 0.01 * want.norm()


def test_a_packed_convolution_adds_and_leaves_its_inputs_alone() -> None:
    layer = nn.Conv2d(16, 16, 3, padding=1)
    x, other = torch.randn(2, 2, 16, 8, 8).unbind()
    x, other = x.contiguous(**LAST), other.contiguous(**LAST)
    kept = other.clone()
    with torch.no_grad():
        form, want = Packed(layer, torch.float32), layer(x)
        torch.testing.assert_close(form(x), want)
        torch.testing.assert_close(form(x, onto=other), want + other)
        torch.testing.assert_close(form(x[:1], onto=other[:1]), (want + other)[:1])
    assert torch.equal(other, kept)


@halves
def test_samples_are_made_of_the_weights_as_they_are() -> None:
    model = made("unet")
    model.choose(None, 2)
    model.brief = True
    before = model.sample(3, seed=0)
    with torch.no_grad():
        model.get_parameter("flow.leave.2.bias").add_(0.1)
    after = model.sample(3, seed=0)
    model.brief = False
    assert not torch.equal(before, after)
    assert (model.sample(3, seed=0) - after).abs().mean() < 1 / 255
    assert model.halved is None


def test_where_onednn_has_no_bfloat16_it_is_autocasts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("unet")
    monkeypatch.setattr(inference, "available", lambda device, dtype: False)
    with torch.no_grad():
        found = in_bfloat16(model.flow, "cpu")(*asked(model))
        with torch.autocast("cpu", torch.bfloat16):
            want = model.flow(*asked(model))
    assert torch.equal(found, want)


@pytest.mark.parametrize(
    ("there", "bf16", "want"),
    [(False, True, [False, False]), (True, False, [True, False]), (True, True, [True, True])],
)
def test_what_onednn_can_do_is_asked(
    there: bool, bf16: bool, want: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: there)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: bf16)
    assert [available("cpu", kind) for kind in (torch.float32, torch.bfloat16)] == want
    assert not available("cuda", torch.bfloat16)
    assert not available("cpu", torch.float64)


def test_a_training_in_bfloat16_makes_its_samples_in_it() -> None:
    for precision, brief in (("fp32", False), ("bf16", True)):
        assert place(made("unet"), torch.device("cpu"), precision).brief is brief
