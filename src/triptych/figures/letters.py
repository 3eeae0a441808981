"""Fonts that have the letters of the names in people's data.

Matplotlib's own has those of European languages, of Arabic and of Hebrew. For any other a font is taken that this
machine has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from triptych.system.notices import say


def own() -> Path:
    """The font of labels: matplotlib's, since Pillow's has no letters beyond English ones."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def installed() -> dict[Path, str]:
    """Upright fonts of ordinary weight on this machine, and their names, by which matplotlib knows them."""
    from matplotlib import font_manager, get_data_path

    fonts = sorted(font_manager.fontManager.ttflist, key=lambda font: (font.name, font.fname))
    plain = [font for font in fonts if font.style == "normal" and font.weight in (400, "normal", "regular", "book")]
    # one that matplotlib brings has boxes for every letter there is
    return {Path(font.fname): font.name for font in plain if not font.fname.startswith(get_data_path())}


@cache
def letters_in(font: Path) -> frozenset[int]:
    """The characters that a font has; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(font)).get_charmap())
    except (RuntimeError, OSError):
        return frozenset()


@cache
def font_with(letters: frozenset[int]) -> Path:
    """The font that has most of these characters: our own where it has them all, or where none has more.

    That none has them all is said once.
    """
    best = own()
    if missing := letters - letters_in(best):
        best = max((best, *installed()), key=lambda font: len(letters & letters_in(font)))
        missing = letters - letters_in(best)
    if missing:
        shown = "".join(map(chr, sorted(missing)[:8]))
        say(f"no font here has {shown}: boxes stand in pictures; install one that has, such as Noto Sans CJK")
    return best


def font_of(texts: Iterable[str]) -> Path:
    """The font for some texts."""
    return font_with(frozenset(ord(letter) for letter in "".join(texts) if letter.isprintable() and letter != " "))


@contextmanager
def lettered(texts: Iterable[str]) -> Iterator[None]:
    """Figures of matplotlib that are begun inside have the letters of these texts."""
    import matplotlib

    found = font_of(texts)
    if found == own():
        yield
        return
    with matplotlib.rc_context({"font.family": [*matplotlib.rcParams["font.family"], installed()[found]]}):
        yield
