"""Named recipes: plain Python values. A module here may have a `RECIPES` mapping from name to `Recipe`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.core.discovery import handed_on

if TYPE_CHECKING:
    from triptych.recipes.named import all_recipes as all_recipes
    from triptych.recipes.named import get as get
    from triptych.recipes.recommended import recommend as recommend

__all__ = ["all_recipes", "get", "recommend"]

__getattr__, __dir__ = handed_on(
    __name__,
    {
        "all_recipes": "named",
        "get": "named",
        "recommend": "recommended",
    },
)
