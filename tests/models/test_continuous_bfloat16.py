"""Continuous flows in bfloat16: the same pictures, and exact codes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from continuous_models import perturbed, plane

from triptych import recipes, trainer
from triptych.core import DataSpec, Train
from triptych.models.flows.continuous import ContinuousFlow
from triptych.models.flows.velocity import VelocityUNet
from triptych.system import processor
from triptych.system.files import read_json, write_json
from triptych.system.processor import Arithmetic

# ------------------------------------------------------------------------------------------- bfloat16


@pytest.mark.parametrize("one_pass", [False, True])
def test_samples_in_bfloat16_are_the_same_pictures_and_codes_stay_exact(one_pass: bool) -> None:
    torch.manual_seed(0)
    model = VelocityUNet(width=8, steps=4, one_pass=one_pass).build((1, 8, 8)).eval()
    perturbed(model, by=0.05)
    z = model.prior(8, torch.Generator().manual_seed(3))
    with torch.no_grad():
        plain, decoded = model.sample(8, seed=3), model.decode(z)
        model.brief = True
        brief, again = model.sample(8, seed=3), model.decode(z)
    assert brief.dtype is torch.float32
    assert 0 < (brief - plain).abs().mean().item() < 1 / 255
    assert torch.equal(again, decoded)
    assert model.halved is None


def test_a_run_trained_in_bfloat16_samples_so_where_that_is_faster(tmp_path, monkeypatch) -> None:
    recipe = replace(
        recipes.get("cfm-glyphs"),
        data=DataSpec("glyphs", resolution=8, channels=1),
        model=VelocityUNet(width=4, steps=1),
        train=Train(images=16, batch=8, precision="bf16"),
    )
    run = trainer.fit(recipe, 0, tmp_path / "run", "cpu", progress=False)

    def brief(*, fast: bool) -> bool:
        monkeypatch.setattr(processor, "of_processor", lambda: Arithmetic("one", "of a test", fast))
        model = run.load(device="cpu")
        assert isinstance(model, ContinuousFlow)
        return model.brief

    assert [brief(fast=fast) for fast in (True, False)] == [True, False]
    env = read_json(run.path / "env.json")
    write_json(run.path / "env.json", env | {"precision": "fp32"})
    assert not brief(fast=True)


def test_samples_in_bfloat16_are_of_the_class_asked_for() -> None:
    torch.manual_seed(0)
    model = VelocityUNet(width=8, steps=2, classes=3).build((1, 8, 8)).eval()
    perturbed(model, by=0.1)
    model.brief = True
    first, second = model.sample(4, seed=0, y=0), model.sample(4, seed=0, y=2)
    assert not torch.equal(first, second)
    model.brief = False
    assert (model.sample(4, seed=0, y=0) - first).abs().mean().item() < 2 / 255


def test_flows_of_vectors_never_sample_in_bfloat16() -> None:
    model = plane(0.1)
    plain = model.sample(20, seed=0)
    model.brief = True
    assert torch.equal(model.sample(20, seed=0), plain)
