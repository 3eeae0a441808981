"""A real browser, and what looks at a page in it."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from bidi import Firefox

AXE = "axe-core@4.14.1"
TYPESCRIPT = "typescript@5.9.3"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    """A headless Firefox, by WebDriver BiDi."""
    if FIREFOX is None:
        pytest.skip("no Firefox on this machine (Debian: apt install firefox-esr)")
    opened = Firefox(FIREFOX, tmp_path_factory.mktemp("firefox"))
    yield opened
    opened.close()


def unpacked_npm(package: str, folder: Path, online: dict[str, str]) -> Path:
    """The folder of an npm package that only tests need; skips where it cannot be fetched."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"{package} is fetched by npm, which is not here")
    try:
        subprocess.run([npm, "pack", package], cwd=folder, env=online, check=True, capture_output=True, timeout=120)
    except (subprocess.SubprocessError, OSError) as e:
        pytest.skip(f"{package} could not be fetched ({e})")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


@pytest.fixture(scope="session")
def axe(tmp_path_factory, online):
    """axe-core's script: $TRIPTYCH_AXE, or fetched by npm."""
    if "TRIPTYCH_AXE" in os.environ:
        return Path(os.environ["TRIPTYCH_AXE"]).read_text()
    return (unpacked_npm(AXE, tmp_path_factory.mktemp("axe"), online) / "axe.min.js").read_text()


@pytest.fixture(scope="session")
def tsc(tmp_path_factory, online):
    """TypeScript's compiler as a script for node."""
    return unpacked_npm(TYPESCRIPT, tmp_path_factory.mktemp("tsc"), online) / "lib" / "tsc.js"
