"""An extractor of the person's own, beside those of a comparison."""

from __future__ import annotations

import dataclasses

from triptych.core import Data
from triptych.errors import UserError
from triptych.evaluate.options import Features
from triptych.metrics.comparison import Comparison
from triptych.metrics.features import foreign
from triptych.system.device import pick_device


def with_given(comparison: Comparison, chosen: Features, device: str) -> Comparison:
    """The comparison with features of `--extractor` as well; UserError where it cannot read these examples."""
    if chosen.extractor is None:
        return comparison
    extractor = foreign.load(chosen.extractor, pick_device(device))
    check(extractor, comparison.real)
    extractors = comparison.extractors
    beside = (*extractors.beside, extractor)
    return dataclasses.replace(comparison, extractors=dataclasses.replace(extractors, beside=beside))


def check(extractor: foreign.Foreign, data: Data) -> None:
    """Two pictures go through before the work begins."""
    if not data.is_images:
        raise UserError("--extractor takes pictures, and the examples are vectors; drop it")
    try:
        extractor(data.x[:2])
    except UserError:
        raise
    except Exception as e:  # whatever somebody else's network does with a wrong input
        said = " ".join(str(e).split())[:200]
        raise UserError(
            f"{extractor.id} cannot take pictures of {tuple(data.shape)} as it declares ({type(e).__name__}: {said}); "
            "correct its size, range, mean and std"
        ) from e
