"""What to say where another objective or network does not fit: `--objective NAME`, `--model NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import parts
from triptych.errors import UserError

if TYPE_CHECKING:
    from triptych.core import Recipe


def misfit(recipe: Recipe) -> str:
    """Why the objective cannot train the network on the data, and which objectives can; empty where it can."""
    from triptych.trainer.checks import Plan

    plan = Plan(recipe, 0, "cpu")
    (data, _), model = plan.examples, plan.model
    try:
        recipe.objective.check(model, data)
    except UserError as e:
        fitting = []
        for name, part in sorted(parts("objective").items()):
            try:
                part.value().check(model, data)
            except (UserError, TypeError):
                continue
            fitting.append(name)
        objective, network = type(recipe.objective).__name__, type(recipe.model).__name__
        what = f"{objective} cannot train {network} on {data.name}: {str(e).split(';')[0]}"
        return f"{what}; objectives that can: {', '.join(fitting) or 'none'}"
    return ""
