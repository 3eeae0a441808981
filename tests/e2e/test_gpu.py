"""What only a CUDA device can show: the same training there, compiled or not, resumed, and judged."""

from dataclasses import replace

import pytest
import torch

from triptych import recipes, trainer
from triptych.core import DataSpec
from triptych.evaluate import Samples, evaluate_run
from triptych.run import Run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
FAMILIES = ("wgan-gp-birds-quick", "best-birds-quick", "gan-mnist64-quick", "vae-cifar10", "glow-mnist")


def short(name, **more):
    """Glyphs in the recipe's shape, a few steps."""
    recipe = recipes.get(name)
    side = recipe.data.resolution or 32
    channels = 1 if "mnist" in recipe.data.name else 3
    train = replace(recipe.train, images=640, batch=32, evaluate=640, sample=640, checkpoint=320, best="", **more)
    return replace(recipe, data=DataSpec("glyphs", resolution=side, channels=channels), train=train)


def weights(run):
    found, _ = run.read(run.checkpoints()[-1])
    return {k: v for k, v in found.items() if k.startswith("model/")}


@pytest.mark.parametrize("name", FAMILIES)
def test_trains_samples_and_resumes_identically(name, tmp_path, monkeypatch):
    whole = trainer.fit(short(name), 0, tmp_path / "whole", "cuda", progress=False)
    assert whole.status["state"] == "done"
    assert "compiled" in whole.status
    assert whole.load(device="cuda").sample(3, seed=0).isfinite().all()

    class Cut(Exception):
        pass

    save = Run.save

    def cut(self, images, *rest):
        save(self, images, *rest)
        if images >= 320:
            raise Cut

    monkeypatch.setattr(Run, "save", cut)
    with pytest.raises(Cut):
        trainer.fit(short(name), 0, tmp_path / "cut", "cuda", progress=False)
    monkeypatch.undo()
    cut_off = trainer.resume(tmp_path / "cut", progress=False)
    a, b = weights(whole), weights(cut_off)
    assert a.keys() == b.keys()
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


def test_samples_of_one_seed_are_those_of_the_processor(tmp_path):
    run = trainer.fit(short("wgan-gp-birds-quick"), 0, tmp_path / "run", "cuda", progress=False)
    here, there = (run.load(device=d).sample(8, seed=3).cpu() for d in ("cpu", "cuda"))
    torch.testing.assert_close(here, there, atol=2e-3, rtol=0)


def test_numbers_of_a_judged_run_are_those_of_the_processor(tmp_path):
    run = trainer.fit(short("wgan-gp-birds-quick"), 0, tmp_path / "run", "cuda", progress=False)
    found = [
        evaluate_run(run.path, samples=Samples(n=200), device=d, out=tmp_path / f"{d}.json") for d in ("cpu", "cuda")
    ]
    for name in ("frechet", "kernel", "precision"):
        a, b = (values[name].value for values in found)
        assert a == pytest.approx(b, rel=0.02, abs=1e-3), name
