"""The explorer's page in a browser."""

import json

import numpy as np
import pytest

from triptych.cli import main

PICTURES = (
    "[...document.querySelectorAll('canvas.picture')].map(c => "
    "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].reduce((a, v, i) => (a * 31 + v) % 1000003, 0))"
)
READY = "triptych.ready.then(() => document.getElementById('status').textContent)"


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


@pytest.fixture(name="chromium")
def opener(browser):
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
