"""Numbers within classes of samples that were made for none: the set's classifier sorts them."""

from __future__ import annotations

import dataclasses

from triptych.core import Metric, Value, discover
from triptych.core.metric import described
from triptych.errors import TooFew
from triptych.evaluate.tried import tried
from triptych.metrics.comparison import Comparison
from triptych.metrics.within_classes import OfClassFeatures

VARIANT = "sorted by the classifier"


def sorted_by_classifier(comparison: Comparison) -> dict[str, Value]:
    """What the metrics within classes make of samples whose class the set's classifier tells.

    Each has `_sorted` behind its name: a sample of no clear class, or of a class that it was not made for, counts for
    the class that it looks like, so that these flatter a model that was asked for classes.
    """
    classifier = comparison.classifier
    if classifier is None or comparison.real.labels is None:
        why = "has no classes" if comparison.real.labels is None else "has no classifier"
        comparison.warn(f"--sorted is left out: {comparison.real.name} {why}")
        return {}
    logits = next(s for s in comparison.spaces if s.extractor is classifier).fake["logits"]
    told = dataclasses.replace(comparison.fake, labels=logits.argmax(1), classes=comparison.real.classes)
    labelled = dataclasses.replace(comparison, fake=told)
    accuracy = f"samples {VARIANT}, which is right on {classifier.accuracy or 0:.2%} of held-out examples"
    found: dict[str, Value] = {}
    for name, metric in discover("metrics", Metric).items():
        if not issubclass(metric, OfClassFeatures) or (one := metric()).applies(labelled):  # pyright: ignore[reportAbstractUsage]
            continue
        for space in comparison.spaces:  # features are made once, for whatever labels
            made: dict[str, Value] = {}
            try:
                with tried(metric, comparison.warn):
                    made = described(one.measure(labelled, space), one.quantities)
            except TooFew as e:
                comparison.warn(f"{name} of sorted samples is left out: {e}")
                continue
            for key, value in made.items():
                found[f"{key}_sorted"] = dataclasses.replace(
                    value,
                    variant=", ".join(filter(None, [value.variant, VARIANT])),
                    companion=value.companion and f"{value.companion}_sorted",
                    note="; ".join([accuracy, value.note]),
                )
    return found
