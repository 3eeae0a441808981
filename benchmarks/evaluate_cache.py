"""Every image metric on 10,000 samples of CIFAR-10's size, twice: the second time no real image is looked at."""

from __future__ import annotations

import os
import tempfile
import time

import torch
from common import record

from triptych.core import Data
from triptych.core.features import Extractors
from triptych.evaluate.protocol import measure
from triptych.metrics.comparison import Comparison
from triptych.metrics.features import self_trained

N = 10_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRIPTYCH_CACHE"] = folder
        g = torch.Generator().manual_seed(0)
        sets = [torch.randint(0, 256, (N, 3, 32, 32), generator=g, dtype=torch.uint8) for _ in range(3)]
        real, spare = Data("real", sets[0], "test", fingerprint="a"), Data("real", sets[1], fingerprint="b")
        fake = Data("samples", sets[2])
        extractor = self_trained.extractor_for(real, kind="random")
        looked, seconds = [], []
        call = type(extractor).__call__
        for _ in range(2):
            seen = 0

            def counting(self, images):
                nonlocal seen
                seen += len(images)
                return call(self, images)

            type(extractor).__call__ = counting  # type: ignore[method-assign]
            began = time.perf_counter()
            measure(Comparison(real, fake, extra_real=spare, extractors=Extractors(own=extractor)))
            seconds.append(time.perf_counter() - began)
            looked.append(seen)
            type(extractor).__call__ = call  # type: ignore[method-assign]
    record(
        "evaluate_cache",
        "all image metrics of 10,000 samples; the second time the real side comes from the cache",
        "no real image passes the extractor the second time",
        f"{looked[0]:,} images extracted, then {looked[1]:,} (the samples); "
        f"{seconds[0]:.0f} s, then {seconds[1]:.0f} s",
        looked == [3 * N, N],
        {"extracted": looked, "seconds": seconds},
    )


if __name__ == "__main__":
    main()
