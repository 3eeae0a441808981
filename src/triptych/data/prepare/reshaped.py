"""How many pictures are changed by more than being made smaller."""

from __future__ import annotations

import numpy as np

from triptych.core.preparation import Preparation

ENLARGED = "enlarged, as they are smaller than the resolution"
SQUASHED = "squashed by more than a tenth (--fit crop or pad keeps their shape)"
TENTH = 1.1


def counts(sizes: np.ndarray, how: Preparation) -> dict[str, int]:
    """Notes on pictures of these widths and heights (n, 2), where there are any to make: how many each applies to."""
    if how.size is None:
        return {}
    scale = np.array(how.size) / sizes  # of each side
    least, most = scale.min(axis=1), scale.max(axis=1)
    enlarged = least if how.fit == "pad" else most
    squashed = most > TENTH * least if how.fit == "squash" else np.zeros(len(sizes), bool)
    found = {ENLARGED: int((enlarged > 1).sum()), SQUASHED: int(squashed.sum())}
    return {note: n for note, n in found.items() if n}
