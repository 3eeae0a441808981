"""The report in a real headless Chromium: quiet, offline, narrow and wide, light and dark, accessible."""

import random

import pytest
from fake_runs import make_run, picture_recipe, toy_recipe

from triptych.explore import walks
from triptych.report import write_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    rng = random.Random(0)
    runs = []
    for name, level in (("gan-25gaussians", 0.5), ("wgan-gp-25gaussians", 0.9)):
        for seed in range(2):
            values = {"high_quality": {"value": level + rng.gauss(0, 0.02), "floor": 0.989}, "nll": {"value": None}}
            runs.append(make_run(out / f"{name}-{seed}", toy_recipe(name), seed, values=values, points=6))
    runs.append(make_run(out / "digits", picture_recipe(), alarms=("the critic wins every time",), points=6))
    for run in (runs[0], runs[-1]):
        walks.write_interpolation(run.path, rows=3)
        walks.write_sweep(run.path, rows=3)
    return write_report([r.path for r in runs], out / "report.html")


@pytest.fixture
def opened(browser, page_file, request):
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.heard = []
    page.on("console", lambda message: page.heard.append(message.text))
    page.on("pageerror", lambda error: page.heard.append(str(error)))
    page.on("request", lambda r: page.heard.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.goto(page_file.as_uri())
    yield page
    context.close()


everywhere = pytest.mark.parametrize(
    "opened", [(360, "dark"), (1920, "light")], indirect=True, ids=["phone-dark", "wide-light"]
)


@everywhere
def test_quiet_offline_and_no_wider_than_the_screen(opened):
    assert opened.heard == []
    wide = opened.evaluate("document.documentElement.scrollWidth")
    assert wide <= opened.viewport_size["width"]
    for details in opened.query_selector_all("details:not([open]) > summary"):
        details.click()
    assert opened.evaluate("document.documentElement.scrollWidth") <= opened.viewport_size["width"]
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert opened.evaluate(broken) == 0
    assert opened.evaluate("document.images.length") >= 8


@everywhere
def test_accessible(opened, axe):
    opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    opened.evaluate(axe)
    found = opened.evaluate(
        "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120))]))"
    )
    assert found == []


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_every_control_is_reached_by_keyboard(opened):
    wanted = opened.evaluate("document.querySelectorAll('a[href], summary').length")
    reached = set()
    for _ in range(wanted + 40):
        opened.keyboard.press("Tab")
        reached.add(
            opened.evaluate("[...document.querySelectorAll('a[href], summary')].indexOf(document.activeElement)")
        )
    hidden = opened.evaluate(
        "[...document.querySelectorAll('a[href], summary')].filter(e => e.parentElement.closest('details:not([open])')"
        " && e.closest('details:not([open])') !== e.parentElement).length"
    )
    assert len(reached - {-1}) == wanted - hidden
    opened.keyboard.press("Tab")


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_prints(opened, tmp_path):
    opened.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").stat().st_size > 20_000
