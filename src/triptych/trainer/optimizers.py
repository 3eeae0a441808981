"""The optimiser of each player, and its learning rate over a run."""

from __future__ import annotations

import math

import torch
from torch import nn

from triptych.core import Model, Train


def learning_rate(train: Train, images: int) -> float:
    """The factor on the learning rate after `images` examples."""
    fraction = min(images / train.images, 1.0)
    decay = {"constant": 1.0, "linear": 1.0 - fraction, "cosine": 0.5 * (1 + math.cos(math.pi * fraction))}
    rise = min(1.0, (images + train.batch) / train.warmup) if train.warmup else 1.0
    return decay[train.schedule] * rise


def full_rates(train: Train, model: Model) -> dict[str, float]:
    """The learning rate of each player before the schedule: the model's adversary may have one of its own."""
    own = {model.adversary: train.critic_lr} if train.critic_lr is not None else {}
    return {player: own.get(player, train.lr) for player in model.players}


def make_optimizer(train: Train, lr: float, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser that the recipe names, over one player's parameters."""
    match train.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr, train.betas, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr, train.betas, weight_decay=train.weight_decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr, foreach=True)
