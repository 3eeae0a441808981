"""What recipes say of themselves."""

from __future__ import annotations

import re

from triptych import recipes


def test_every_recipe_is_described_by_itself() -> None:
    """On a card or in a search no other recipe stands beside it."""
    for name, recipe in recipes.all_recipes().items():
        assert not re.search(r"\bthe same\b", recipe.about), name
