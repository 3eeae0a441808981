"""The explorer's page of models that are given classes or numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from explorer_browser import PICTURES, check_quiet, check_slider, opener
from fake_runs import make_run

from triptych.cli import main
from triptych.core import Data, DataSpec, Recipe, Train
from triptych.core.columns import Column
from triptych.data import load_spec
from triptych.explore.page import write_page
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives import GAN, NLL, VAE
from triptych.run import Run

__all__ = ["opener"]  # a fixture


pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def classed(tmp_path_factory) -> list[Path]:
    """Two models with the same classes, one with others, one without."""
    folder, short = tmp_path_factory.mktemp("classed"), Train(images=10_000)
    gan, vae = MLPGAN(latent=4, width=16, classes=3), MLPAutoencoder(latent=4, width=16, depth=1, classes=3)
    insects = [("cgan", gan, GAN(), ("ant", "bee", "cicada")), ("cvae", vae, VAE(), ("ant", "bee", "cicada"))]
    others = [("birds", replace(gan, classes=2), GAN(), ("owl", "wren")), ("gan", replace(gan, classes=0), GAN(), ())]
    made = [
        make_run(
            folder / name, Recipe(DataSpec("mnist"), model, objective, short, name=name), classes=c, pictures=False
        )
        for name, model, objective, c in (*insects, *others)
    ]
    return [run.path for run in made]


@pytest.fixture(scope="module")
def classed_planes(tmp_path_factory) -> list[Path]:
    folder, short = tmp_path_factory.mktemp("classed_planes"), Train(images=10_000)
    flow, gan = RealNVP(layers=2, width=8, classes=25), MLPGAN(latent=2, width=16, classes=25)
    made = [
        make_run(folder / name, Recipe(DataSpec("25gaussians"), model, objective, short, name=name), pictures=False)
        for name, model, objective in (("cflow", flow, NLL()), ("cgan", gan, GAN()))
    ]
    images, tensors, note = made[0].newest()
    g = torch.Generator().manual_seed(0)  # at its start a flow is the identity, whatever the class
    noisy = {k: v + 0.2 * torch.randn(v.shape, generator=g) if k.endswith("weight") else v for k, v in tensors.items()}
    made[0].save(images, noisy, note)
    return [run.path for run in made]


SAID = "document.getElementById('status').textContent"


def press_class(page, select, key):
    """Press a key on a class's choice and wait for the pictures."""
    page.evaluate(f"document.querySelector('{select}').focus()")
    page.press(key)
    page.page.wait_for_timeout(1200)


def test_a_class_is_picked_by_the_keyboard_and_decoded_as_the_command_does(chromium, classed, axe, tmp_path):
    file = write_page(classed, tmp_path / "classed.html")
    page = chromium(file.as_uri(), 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(
        "[...document.querySelectorAll('#controls [id^=class-]')].map(s => s.labels[0].textContent)"
    ) == [
        "class of cgan, cvae",
        "class of birds",
    ]
    first = page.evaluate(PICTURES)
    press_class(page, "#class-0", "ArrowDown")
    assert page.evaluate(SAID) == "class bee: cgan, cvae"
    second = page.evaluate(PICTURES)
    assert [a != b for a, b in zip(first, second, strict=True)] == [True, True, False, False]
    assert "as class bee" in page.evaluate("document.querySelector('canvas.picture').getAttribute('aria-label')")
    press_class(page, "#class-2", "w")  # by its first letter
    assert page.evaluate(SAID) == "class wren: birds"

    z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    codes = json.dumps(z.flatten().tolist())
    for i, (run, picked) in enumerate(zip(classed, ("bee", "bee", "wren", None), strict=True)):
        words = ["decode", str(run), str(tmp_path / "z.npy"), "--out", str(tmp_path / "x.npy")]
        assert main([*words, "--class", picked] if picked else words) == 0
        want = np.load(tmp_path / "x.npy")
        got = page.evaluate(f"triptych.decode({i}, {codes}).then(x => [...x])")
        assert np.abs(np.array(got).reshape(want.shape) - want).max() <= 1 / 255
    want = Run(classed[0]).load().decode(torch.from_numpy(z), torch.tensor([2, 0, 1])).detach().numpy()
    got = page.evaluate(f"triptych.decode('cgan', {codes}, [2, 0, 1]).then(x => [...x])")
    assert np.abs(np.array(got).reshape(want.shape) - want).max() <= 1 / 255
    refused = "e => e.message"
    assert "cgan takes codes of 4 numbers; 3 were given" in page.evaluate(
        f"triptych.decode(0, [1, 2, 3]).catch({refused})"
    )
    assert "has no class 3; it has 0 to 2" in page.evaluate(f"triptych.decode(0, {codes}, 3).catch({refused})")
    assert "gan takes no class and no numbers" in page.evaluate(f"triptych.decode(3, {codes}, 0).catch({refused})")

    address, before = page.evaluate("location.href"), page.evaluate(PICTURES)
    assert "given=0_1*2_1" in address
    again = chromium(address, 1280)
    assert again.evaluate(PICTURES) == before
    assert again.evaluate("document.querySelector('#class-0').value") == "1"
    again.evaluate(axe)
    assert again.evaluate("axe.run().then(r => r.violations.map(v => v.id))") == []
    check_quiet(page.heard, file)


def test_a_picture_is_encoded_as_the_class_that_is_picked(chromium, classed, tmp_path):
    from PIL import Image

    file = write_page(classed[1:2], tmp_path / "cvae.html")
    page = chromium(file.as_uri() + "#given=0_2", 1280)
    Image.fromarray(np.full((28, 28), 200, np.uint8)).save(tmp_path / "mine.png")
    page.page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
    page.page.get_by_text("reconstructed by cvae as class cicada").wait_for()
    page.page.wait_for_timeout(500)
    as_cicada = page.evaluate(PICTURES)
    press_class(page, "#class-0", "ArrowUp")
    same_code = page.evaluate(PICTURES)
    page.page.get_by_role("button", name="Encode again").click()
    page.page.get_by_text("reconstructed by cvae as class bee").wait_for()
    page.page.wait_for_timeout(500)
    assert len({*as_cicada, *same_code, *page.evaluate(PICTURES)}) == 3
    model = Run(classed[1]).load()
    x = torch.full((1, 1, 28, 28), 200 / 255)
    want = (model.decode(model.encode(x, "bee"), "bee")[0, 0] * 255).detach().numpy()
    pixels = "(c => [...c.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0))"
    got = page.evaluate(f"{pixels}(document.querySelector('canvas.picture'))")
    assert np.abs(np.array(got).reshape(28, 28) - want).max() <= 1
    check_quiet(page.heard, file)


def test_samples_and_density_in_the_plane_are_of_the_class(chromium, classed_planes, tmp_path):
    file = write_page(classed_planes, tmp_path / "planes.html")
    page = chromium(file.as_uri(), 1280)
    assert page.evaluate("document.querySelector('#class-0').labels[0].textContent") == "class"
    before = page.evaluate(PICTURES)
    press_class(page, "#class-0", "End")
    after = page.evaluate(PICTURES)
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert page.evaluate("document.querySelector('#class-0').value") == "24"
    check_quiet(page.heard, file)


def test_samples_of_a_second_stage_are_those_of_the_command(chromium, tmp_path):
    """Codes by a mixture: the 64 of the page and one moved away from the codes' centre, to the pixel; and a walk."""
    network = MLPAutoencoder(latent=3, width=16, depth=1, codes="mixture")
    recipe = Recipe(DataSpec("mnist"), network, VAE(), Train(images=10_000), name="vae")
    clouds = 0.2 * torch.randn(600, 3, generator=torch.Generator().manual_seed(0))
    clouds[::2] += 3
    run = make_run(tmp_path / "vae", recipe, points=2, pictures=False, codes=clouds)
    file = write_page([run.path], tmp_path / "e.html")
    page = chromium(file.as_uri() + "#z=7_5_0.5", 1280, motion="reduce")
    model = run.load()
    got = page.evaluate("triptych.codes(0, 7).then(z => triptych.decode(0, z)).then(x => [...x])")
    assert np.abs(np.array(got) - model.sample(64, seed=7).flatten().numpy()).max() <= 1 / 255
    cooler = (model.sample(64, seed=7, temperature=0.5)[5, 0] * 255).numpy()
    shown = "(c => [...c.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0))"
    got = page.evaluate(f"{shown}(document.querySelector('canvas.picture'))")
    assert np.abs(np.array(got).reshape(28, 28) - cooler).max() <= 1
    cell = page.evaluate(f"{shown}(document.querySelectorAll('.grid canvas')[5])")
    assert cell == got
    page.page.get_by_role("button", name="Pin as A").click()
    page.page.get_by_role("button", name="Next seed").click()
    page.page.get_by_role("button", name="Pin as B").click()
    page.page.get_by_role("button", name="Step").click()
    page.page.wait_for_timeout(800)
    assert page.evaluate(f"{shown}(document.querySelector('canvas.picture'))") == got  # the walk begins at A
    check_slider(page, "ArrowRight")
    check_quiet(page.heard, file)


def test_numbers_are_moved_by_the_keyboard_and_decoded_as_the_command_does(chromium, axe, tmp_path):
    rows = Data(
        "rows",
        torch.zeros(3, 2),
        conditions=torch.tensor([[0.0, 30], [1, 50], [2, 60]]),
        condition_columns=(Column("age", "number"), Column("dose", "number")),
    )
    short = Train(images=10_000)
    made = [
        make_run(tmp_path / name, Recipe(DataSpec("mnist"), model, objective, short, name), pictures=False, given=known)
        for name, model, objective, known in (
            ("cgan", MLPGAN(latent=4, width=16, numbers=2), GAN(), rows),
            ("cvae", MLPAutoencoder(latent=4, width=16, depth=1, numbers=2), VAE(), rows),
            ("gan", MLPGAN(latent=4, width=16), GAN(), None),
        )
    ]
    file = write_page([run.path for run in made], tmp_path / "given.html")
    page = chromium(file.as_uri(), 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    first = page.evaluate(PICTURES)
    dose = page.page.get_by_role("slider", name="dose")
    assert dose.get_attribute("min") == "30"
    dose.focus()
    page.press("End")
    page.page.wait_for_timeout(1200)
    second = page.evaluate(PICTURES)
    assert [a != b for a, b in zip(first, second, strict=True)] == [True, True, False]
    assert "given age 1, dose 60" in page.evaluate("document.querySelector('canvas.picture').ariaLabel")
    z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    codes = json.dumps(z.flatten().tolist())
    for i, run in enumerate(made):
        words = ["decode", str(run.path), str(tmp_path / "z.npy"), "--out", str(tmp_path / "x.npy")]
        assert main([*words, "--given", "age=1", "dose=60"] if i < 2 else words) == 0
        want = np.load(tmp_path / "x.npy")
        got = page.evaluate(f"triptych.decode({i}, {codes}).then(x => [...x])")
        assert np.abs(np.array(got).reshape(want.shape) - want).max() <= 1 / 255
    again = chromium(page.evaluate("location.href"), 1280)
    assert again.evaluate(PICTURES) == second
    again.evaluate(axe)
    assert again.evaluate("axe.run().then(r => r.violations.map(v => v.id))") == []
    check_quiet(page.heard, file)


def test_a_category_is_picked_from_a_menu_and_a_date_reads_as_one(chromium, tmp_path):
    columns = (Column("sex", "category", values=("f", "m")), Column("joined", "date", form="%d.%m.%Y"))
    given = Data(
        "rows",
        torch.zeros(3, 2),
        conditions=torch.tensor([[1.0, 0, 18_661], [1, 0, 18_700], [0, 1, 19_000]]),
        condition_columns=columns,
    )
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(latent=2, width=8, numbers=3), VAE(), Train(), "cvae")
    run = make_run(tmp_path / "run", recipe, points=2, pictures=False, given=given)
    page = chromium(write_page([run.path], tmp_path / "given.html").as_uri(), 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('#given-0-0').value") == "0", "the commonest"
    assert page.evaluate("document.querySelector('fieldset .slider output').textContent") == "2021-06-09"
    first = page.evaluate(PICTURES)
    press_class(page, "#given-0-0", "m")  # by its first letter
    assert page.evaluate(SAID) == "sex m, joined 2021-06-09: cvae"
    assert page.evaluate(PICTURES) != first
    z = np.zeros((2, 2), np.float32)
    want = run.load(device="cpu").decode(torch.from_numpy(z), torch.tensor([0.0, 1, 18_661]).expand(2, -1))
    got = page.evaluate(f"triptych.decode(0, {json.dumps(z.flatten().tolist())}, [0, 1, 18661]).then(x => [...x])")
    assert np.abs(np.array(got).reshape(2, 2) - want.detach().numpy()).max() < 1e-3


def test_one_column_is_drawn_over_the_number_that_it_is_given(chromium, tmp_path):
    spec, short = DataSpec("swissroll", given=("x",)), Train(images=10_000)
    rows = load_spec(spec)
    made = [
        make_run(tmp_path / name, Recipe(spec, model, NLL(), short, name), pictures=False, shape=(1,), given=rows).path
        for name, model in (
            ("maf", MAF(layers=1, width=8, numbers=1)),
            ("vae", MLPAutoencoder(latent=1, width=8, depth=1, numbers=1)),
        )
    ]
    file = write_page(made, tmp_path / "roll.html")
    page = chromium(file.as_uri() + "#given=0_0.25", 1280)
    label = "document.querySelector('canvas.picture').ariaLabel"
    assert "given x 0.25 over the data" in page.evaluate(label)
    assert "is at (0.25, " in page.evaluate(label)
    before = page.evaluate(PICTURES)
    page.page.get_by_role("slider", name="x").focus()
    page.press("Home")
    page.page.wait_for_timeout(1200)
    assert all(a != b for a, b in zip(before, page.evaluate(PICTURES), strict=True))
    check_quiet(page.heard, file)
