"""Which trials of a search a process trains, where several share a journal: on one machine, or on one shared folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from triptych.system.locks import hold

MOMENT = 0.05
"""Seconds until a process that waits looks again."""


class Claims:
    """The claims of one process: locks on files, so that those of a process that dies, or of a machine, are free."""

    def __init__(self, folder: Path, name: str) -> None:
        """The claims on the trials of the search `name` under `folder`."""
        self.folder, self.name = folder, name
        self.held: dict[int, IO[bytes]] = {}

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """One process at a time looks at the journal and takes what is free; the others wait for a moment.

        Where the file system has no locks, a search has to be the only one.
        """
        while (file := hold(self.folder / "journal.held")) is None:
            time.sleep(MOMENT)
        with file:
            yield

    def take(self, number: int) -> bool:
        """Whether a trial is this process's from now on: nobody had it, or who had it is no more."""
        if number in self.held:
            return False
        if (file := hold(self._file(number))) is None:
            return False
        self.held[number] = file
        return True

    def leave(self, numbers: Iterable[int]) -> None:
        """Give trials back: they have ended, or others may go on with them."""
        for number in numbers:
            self.held.pop(number).close()

    def forget(self, number: int) -> None:
        """Remove what is left of the claims on a trial that has ended. Who holds one keeps it."""
        if number not in self.held:
            with suppress(OSError):
                self._file(number).unlink()

    def _file(self, number: int) -> Path:
        return self.folder / "claims" / f"{self.name}-{number}.held"
