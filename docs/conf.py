"""The documentation site: `make docs`. It loads nothing from elsewhere, and its search needs no server."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import triptych  # noqa: E402

project, author = "triptych", "the triptych authors"
version = release = triptych.__version__
project_copyright = author
extensions = ["myst_parser", "percent", "reference"]
source_suffix = {".md": "markdown", ".py": "markdown"}
exclude_patterns = ["_build", "_ext", "_made/extra", "conf.py"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]
html_theme = "furo"
html_title = f"triptych {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would be fetched, which a page that was opened as a file may not
html_extra_path = ["_made/extra"]
html_theme_options = {"top_of_page_buttons": []}


def elsewhere(app, name, source):
    """Files of the repository that are no pages are named, not linked: the site stands alone."""
    page = HERE / f"{name}.md"

    def named(match):
        target = (page.parent / match[2].split("#")[0]).resolve()
        inside = target.is_relative_to(HERE) and target.suffix in (".md", ".png", ".py") and target.is_file()
        return match[0] if inside or re.match(r"https?:|#|mailto:", match[2]) else match[1]

    source[0] = re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", named, source[0])


def others(app, name, source):
    """A page that the table of contents does not name stands among the pages on how to do things."""
    if name == "index":
        named = set(source[0].split())
        found = sorted(p.stem for p in HERE.glob("*.md") if p.stem not in named | {"index"})
        source[0] = source[0].replace("% every other page", "\n".join(found))


def setup(app):
    (HERE / "_made" / "extra").mkdir(parents=True, exist_ok=True)
    app.connect("source-read", elsewhere)
    app.connect("source-read", others)
