"""The families of models."""

from __future__ import annotations

from collections.abc import Iterable

FAMILIES = {"generator": "GAN", "flow": "flow", "encoder": "autoencoder"}
"""The family of a model by the first of these players that it has: a flow of codes, with an encoder too, is a flow."""


def family(players: Iterable[str]) -> str:
    """GAN, flow or autoencoder; empty where no family has these players, as for what is fitted in closed form."""
    there = set(players)
    return next((name for player, name in FAMILIES.items() if player in there), "")
