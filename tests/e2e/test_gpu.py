"""What only a CUDA device can show: the same training there, compiled or not, resumed, and judged."""

from dataclasses import replace

import pytest
import torch

from triptych import recipes, trainer
from triptych.core import DataSpec
from triptych.core.model_spec import ConditionalSpec
from triptych.data import load_spec
from triptych.errors import UserError
from triptych.evaluate import Samples, evaluate_run
from triptych.evaluate.protocol import own_extractors
from triptych.models.layers import conv_kernels
from triptych.recipes.override import with_field
from triptych.run import Run
from triptych.system.device import place
from triptych.trainer.compilation import compile_players, leave

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
RECORDED = {
    "wgan-gp-birds-quick": True,
    "best-birds-quick": True,
    "gan-mnist64-quick": True,
    "vae-cifar10": True,
    "vae-cifar10-linear": False,
    "glow-mnist": True,
    "fsq-mnist-quick": True,
    "hvae-mnist-quick": True,
    "tarflow-mnist-quick": True,
    "cfm-birds-quick": True,
    "lcfm-birds-quick": True,
    "clcfm-mnist-quick": True,
}
"""Recipes, and whether their steps are: what follows the clock is not."""


def short(name, **more):
    """Glyphs in the recipe's shape, a few steps."""
    recipe = recipes.get(name)
    digits = recipe.data.name == "mnist"
    side = recipe.data.resolution or (28 if digits else 32)
    train = replace(recipe.train, images=640, batch=32, evaluate=640, sample=640, checkpoint=320, best="", **more)
    recipe = replace(recipe, data=DataSpec("glyphs", resolution=side, channels=1 if digits else 3), train=train)
    return (
        with_field(recipe, "model.classes", "auto")
        if isinstance(recipe.model, ConditionalSpec) and recipe.model.classes
        else recipe
    )


def weights(run):
    found, _ = run.read(run.checkpoints()[-1])
    return {k: v for k, v in found.items() if k.startswith("model/")}


@pytest.mark.parametrize("name", RECORDED)
def test_trains_samples_and_resumes_identically(name, tmp_path, monkeypatch):
    whole = trainer.fit(short(name), 0, tmp_path / "whole", "cuda", progress=False)
    assert whole.status["state"] == "done"
    assert whole.status["compiled"] is False  # too short for it
    assert whole.status["recorded"] is RECORDED[name]
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # its compiler's own
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["wgan-gp-birds", "best-birds-full", "best-cifar10", "wgan-gp-25gaussians"])
def test_compiled_penalties_have_the_eager_gradients(name, precision):
    """`compile_players` compares them itself, and says by how much they differ."""
    recipe = recipes.get(name)
    shape = (2,) if "gaussians" in name else (3, 32, 32)
    device = torch.device("cuda")
    model = place(recipe.model.build(shape), device, precision)
    batch = torch.rand(16, *shape, device=device) * 2 - 1
    try:
        assert compile_players(model, recipe.objective, batch, precision) is None
    finally:
        leave(model)
        torch.compiler.reset()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("k", "stride"), [(3, 1), (4, 2), (3, 2)])
def test_second_gradients_of_convolutions_are_those_of_float64(kind, k, stride):
    """cuDNN's first derivatives put together, against PyTorch's own double backward on the processor."""
    torch.manual_seed(0)
    x, w, b = torch.randn(8, 16, 12, 12), torch.randn(24, 16, k, k) / 12, torch.randn(24)

    def slopes(x, w, b):
        x, w, b = (t.detach().requires_grad_() for t in (x, w, b))
        y = conv_kernels.conv2d(x, w, b, stride, 1)
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return [slope, *torch.autograd.grad(slope.square().mean(), [w, b])]

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False, deterministic=True):
        found = slopes(*(t.to("cuda", kind) for t in (x, w, b)))
    for a, want in zip(found, slopes(*(t.to(kind).double() for t in (x, w, b))), strict=True):
        gap = (a.cpu().double() - want).norm() / want.norm()
        assert gap < (1e-5 if kind is torch.float32 else 2e-2)


def test_too_large_a_batch_names_the_option(tmp_path):
    recipe = recipes.get("wgan-gp-birds")
    train = replace(recipe.train, images=8_192, batch=4_096)
    recipe = replace(recipe, data=DataSpec("glyphs", resolution=32, channels=3), train=train)
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        with pytest.raises(UserError, match=r"memory ran out; lower --train\.batch"):
            trainer.fit(recipe, 0, tmp_path / "run", "cuda", progress=False)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


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


def test_extractors_of_a_set_give_the_features_of_the_processor():
    data = load_spec(DataSpec("glyphs", resolution=32, channels=3))
    here = own_extractors(data, None, [0])
    expected = [e(data.x[:300]) for e in here.of_features]
    for e, features in zip(here.on(torch.device("cuda")).of_features, expected, strict=True):
        for name, value in e(data.x[:300]).items():
            torch.testing.assert_close(value, features[name], atol=1e-3, rtol=1e-4)
