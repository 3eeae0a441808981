"""The names of a checkpoint's tensors, in one place."""

from dataclasses import fields

import torch

from triptych.run.checkpoint import Contents


def test_what_is_packed_comes_back_and_stands_under_the_names_that_older_runs_have():
    mine = {f.name: {"a.b": torch.full((2,), float(i))} for i, f in enumerate(fields(Contents))}
    packed = Contents(**mine).pack()
    prefixes = ("model", "ema", "ema-statistics", "optimizer", "rng", "log")
    assert list(packed) == [f"{prefix}/a.b" for prefix in prefixes]
    back = Contents.unpack(packed)
    assert all(torch.equal(getattr(back, k)["a.b"], v["a.b"]) for k, v in mine.items())


def test_other_names_are_left_out_and_missing_ones_are_empty():
    back = Contents.unpack({"other/x": torch.zeros(1), "model": torch.zeros(1), "emanation/x": torch.zeros(1)})
    assert all(getattr(back, f.name) == {} for f in fields(Contents))
