"""What every objective and network promises, as checks that a stranger's own tests can call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from triptych.core import Clock, Data, Model, ModelSpec, Move, Objective, decode, encode
from triptych.core.discovery import unfinished
from triptych.core.objective import moves_of, wrong_move
from triptych.core.share import Parted, Share, computing
from triptych.data.batches import Batches, InOrder
from triptych.errors import UserError
from triptych.models.batchnorm import over_shares
from triptych.system.device import evaluation_mode
from triptych.trainer.promises import check_declared


def check_objective(objective: Objective, network: ModelSpec, data: Data, steps: int = 2) -> None:
    """AssertionError, saying which, where an objective breaks a promise while it trains a network on some data.

    Losses are finite scalars; a move changes the parameters of its players alone; every player moves; what is logged or
    validated is declared; the same seed gives the same losses; the objective is a frozen dataclass that a recipe's JSON
    can hold.
    """
    name = type(objective).__name__
    wrong = unfinished(type(objective))
    assert not wrong, f"{name} {wrong}"
    assert decode(encode(objective)) == objective, f"{name} does not survive a recipe's JSON"
    losses: list[list[float]] = []
    for _ in range(2):
        torch.manual_seed(1)
        model = network.build(data.shape)
        objective.check(model, data, steps)
        objective.prepare(model, data)
        moved: set[str] = set()
        losses.append([])
        for move, changed in moves(objective, model, data, steps):
            assert torch.isfinite(move.loss), f"a loss of {name} is {move.loss.item()}"
            assert changed == sorted(move.names), f"a move of {name} for {move.names} changed {changed}"
            check_logs(objective, move.logs)
            losses[-1].append(move.loss.item())
            moved |= set(move.names)
        assert moved == set(model.players), f"{name} never moves {sorted(set(model.players) - moved)}"
        with evaluation_mode(model, 1):
            batches = InOrder(data, 64, torch.device("cpu"), 128)
            check_logs(objective, objective.validate(model, batches, Clock(steps, 0, 1.0, steps)))
    assert losses[0] == losses[1], f"{name} gives other losses from the same seed: is there state in it?"


def check_logs(objective: Objective, names: Iterable[str]) -> None:
    """AssertionError for a number that an objective does not declare."""
    try:
        check_declared(objective, names)
    except UserError as e:
        raise AssertionError(str(e)) from e


def check_shares(objective: Objective, network: ModelSpec, data: Data) -> None:
    """AssertionError unless half batches have, in the mean, the loss of the whole one, or are refused: for training on
    several devices, and in parts.

    Random numbers for examples are to be drawn, and means within a loss taken, by the functions of `core.share`.
    """
    name = type(objective).__name__
    whole, halves = first_loss(objective, network, data, 1), first_loss(objective, network, data, 2)
    close = halves is None or abs(halves - (whole or 0.0)) <= 1e-4 * max(1.0, abs(whole or 0.0))
    assert close, f"half batches of {name} have a mean loss of {halves}, the whole one {whole}: see core/share.py"


def first_loss(objective: Objective, network: ModelSpec, data: Data, shares: int) -> float | None:
    """The first loss of a batch computed in so many shares, their mean; None where it is refused so."""
    total = 0.0
    for i in range(shares):
        torch.manual_seed(1)
        model = network.build(data.shape)
        over_shares(model)
        objective.prepare(model, data)
        share = Share(i, shares)
        size, visible = min(32, len(data) // 2 * 2), objective.visible(data, 0)
        batches = Batches(visible, size, 0, torch.device("cpu"), share=share)
        try:
            with computing(share):
                move = next(moves_of(objective, model, batches, Clock(0, 0, 0.0)), None)
                total += move.loss.item() / shares if move is not None else 0.0
        except Parted:
            return None
    return total


def moves(objective: Objective, model: Model, data: Data, steps: int) -> Iterator[tuple[Move, list[str]]]:
    """Each move of some steps, carried out by plain gradient descent, and the players whose parameters it changed."""
    batches = Batches(objective.visible(data, 0), min(32, len(data)), 0, torch.device("cpu"))
    name, players = type(objective).__name__, list(model.players)
    for step in range(steps):
        drawn = batches.drawn
        try:
            played = moves_of(objective, model, batches, Clock(step, batches.drawn, step / steps, steps))
        except UserError as e:
            raise AssertionError(str(e)) from e
        for move in played:
            wrong = wrong_move(move, players)
            assert not wrong, f"{name} {wrong}"
            before = {k: v.detach().clone() for k, v in model.named_parameters()}
            mine = [w for name in move.names for w in model.players[name].parameters()]
            for w, g in zip(mine, torch.autograd.grad(move.loss, mine, allow_unused=True), strict=True):
                if g is not None:
                    w.data -= 0.01 * g
            after = model.named_parameters()
            yield move, sorted({k.split(".")[0] for k, v in after if not torch.equal(v, before[k])})
        assert batches.drawn > drawn, f"a step of {name} draws no real examples; call next(batches)"
