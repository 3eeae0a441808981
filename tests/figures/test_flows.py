"""Pictures of flows: drawn, of the size they say, and refused where they have no meaning."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from PIL import Image

from triptych.core import Data
from triptych.errors import UserError
from triptych.figures import flows, planes
from triptych.figures.canvas import _canvas
from triptych.models.flows.coupling import RealNVP
from triptych.models.flows.multiscale import Glow
from triptych.models.flows.velocity import VelocityMLP


@pytest.mark.parametrize("draw", [flows.density, flows.warp, flows.stages, flows.temperatures])
def test_figures_of_the_plane(draw, tmp_path):
    torch.manual_seed(0)
    model, data = RealNVP(layers=2, width=4).build((2,)), Data("points", torch.randn(50, 2))
    with Image.open(draw(model, data, tmp_path / "x.png")) as picture:
        assert picture.width > 300


def test_temperatures_of_pictures_are_rows_of_one_grid(tmp_path):
    model = Glow(levels=1, steps=1, width=4).build((1, 4, 4)).eval()
    data = Data("grey", torch.zeros(3, 1, 4, 4, dtype=torch.uint8))
    with Image.open(flows.temperatures(model, data, tmp_path / "x.png", at=(0.5, 1.0))) as picture:
        assert picture.width > 3 * picture.height


def test_planes_need_two_dimensions(tmp_path):
    model = RealNVP(layers=2, width=4).build((3,))
    with pytest.raises(UserError, match="2-D"):
        flows.warp(model, Data("points", torch.randn(50, 3)), tmp_path / "x.png")


def test_a_look_at_a_dear_density_is_coarser_and_says_so(tmp_path, monkeypatch):
    """A continuous flow's map costs a tenth of the passes of one as fine as a coupling's."""
    torch.manual_seed(0)
    data, asked, texts = Data("points", torch.randn(50, 2)), dict[str, int](), dict[str, list[str]]()

    def drawn(name, model):
        def counted(x):
            asked[name] = asked.get(name, 0) + len(x)
            return -x.square().sum(1)

        monkeypatch.setattr(model, "log_prob_to_look_at", counted)
        _, axes = _canvas(4.2, 4.2)
        planes.draw_plane(axes, model.sample(10, seed=0), data, model)
        texts[name] = [t.get_text() for t in axes.texts]

    drawn("couplings", RealNVP(layers=2, width=4).build((2,)).eval())
    drawn("continuous", VelocityMLP(width=4, octaves=1, steps=1).build((2,)).eval())
    assert asked == {"couplings": 96**2, "continuous": 32**2}
    assert not any("density" in t for t in texts["couplings"])
    assert any("10 samples, density at 32² points" in t for t in texts["continuous"])


def test_stages_lead_from_noise_to_what_is_decoded():
    """The axes stay those of x: an axis that a coupling keeps is the same before and after it."""
    torch.manual_seed(0)
    model = RealNVP(layers=4, width=4).build((2,)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
        z = torch.randn(50, 2)
        found = flows._between_layers(model, z, panels=5)
        assert [name for name, _ in found] == ["z", "after 1 of 4", "after 2 of 4", "after 3 of 4", "x"]
        assert torch.equal(found[-1][1], model.decode(z))
        moved = [[not torch.allclose(a[1][:, i], b[1][:, i]) for i in (0, 1)] for a, b in pairwise(found)]
    assert moved == [[True, False], [False, True]] * 2 or moved == [[False, True], [True, False]] * 2


def test_stages_in_continuous_time_are_named_by_it():
    torch.manual_seed(0)
    model = VelocityMLP(width=4, octaves=1, steps=1).build((2,)).eval()
    z = torch.randn(5, 2)
    with torch.no_grad():
        found = flows._at_times(model, z, panels=5)
    assert [name for name, _ in found] == ["t = 0", "t = 0.44", "t = 0.75", "t = 0.94", "t = 1"]
    assert torch.equal(found[0][1], z)
