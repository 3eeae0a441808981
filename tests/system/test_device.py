"""What is chosen for a device, and why."""

from contextlib import suppress

import pytest
import torch

from triptych.errors import UserError
from triptych.models.gans.mlp import MLPGAN
from triptych.system.device import check_seed, evaluation_mode, exact_float32, random_state, set_random_state


@pytest.fixture
def apple(monkeypatch):
    """Something like a Metal device: a generator of its own, seeded with the others."""
    generator, seed_all = torch.Generator(), torch.manual_seed

    def manual_seed(seed):
        generator.manual_seed(seed + 1)
        return seed_all(seed)

    monkeypatch.setattr(torch.mps, "get_rng_state", generator.get_state)
    monkeypatch.setattr(torch.mps, "set_rng_state", generator.set_state)
    monkeypatch.setattr(torch, "manual_seed", manual_seed)
    monkeypatch.setattr(MLPGAN(width=8).build((2,)).__class__, "device", torch.device("mps"))
    return generator


def test_looking_at_a_model_leaves_the_generators_of_cpu_and_mps_alone(apple):
    model = MLPGAN(width=8).build((2,)).train()
    before = random_state(model.device)
    with suppress(KeyError), evaluation_mode(model, 5):
        assert not model.training
        assert not torch.equal(apple.get_state(), before["mps"])
        torch.rand(3)
        torch.rand(3, generator=apple)
        raise KeyError
    assert model.training
    after = random_state(model.device)
    assert before.keys() == after.keys() == {"cpu", "mps"}
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_the_generator_of_mps_goes_on_where_it_was(apple):
    device = torch.device("mps")
    torch.rand(7, generator=apple)
    state = random_state(device)
    expected = torch.rand(4), torch.rand(4, generator=apple)
    set_random_state(state, device)
    assert torch.equal(torch.rand(4), expected[0])
    assert torch.equal(torch.rand(4, generator=apple), expected[1])
    set_random_state({"cpu": state["cpu"]}, device)  # a run that began on a processor


@pytest.mark.parametrize(("seed", "fine"), [(0, True), (2**63 - 1, True), (2**63, False), (-1, False)])
def test_seeds(seed, fine):
    if fine:
        check_seed(seed)
    else:
        with pytest.raises(UserError, match=r"at least 0 and below 2\*\*63"):
            check_seed(seed)


def test_whole_float32_is_without_tf32_and_still_cudnns(monkeypatch):
    """It was convolved without cuDNN, many times slower: `torch.backends.cudnn.flags` turns off what it is not told."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    assert before[:2] == (True, True)
    with exact_float32():
        assert (cudnn.enabled, cudnn.allow_tf32) == (True, False)
        assert (cudnn.deterministic, cudnn.benchmark) == before[2:]
        assert not torch.backends.cuda.matmul.allow_tf32
    assert (cudnn.enabled, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == before
