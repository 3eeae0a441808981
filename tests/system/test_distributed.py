"""Gradients on their way to other ranks while a backward pass goes on: when and in what order, and what arrives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from triptych.system import distributed
from triptych.system.distributed import Ranks, buckets


class Twin:
    """In place of the other of two ranks, which has the same gradients; it notes when each bucket comes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def all_reduce(self, flat: Tensor, async_op: bool = False) -> Any:
        assert async_op
        self.seen.append(("sent", flat.numel()))
        twin = self

        class Work:
            def wait(self) -> None:
                twin.seen.append(("waited", flat.numel()))
                flat.mul_(2)

        return Work()


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> Twin:
    twin = Twin()
    monkeypatch.setattr(distributed.dist, "all_reduce", twin.all_reduce)
    monkeypatch.setattr(distributed, "PART", 4 * 40)
    return twin


def penalised(net: nn.Module) -> Tensor:
    """A loss with second derivatives: the squared norm of the gradient at the input, beside the output."""
    x = torch.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
    out = net(x).sum()
    (g,) = torch.autograd.grad(out, x, create_graph=True)
    return out + g.square().sum()


def test_buckets_go_from_the_last_layer_on_while_others_are_computed(twin: Twin) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    unused = nn.Parameter(torch.ones(5))
    parameters = [unused, *net.parameters()]
    penalised(net).backward(inputs=parameters[1:])
    wanted = [w.grad.clone() for w in parameters[1:] if w.grad is not None]
    first = parameters[1]
    for w in parameters:
        w.grad = None
    handle = first.register_post_accumulate_grad_hook(lambda w: twin.seen.append(("the first layer is done", 0)))
    with Ranks(0, 2).averaging(parameters, overlap=True):
        penalised(net).backward(inputs=parameters[1:])
    handle.remove()
    sizes = [sum(w.numel() for w in part) for part in buckets(reversed(parameters), distributed.PART)]
    sent = [n for what, n in twin.seen if what == "sent"]
    assert sum(sent) == sum(sizes) - unused.numel()
    assert sent[:-1] == sizes[: len(sent) - 1]
    assert twin.seen.index(("the first layer is done", 0)) > 0, "something went before the pass was over"
    assert [n for what, n in twin.seen if what == "waited"] == sent
    for w, g in zip(parameters[1:], wanted, strict=True):
        assert w.grad is not None
        assert torch.equal(w.grad, g)
    assert unused.grad is None
    before = len(twin.seen)
    penalised(net).backward()
    assert len(twin.seen) == before, "a pass outside sends nothing"


def test_a_pass_that_fails_sends_nothing_more(twin: Twin) -> None:
    w = nn.Parameter(torch.ones(3))
    with pytest.raises(KeyError), Ranks(0, 2).averaging([w], overlap=True):
        raise KeyError
    (w * 2).sum().backward()
    assert twin.seen == []


def test_one_process_sends_nothing(twin: Twin) -> None:
    w = nn.Parameter(torch.ones(3))
    with Ranks().averaging([w], overlap=True):
        (w * 2).sum().backward()
    assert twin.seen == []
    assert w.grad is not None
    assert w.grad.tolist() == [2, 2, 2]


def test_the_threads_of_a_group_get_time_to_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lets go of its work while Python ends aborts the rank: it did in 3 of 26 short trainings, and seldom
    enough that no test of whole processes would notice."""
    done: list[str] = []
    monkeypatch.setattr(distributed, "asked", lambda: Ranks(0, 2))
    for name in ("init_process_group", "barrier", "destroy_process_group"):
        monkeypatch.setattr(distributed.dist, name, lambda *args, _name=name, **rest: done.append(_name))
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: False)
    monkeypatch.setattr(distributed.time, "sleep", lambda seconds: done.append("waited" if seconds >= 0.1 else "not"))
    with distributed.group() as ranks:
        done.append(f"{ranks.world} ranks")
    assert done == ["init_process_group", "2 ranks", "barrier", "destroy_process_group", "waited"]
