"""Which whole numbers are seeds."""

from __future__ import annotations

from triptych.errors import UserError


def check_seed(seed: int) -> None:
    """UserError for a seed that not every generator takes."""
    if not 0 <= seed < 2**63:
        raise UserError(f"the seed is {seed}; it must be at least 0 and below 2**63")
