"""What became of each of millions of pictures, in a few bytes each."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import numpy as np

Result = dict[str, Any]
"""Of a picture that was kept `sha256`, `size` and `notes`; of another `skipped`, the reason, and `sha256` if known."""
NONE, KEPT, SKIPPED, UNREAD = range(4)


class Results(MutableMapping[int, Result]):
    """The results of n pictures by their number, as far as they are there."""

    def __init__(self, n: int) -> None:
        self.state = np.zeros(n, np.uint8)
        self.sha = np.zeros((n, 32), np.uint8)
        self.size = np.zeros((n, 2), np.int32)
        self.words = np.zeros(n, np.int32)
        self.texts: list[str | tuple[str, ...]] = []
        self.known: dict[str | tuple[str, ...], int] = {}
        self.count = 0

    def __setitem__(self, i: int, result: Result) -> None:
        self.count += not self.state[i]
        skipped, sha = result.get("skipped"), result.get("sha256")
        self.state[i] = KEPT if skipped is None else UNREAD if sha is None else SKIPPED
        if sha is not None:
            self.sha[i] = np.frombuffer(bytes.fromhex(sha), np.uint8)
        said = tuple(result["notes"]) if skipped is None else skipped
        if said not in self.known:
            self.known[said] = len(self.texts)
            self.texts.append(said)
        self.words[i] = self.known[said]
        if skipped is None:
            self.size[i] = result["size"]

    def __getitem__(self, i: int) -> Result:
        state = self.state[i]
        if state == NONE:
            raise KeyError(i)
        said = self.texts[self.words[i]]
        sha = {} if state == UNREAD else {"sha256": self.sha[i].tobytes().hex()}
        if state == KEPT:
            return {**sha, "size": self.size[i].tolist(), "notes": list(said)}
        return {**sha, "skipped": said}

    def __contains__(self, i: object) -> bool:
        return isinstance(i, int) and bool(self.state[i])

    def __delitem__(self, i: int) -> None:
        self.count -= bool(self.state[i])
        self.state[i] = NONE

    def __iter__(self) -> Iterator[int]:
        return map(int, np.flatnonzero(self.state))

    def __len__(self) -> int:
        return self.count

    @property
    def kept(self) -> np.ndarray:
        """Numbers of the pictures that were kept, ascending."""
        return np.flatnonzero(self.state == KEPT)
