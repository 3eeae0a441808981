"""Grey levels between the two spaces."""

import torch

from triptych.core import to_bytes, to_inner, to_public

LEVELS = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)


def test_grey_levels_are_even_steps_within_the_inner_space():
    inner = to_inner(LEVELS).flatten()
    assert inner.dtype == torch.float32
    assert float(inner[0]) == -1
    assert float(inner.max()) <= 1
    torch.testing.assert_close(inner.double(), torch.arange(256).double() / 127.5 - 1, atol=1.3e-7, rtol=0)


def test_grey_levels_survive_the_way_there_and_back():
    assert torch.equal(to_bytes(to_public(to_inner(LEVELS))), LEVELS)
    torch.testing.assert_close(to_inner(LEVELS.float() / 255), to_inner(LEVELS), atol=2.5e-7, rtol=0)


def test_vectors_are_left_alone():
    x = torch.randn(5, 3)
    assert to_inner(x) is x
    assert torch.equal(to_public(x), x)


def test_pictures_stay_on_their_device():
    assert to_inner(LEVELS.to("meta")).device.type == "meta"
