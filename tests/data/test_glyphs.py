"""Glyphs: deterministic, and every factor does what its name says."""

from collections.abc import Iterator

import pytest
import torch

from triptych import data
from triptych.core import discovery
from triptych.data.sources.glyphs import CLASSES, RANGES, SOURCES, draw_factors, render
from triptych.errors import UserError


def base(c: str = "H") -> dict[str, torch.Tensor]:
    middle = {k: torch.tensor([(a + b) / 2]) for k, (a, b) in RANGES.items()}
    return {"class": torch.tensor([CLASSES.index(c)]), **middle}


def ink(size: int = 64, c: str = "H", **change: float) -> torch.Tensor:
    factors = base(c) | {k: torch.tensor([float(v)]) for k, v in change.items()}
    return render(factors, size, channels=1)[0, 0].float() / 255


def centre(picture: torch.Tensor) -> tuple[float, float]:
    h, w = picture.shape
    x, y = (torch.arange(w) + 0.5) / w, (torch.arange(h) + 0.5) / h
    return (picture.sum(0) @ x / picture.sum()).item(), (picture.sum(1) @ y / picture.sum()).item()


def test_position_is_a_share_of_the_side() -> None:
    assert centre(ink()) == pytest.approx((0.5, 0.5), abs=0.01)
    assert centre(ink(x=0.1, y=-0.05)) == pytest.approx((0.6, 0.45), abs=0.01)


def test_scale_rotation_shear_thickness() -> None:
    def rows(p: torch.Tensor) -> int:
        return int((p.amax(1) > 0.5).sum())

    assert rows(ink(scale=0.7)) == pytest.approx(rows(ink(scale=0.5)) + 0.2 * 64, abs=2)
    assert ink(thickness=0.1).sum() / ink(thickness=0.05).sum() == pytest.approx(2, rel=0.12)
    tilted, upright = ink(c="I", rotation=20), ink(c="I", rotation=0)
    assert centre(tilted[:32])[0] > centre(upright[:32])[0]  # clockwise: the top goes right
    assert centre(ink(c="I", shear=0.25)[:32])[0] > centre(upright[:32])[0]


def test_hues_leave_the_shape_alone() -> None:
    one, other = (render(base() | {"colour": torch.tensor([h])}, 32)[0].int() for h in (0.1, 0.6))
    changed = (one - other).abs().sum(0) > 0
    assert torch.equal(changed, render(base(), 32, channels=1)[0, 0] > 0)


def test_every_class_is_its_own_picture() -> None:
    n = len(CLASSES)
    same = {k: v.expand(n) for k, v in base().items()} | {"class": torch.arange(n)}
    x = render(same, 32, channels=1).float().flatten(1) / 255
    assert torch.pdist(x).min() > 1.5


def test_same_at_every_size() -> None:
    f = draw_factors(36, torch.Generator().manual_seed(0)) | {"class": torch.arange(36)}
    small, big = render(f, 32, 1).float(), render(f, 64, 1).float()
    assert (small - torch.nn.functional.avg_pool2d(big, 2)).abs().mean() < 4  # of 255


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`glyphs` with few examples, whatever was found by that name before."""
    source = type(SOURCES["glyphs"])(train=200, test=50)
    monkeypatch.setitem(SOURCES, "glyphs", source)
    discovery._of.cache_clear()
    yield
    discovery._of.cache_clear()


@pytest.mark.usefixtures("small")
def test_set() -> None:
    train, test, both = (data.load("glyphs", split=s, resolution=16) for s in ("train", "test", "all"))
    assert train.x.shape == (200, 3, 16, 16)
    assert len(test) == 50
    assert torch.equal(both.x, torch.cat([train.x, test.x]))
    assert set(train.factors) == {"class", *RANGES}
    assert all(len(v) == 200 for v in train.factors.values())
    assert torch.equal(train.x, render(train.factors, 16))
    assert train.labels is not None
    assert torch.equal(train.labels, train.factors["class"])
    grey = data.load("glyphs", resolution=16, channels=1)
    assert grey.shape == (1, 16, 16)
    assert "colour" not in grey.factors
    with pytest.raises(UserError, match="only --resolution"):
        data.load("glyphs", holdout=0.1)
