"""What systems, network drives and cameras leave beside people's files: never pictures of the set, never a class."""

from __future__ import annotations

import functools

HIDDEN = "hidden file"
LEFT = "left there by a system or a drive"

NAMES = frozenset(
    name.casefold()
    for name in (
        # macOS, on drives and in archives
        "__MACOSX",
        "Icon\r",
        "Network Trash Folder",
        "Temporary Items",
        "TheVolumeSettingsFolder",
        "TheFindByContentFolder",
        # Windows
        "$RECYCLE.BIN",
        "System Volume Information",
        "Thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "Picasa.ini",
        "$WinREAgent",
        # Linux file systems
        "lost+found",
        # network storage: Synology, QNAP, NetApp
        "@eaDir",
        "@tmp",
        "@sharebin",
        "#recycle",
        "#snapshot",
        "@Recycle",
        "@Recently-Snapshot",
        "@Transcode",
        "~snapshot",
        # tools
        "__pycache__",
    )
)
EXACT = frozenset({"RECYCLER", "FOUND.000"})
"""Names that only Windows writes so; in other letters they may be a person's own folder."""


def reason(part: str) -> str | None:
    """Why a file or folder of this name is left aside, with all in it; None where it is not."""
    if part.startswith("."):  # ._*, .DS_Store, .Trashes, .Trash-1000, .thumbnails, .@__thumb, .ipynb_checkpoints
        return HIDDEN
    return LEFT if part.casefold() in NAMES or part in EXACT or part.startswith("~$") else None


def reason_of(name: str) -> str | None:
    """The same for a path: the first of its parts that is left aside decides."""
    *folders, last = name.split("/")
    return _reason_of_folders("/".join(folders)) or reason(last)


@functools.lru_cache(4096)
def _reason_of_folders(names: str) -> str | None:
    return next((why for part in names.split("/") if (why := reason(part))), None)
