"""The documentation: tutorials run and become pages and notebooks, and what the first pages show is what happens."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from triptych.cli import main

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))
percent = runpy.run_path(str(ROOT / "docs" / "_ext" / "percent.py"))


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda p: p.stem)
def test_a_tutorial_is_a_page_and_a_notebook(script):
    text = script.read_text(encoding="utf-8")
    cells = percent["cells"](text)
    assert cells[0][0] == "markdown"
    assert cells[0][1].startswith("# ")
    assert any(kind == "code" for kind, _ in cells)
    made = json.loads(json.dumps(percent["notebook"](text)))
    assert [c["cell_type"] for c in made["cells"]] == [kind for kind, _ in cells]
    page = percent["page"](text, script.stem)
    assert page.count("```python") == sum(kind == "code" for kind, _ in cells)
    assert f"../notebooks/{script.stem}.ipynb" in page


def test_every_tutorial_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert len(TUTORIALS) >= 6
    assert all(f"tutorials/{script.stem}\n" in index for script in TUTORIALS)


@pytest.mark.long
@pytest.mark.parametrize("script", TUTORIALS, ids=lambda p: p.stem)
def test_a_tutorial_runs(script, tmp_path):
    env = os.environ | {"TRIPTYCH_SHARE": "0.02"}
    run = subprocess.run([sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2_000:]


@pytest.mark.long
@pytest.mark.parametrize("name", ["README.md", "docs/start.md"])
def test_the_first_pages_run_as_they_stand(name, tmp_path, monkeypatch):
    """The blocks of Python, and the commands that take no data of a person's and no minutes."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    blocks = re.findall(r"```(sh|python)\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
    assert any(kind == "python" for kind, _ in blocks)
    for kind, text in blocks:
        if kind == "python":
            exec(text, {})
            continue
        for line in text.strip().splitlines():
            program, *words = shlex.split(line)
            if program == "triptych" and not {"study", "data", "--data"} & set(words):
                assert main(words) == 0, line


@pytest.mark.long
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="the site needs the extra docs")
    words = ["-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path / "html")]
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2_000:]
    pages = {p.relative_to(tmp_path / "html").as_posix() for p in (tmp_path / "html").rglob("*.html")}
    assert {"index.html", "search.html", "tutorials/beta.html", "_made/reference/api/top.html"} <= pages
    assert len(list((tmp_path / "html" / "notebooks").glob("*.ipynb"))) == len(TUTORIALS)
    weight = sum(p.stat().st_size for p in (tmp_path / "html").rglob("*") if p.is_file())
    assert weight < 40e6
    for page in (tmp_path / "html").rglob("*.html"):
        loads = re.findall(r"""<(?:script|img|link)[^>]*(?:src|href)=["'](https?:[^"']+)""", page.read_text("utf-8"))
        assert loads == [], page
