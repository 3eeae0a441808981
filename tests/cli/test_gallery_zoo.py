"""The gallery's first section: what the models of the zoo draw."""

from pathlib import Path

import pytest

from triptych.cli import gallery_page, gallery_zoo
from triptych.run import zoo

PLACE = Path(__file__).resolve().parents[2] / "zoo"
pytestmark = pytest.mark.skipif(not PLACE.is_dir(), reason="no zoo beside the program")


def test_every_entry_has_its_picture_and_its_command(tmp_path):
    text = gallery_zoo.section(PLACE, tmp_path)
    for name, entry in zoo.index(PLACE).items():
        assert f"`zoo:{name}`" in text
        (picture,) = (tmp_path / "figures").glob(f"zoo-{name}.*")
        assert picture.stat().st_size > 1_000
        assert f"(figures/{picture.name})" in text
        if "non-commercial" in entry["licence"]:
            assert f"weights: {entry['licence']}" in text


def test_precision_is_not_shown_without_recall(tmp_path):
    for line in gallery_zoo.section(PLACE, tmp_path).split("\n"):
        assert line.count("Precision") == line.count("Recall")


def test_families_stand_in_one_order(tmp_path):
    first = next(line for line in gallery_zoo.section(PLACE, tmp_path).split("\n") if "mnist" in line and "GAN" in line)
    assert first.index("GAN") < first.index("autoencoder") < first.index("flow")


def test_the_section_is_first_and_made_once(tmp_path):
    page = tmp_path / "gallery.md"
    page.write_text("# Gallery\n\n## toys\n\nkept\n")
    for _ in range(2):
        page.write_text(gallery_page.write(page, "said", [], PLACE))
    assert list(gallery_page.sections(page.read_text())) == [gallery_zoo.TITLE, "toys"]
    assert page.read_text().count(f"## {gallery_zoo.TITLE}") == 1
