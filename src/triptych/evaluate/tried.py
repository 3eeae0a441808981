"""A metric that fails is left out and named; the others have their numbers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from triptych.core import Metric
from triptych.core.discovery import parts
from triptych.errors import UserError
from triptych.system.device import memory_ran_out


@contextmanager
def tried(metric: type[Metric], failed: Callable[[str], None]) -> Iterator[None]:
    """Whatever goes wrong in a metric's own code, told in one line instead of raised.

    Raised still: what a person can put right, and that memory ran out, of which other metrics would fail too.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as e:  # whatever a stranger's metric raises
        if memory_ran_out(e):
            raise
        part = parts("metric").get(metric.__name__)
        place = part.place if part is not None else metric.__module__
        frame = traceback.extract_tb(e.__traceback__)[-1]
        said = f"{type(e).__name__}: {' '.join(str(e).split())[:300]}".removesuffix(": ")
        failed(f"the metric {metric.__name__} of {place} failed: {said} ({Path(frame.filename).name}:{frame.lineno})")
