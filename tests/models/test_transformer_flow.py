"""Flows of transformers over patches: exact log-determinants, exact inverses, and the cache that makes these cheap."""

from __future__ import annotations

import pytest
import torch

from triptych.errors import UserError
from triptych.models.flows.transformer import CausalPatches, JetFlow, Patches, TransformerFlow
from triptych.models.layers.transformer import TokenTransformer

SPECS = [
    JetFlow(layers=3, width=8, depth=1, patch=2, heads=2),
    TransformerFlow(layers=3, width=8, depth=2, patch=2, heads=2),
]


def away_from_its_start(spec, shape):
    torch.manual_seed(0)
    model = spec.build(shape).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model.eval()


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: type(s).__name__)
def test_log_det_is_autograds_and_the_inverse_is_exact(spec):
    model = away_from_its_start(spec, (1, 4, 6))
    x = torch.rand(3, 1, 4, 6, dtype=torch.float64) * 2 - 1
    z, log_det = model.flow(x)
    for one, found in zip(x, log_det, strict=True):
        j = torch.autograd.functional.jacobian(lambda v: model.flow(v[None])[0][0], one).reshape(24, 24)
        torch.testing.assert_close(torch.linalg.slogdet(j)[1], found, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model.flow.inverse(z), x, rtol=1e-9, atol=1e-9)


def test_a_patch_depends_on_the_patches_before_it_alone():
    net = TokenTransformer(3, 2, 5, 8, 2, 2, causal=True)
    torch.nn.init.normal_(net.leave.weight)
    x = torch.randn(1, 5, 3, requires_grad=True)
    for i in range(5):
        (g,) = torch.autograd.grad(net(x)[0, i].sum(), x)
        assert g[0, : i + 1].abs().sum() > 0
        assert g[0, i + 1 :].abs().sum() == 0


def test_the_cache_gives_what_the_whole_pass_gives():
    net = TokenTransformer(3, 2, 5, 8, 2, 2, causal=True)
    torch.nn.init.normal_(net.leave.weight)
    x, cache, rows = torch.randn(4, 5, 3), [], []
    for i in range(5):
        row, cache = net.after(x[:, i : i + 1], i, cache)
        rows.append(row)
    torch.testing.assert_close(torch.cat(rows, 1), net(x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_loop_of_graphs_gives_what_the_cache_gives():
    model = away_from_its_start(SPECS[1], (1, 4, 6))
    transforms = [t for t in model.flow.modules() if isinstance(t, CausalPatches)]
    assert len(transforms) == 3
    z = torch.randn(3, 6, 4, dtype=torch.float64)
    for one in transforms:
        torch.testing.assert_close(one.scanned(z), one.inverse(z), rtol=1e-12, atol=1e-12)


def test_patches_are_squares_of_neighbouring_pixels():
    x = torch.arange(16.0).reshape(1, 4, 4, 1)
    z, _ = Patches((4, 4, 1), 2)(x)
    assert z[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert torch.equal(Patches((4, 4, 1), 2).inverse(z), x)


@pytest.mark.parametrize(
    ("spec", "shape", "said"),
    [
        (JetFlow(), (1, 30, 30), "cannot be cut into patches of 4×4"),
        (TransformerFlow(), (2,), "use RealNVP, NSF or MAF"),
        (JetFlow(patch=1), (1, 4, 4), "--model.patch 2 or more"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_line(spec, shape, said):
    with pytest.raises(UserError, match=said):
        spec.build(shape)


def test_heads_share_the_width():
    with pytest.raises(UserError, match="cannot be shared by 3 heads"):
        JetFlow(width=16, heads=3)
