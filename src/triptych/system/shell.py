"""Words as a shell takes them."""

from __future__ import annotations

import os
import shlex

from triptych.system.console import printable


def shell(*words: str) -> str:
    """Words as a shell takes them, on one line: control characters and bytes that are no UTF-8 as `$'…'` has them."""
    return " ".join(
        shlex.quote(w) if printable(w) == w and "\n" not in w and "\t" not in w else dollar(w) for w in words
    )


def dollar(word: str) -> str:
    """One word in the quotes in which bash, zsh and POSIX of 2024 know escapes."""
    kept = []
    for c in word:
        if c in "\\'":
            kept.append(f"\\{c}")
        elif printable(c) == c and c not in "\n\t":
            kept.append(c)
        else:
            kept += [f"\\x{byte:02x}" for byte in os.fsencode(c)]
    return f"$'{''.join(kept)}'"


def safe(command: str) -> bool:
    """Whether pasting it into a shell runs `triptych train` and nothing else: it may be a stranger's text."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return words[:2] == ["triptych", "train"] and shell(*words) == command
