"""Names that become one file or folder, on every system that the folder may be copied to."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import Path

from triptych.errors import UserError

LONGEST = 120
"""Bytes of a name; file systems have 255, and hash, seed and endings are added."""
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\..*)?")
"""Devices of Windows, whatever the ending."""
FORBIDDEN = '/\\:*?"<>|'


def component(name: str, what: str) -> str:
    """`name` if it is one plain part of a path, else UserError; `what` names it in the message."""
    problem = ""
    if not name or name in (".", ".."):
        problem = "is no name"
    elif found := [c for c in name if c in FORBIDDEN]:
        problem = f"holds {found[0]}"
    elif any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name):
        problem = "holds characters that cannot be seen"
    elif name != name.strip() or name.endswith("."):
        problem = "begins or ends with a space, or ends with a dot"
    elif len(name.encode()) > LONGEST:
        problem = f"has {len(name.encode())} bytes, and at most {LONGEST} are taken"
    elif RESERVED.fullmatch(name):
        problem = "is a device on Windows"
    if problem:
        shown = name if len(name) <= 60 else f"{name[:57]}..."
        raise UserError(f"{what} {shown!r} {problem}; give one plain name, such as 'my-study'")
    return name


def encodable(path: Path) -> None:
    """UserError where this system's file names cannot hold `path`: under some settings they are ASCII."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError as e:
        raise UserError(
            f"{path} holds {e.object[e.start]!r}, and file names are {sys.getfilesystemencoding()} here; set "
            "PYTHONUTF8=1, or take another name"
        ) from e
