"""One shard of any source that is a collection of encoded pictures."""

from __future__ import annotations

from triptych.core.preparation import Preparation
from triptych.data import load
from triptych.data.prepare import shards
from triptych.errors import UserError


def make(name: str, how: Preparation, shard: shards.Shard, workers: int | None = None) -> str:
    """Prepare it, with so many decoding processes (default: one for each core); a line on what it holds.

    UserError where the source is no collection of encoded pictures.
    """
    try:
        with shards.only(shard, workers):
            load(name, **vars(how))
    except shards.Finished as e:
        return str(e)
    raise UserError(f"{name} is no collection of encoded pictures; prepare it without shards")
