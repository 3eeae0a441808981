"""Pictures that are made larger, or lose their shape, are counted: nothing is changed in silence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triptych import data
from triptych.core.preparation import Preparation
from triptych.data.prepare.reshaped import ENLARGED, SQUASHED, counts

SIZES = np.array([[64, 64], [60, 64], [32, 32], [1, 1], [400, 100], [100, 40], [31, 32], [64, 48]])


@pytest.mark.parametrize(
    ("fit", "resolution", "enlarged", "squashed"),
    [
        ("squash", 32, [3, 6], [4, 5, 7]),  # 60 to 64 is within a tenth
        ("crop", 32, [3, 6], []),
        ("pad", 32, [3], []),  # 31 x 32 keeps its size
        ("squash", "64x48", [1, 2, 3, 5, 6], [0, 1, 2, 3, 4, 5, 6]),
        ("pad", "64x48", [2, 3, 6], []),
    ],
)
def test_each_picture_is_counted_once_for_what_befalls_it(
    fit: str, resolution: int | str, enlarged: list[int], squashed: list[int]
) -> None:
    how = Preparation(resolution=resolution, fit=fit)  # type: ignore[arg-type]
    for i, size in enumerate(SIZES):
        found = counts(size[None], how)
        assert (ENLARGED in found, SQUASHED in found) == (i in enlarged, i in squashed), (size, found)
    want = {ENLARGED: len(enlarged), SQUASHED: len(squashed)}
    assert counts(SIZES, how) == {note: n for note, n in want.items() if n}


def test_at_their_own_size_nothing_befalls_them() -> None:
    assert counts(SIZES, Preparation()) == {}


def test_a_folder_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set").mkdir()
    for name, size in (("dot", (1, 1)), ("strip", (400, 20)), ("good", (40, 40))):
        Image.new("RGB", size, (9, 99, 199)).save(tmp_path / "set" / f"{name}.png")
    prepared = data.load(tmp_path / "set", resolution=32)
    assert prepared.about["notes"] == {ENLARGED: 2, SQUASHED: 1}
    assert f"3 of 3 files prepared; 2 {ENLARGED}, 1 {SQUASHED}" in capsys.readouterr().err
    again = data.load(tmp_path / "set", resolution=32, fit="crop")
    assert again.about["notes"] == {ENLARGED: 2}
