"""Studies without weights, as `gallery/` keeps them: `python -m triptych.cli.gallery strip STUDY FOLDER | fill FOLDER`.

`triptych report FOLDER` makes the page of either. No real picture of a set with terms is kept; `fill` draws them into
the folders where the data are, for a page on that machine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from triptych.errors import UserError
from triptych.system.console import say

USAGE = "usage: python -m triptych.cli.gallery strip STUDY FOLDER | fill FOLDER"


def main(argv: Sequence[str]) -> int:
    from triptych.study import strip

    try:
        if len(argv) == 3 and argv[0] == "strip":
            thrift, size = strip.strip(Path(argv[1]), Path(argv[2]))
            say(Path(argv[2]), f"{size / 1e6:.2f} MB: {thrift}")
        elif len(argv) == 2 and argv[0] == "fill":
            say(*strip.fill(Path(argv[1])))
        else:
            say(USAGE)
            return 0 if argv and argv[0] in ("-h", "--help") else 2
    except (UserError, OSError) as e:
        say(f"error: {e}", stderr=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
