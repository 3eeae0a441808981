"""The report in a real headless Chromium: quiet, offline, narrow and wide, light and dark, accessible."""

import random

import pytest
from fake_runs import make_run, picture_recipe, toy_recipe
from PIL import Image

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
            missing = {} if name == "gan-25gaussians" else {"recall": {"value": 0.5 + 0.01 * seed}}
            values = missing | {
                "high_quality": {"value": level + rng.gauss(0, 0.02), "floor": 0.989},
                "nll": {"value": None if name == "gan-25gaussians" else 2.5},
            }
            runs.append(make_run(out / f"{name}-{seed}", toy_recipe(name), seed, values=values, points=6))
    runs.append(make_run(out / "digits", picture_recipe(), alarms=("the critic wins every time",), points=6))
    for kind in ("reconstructions", "cooled", "neighbours"):
        (runs[-1].path / kind).mkdir()
        Image.new("RGB", (804, 80)).save(runs[-1].path / kind / "000010000.png")
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


REACHED = 'a[href], summary, .plot, td.none[tabindex="0"]'


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_every_control_is_reached_by_keyboard(opened):
    wanted = opened.evaluate(f"[...document.querySelectorAll('{REACHED}')].filter(e => e.checkVisibility()).length")
    reached = set()
    for _ in range(wanted + 40):
        opened.keyboard.press("Tab")
        reached.add(opened.evaluate(f"[...document.querySelectorAll('{REACHED}')].indexOf(document.activeElement)"))
    assert len(reached - {-1}) == wanted
    opened.keyboard.press("Tab")


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_curves_are_read_by_keyboard_and_pointer_and_change_their_axis(opened):
    shown = "[...document.querySelectorAll('.plot')].filter(e => e.checkVisibility())"
    assert opened.evaluate(f"{shown}.every(e => e.matches('.images'))")
    opened.evaluate(f"{shown}[0].focus()")
    opened.keyboard.press("ArrowLeft")
    told = opened.evaluate(f"{shown}[0].querySelector('.told').textContent")
    assert told.startswith("at 8,000: gan-25gaussians 12, wgan-gp-25gaussians 12")
    plot = opened.locator(".plot.images svg").first
    plot.hover(position={"x": 1 + plot.bounding_box()["width"] * 48 / 380, "y": 50})
    assert opened.evaluate(f"{shown}[0].querySelector('.told').textContent").startswith("at 0: ")
    opened.locator(".by-seconds").first.check()
    assert opened.evaluate(f"{shown}[0].matches('.seconds')")
    assert opened.heard == []


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_the_reason_for_an_empty_cell_is_shown_on_focus(opened):
    cell = opened.locator("td.none").first
    assert cell.locator(".why").evaluate("e => getComputedStyle(e).opacity") == "0"
    cell.focus()
    assert cell.locator(".why").evaluate("e => getComputedStyle(e).opacity") == "1"


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_empty_cells_are_one_stop_of_a_table_and_arrows_go_between_them(opened):
    counts = opened.evaluate(
        "[...document.querySelectorAll('table')].map(t => [...t.querySelectorAll('td.none')])"
        ".filter(c => c.length).map(c => [c.length, c.filter(e => e.tabIndex === 0).length])"
    )
    assert max(n for n, _ in counts) > 1
    assert {stops for _, stops in counts} == {1}
    cells = opened.locator("table").first.locator("td.none")
    focused = "e => e === document.activeElement"
    cells.first.focus()
    for key in ("ArrowRight", "End"):
        opened.keyboard.press(key)
        assert cells.last.evaluate(focused)
    opened.keyboard.press("ArrowUp")
    assert cells.first.evaluate(focused)
    assert [cells.nth(i).evaluate("e => e.tabIndex") for i in range(cells.count())] == [0, -1]


@pytest.mark.parametrize("opened", [(360, "light")], indirect=True)
def test_names_of_metrics_stay_in_front_of_what_is_scrolled_below_them(opened):
    front = opened.evaluate("""() => {
        const scroll = document.querySelector(".scroll");
        const cell = scroll.querySelector("td.none");
        scroll.style.width = "13rem";
        cell.scrollIntoView({ block: "center" });
        cell.focus();
        const name = cell.closest("tr").querySelector("th");
        scroll.scrollLeft += cell.getBoundingClientRect().left - name.getBoundingClientRect().left;
        const box = name.getBoundingClientRect();
        return [0.1, 0.3, 0.5, 0.7].map((x) => document.elementFromPoint(box.left + x * box.width, box.top + 8))
            .every((e) => name.contains(e));
    }""")
    assert front


def test_the_page_stands_without_scripts(browser, page_file):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator(".plot.images svg").first.is_visible()
    page.locator(".by-seconds").first.check()
    assert page.locator(".plot.seconds svg").first.is_visible()
    assert not page.locator(".plot.images svg").first.is_visible()
    context.close()


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_prints(opened, tmp_path):
    opened.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").stat().st_size > 20_000
