"""The written pages: what they name is there, what is generated is in step, and words that we gave up stay away."""

import importlib
import re
from pathlib import Path

import pytest

from triptych.cli import docs
from triptych.core import plugins

ROOT = Path(__file__).parents[2]
DOCS = [p for p in sorted((ROOT / "docs").rglob("*.md")) if not {"_made", "_build"} & set(p.parts)]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS]
WRITTEN = [p for p in PAGES if docs.SAID not in p.read_text(encoding="utf-8")]


def names(text: str) -> set[str]:
    """Dotted names below `triptych` that a page uses."""
    return set(re.findall(r"\btriptych(?:\.[A-Za-z_]\w*)+", text))


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    *above, last = dotted.split(".")
    try:
        importlib.import_module(dotted)
    except ImportError:
        return bool(above) and resolves(".".join(above)) and hasattr(value(".".join(above)), last)
    return True


def value(dotted: str) -> object:
    *above, last = dotted.split(".")
    try:
        return importlib.import_module(dotted)
    except ImportError:
        return getattr(value(".".join(above)), last)


def missing(page: Path, text: str) -> list[str]:
    """Links and files of this project that a page names and that are not there."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    files = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|md|yaml))`", text)
    return [
        *(link for link in links if not (page.parent / link).exists()),
        *(f for f in files if not any((home / f).is_file() for home in (ROOT, ROOT / "src" / "triptych"))),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [n for n in sorted(names(text) - {plugins.GROUP}) if not resolves(n)] == []
    assert missing(page, text) == []


def test_a_name_or_file_that_is_not_there_is_seen() -> None:
    assert not resolves("triptych.trainer.fitting.fitting.fit")
    assert not resolves("triptych.models.families.flows.zuko.adapt")
    assert resolves("triptych.models.flows.zuko.adapt")
    assert missing(ROOT / "README.md", "[loop](src/triptych/training.py) and `models/conv.py`") == [
        "src/triptych/training.py",
        "models/conv.py",
    ]


def test_generated_pages_are_in_step(tmp_path: Path) -> None:
    """A page that differs is written anew by `python -m triptych.cli.docs docs`."""
    (tmp_path / "figures").mkdir()
    for figure in (ROOT / "docs" / "figures").iterdir():
        (tmp_path / "figures" / figure.name).touch()
    made = docs.build(tmp_path, [])
    assert made
    for page in made:
        kept = ROOT / "docs" / page.relative_to(tmp_path)
        assert kept.read_text(encoding="utf-8") == page.read_text(encoding="utf-8"), kept.name


GIVEN_UP = (
    r"numbers (?:in|of) z",
    r"starting points?",
    r"\bvotes?\b",
    r"beyond doubt",
    r"drawn to [01]\b",
    r"no batch is short",
    r"one stretch of memory",
    r"\blaws?\b",
    r"\bcrew\b",
    r"by heart",
    r"\btwins?\b",
    r"\bjudged?\b",
    r"\bsweeps\b",
)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda p: p.stem)
def test_pages_use_the_words_of_the_field(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [m.group() for word in GIVEN_UP for m in re.finditer(word, text, re.IGNORECASE)] == []


def test_the_words_coined_here_are_defined_once_and_linked() -> None:
    page = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
    for word in ("move", "player", "floor", "recipe", "run", "study", "inner space", "public space", "part", "plug-in"):
        assert page.count(f"| **{word}** |") == 1, word
    assert "docs/words.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_screen_of_the_readme_says_what_to_run() -> None:
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24])
    assert "make demo" in first
    assert "make test" in first
