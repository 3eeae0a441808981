"""Studies without weights, as `gallery/` keeps them: `python -m triptych.cli.gallery strip|fill|page`.

`strip STUDY FOLDER [NOTE]` writes a study's folder without weights, of which `triptych report FOLDER` makes its
page. No real picture of a set with terms is kept; `fill FOLDER` draws them into it where the data are, for a page on
that machine. `page DOCS FOLDER...` writes the sections of these studies into DOCS/gallery.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from triptych.errors import UserError
from triptych.system.console import say

USAGE = "usage: python -m triptych.cli.gallery strip STUDY FOLDER [NOTE] | fill FOLDER | page DOCS FOLDER..."


def main(argv: Sequence[str]) -> int:
    from triptych.cli import docs, gallery_page
    from triptych.study import strip
    from triptych.system import files

    try:
        if len(argv) in (3, 4) and argv[0] == "strip":
            thrift, size = strip.strip(Path(argv[1]), Path(argv[2]), note="".join(argv[3:]))
            say(Path(argv[2]), f"{size / 1e6:.2f} MB: {thrift}")
        elif len(argv) == 2 and argv[0] == "fill":
            say(*strip.fill(Path(argv[1])))
        elif len(argv) > 2 and argv[0] == "page":
            page = Path(argv[1]) / "gallery.md"
            files.write_text(page, gallery_page.write(page, docs.SAID, [Path(a) for a in argv[2:]]))
            say(page)
        else:
            say(USAGE)
            return 0 if argv and argv[0] in ("-h", "--help") else 2
    except (UserError, OSError) as e:
        say(f"error: {e}", stderr=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
