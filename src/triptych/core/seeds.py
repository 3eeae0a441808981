"""Which whole numbers are seeds."""

from __future__ import annotations

from triptych.core.kinds import is_whole
from triptych.errors import UserError


def check_seed(seed: int) -> None:
    """UserError for a seed that not every generator takes."""
    if not is_whole(seed):
        raise UserError(f"the seed is {seed!r}; give a whole number")
    if not 0 <= seed < 2**63:
        raise UserError(f"the seed is {seed}; it must be at least 0 and below 2**63")
