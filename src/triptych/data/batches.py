"""The stream of real examples that training draws from."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from typing import Any

import torch
from torch import Tensor

from triptych.core import Data, to_inner
from triptych.core.data import InParts
from triptych.core.labels import known_of, no_labels
from triptych.core.share import Share
from triptych.errors import UserError

RESIDENT = 1 << 29  # bytes: larger arrays that lie in a file stay there and are read as they are needed
AHEAD = 3  # batches read in advance from a file


class Batches:
    """Endless inner batches of one size, on the device, deterministic from the seed and resumable anywhere.

    A finite set is one stream of epochs, each a fresh permutation, so that every example comes exactly once an
    epoch and the batch size is fixed. A toy set draws fresh points from its distribution; binary images that know
    their grey levels are binarised anew. An array that is too large to stay on the device is read from its file, a
    few batches ahead, without ever being in memory as a whole.

    With a `share` it gives only that of each batch, and counts and draws for the whole of it. `labelled` is the same
    stream with the labels beside it: whichever of the two is asked, the next batch is the same.
    """

    def __init__(
        self,
        data: Data,
        batch: int,
        seed: int,
        device: torch.device,
        *,
        flip: bool = False,
        share: Share | None = None,
    ) -> None:
        self.data, self.batch, self.seed, self.device, self.flip = data, batch, seed, device, flip
        share = share or Share()
        n = batch // share.of
        self._ours = slice(share.index * n, (share.index + 1) * n)
        self.drawn = 0
        self._generator = torch.Generator().manual_seed(seed)
        self._rows = None if data.distribution is not None else _rows(data, device)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)
        self._coming: deque[Future[Tensor]] = deque()

    def __iter__(self) -> Iterator[Tensor]:
        return self

    @property
    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The same stream, with what each batch is conditioned on: numbers (n, k) where there are some, else labels
        (n,) int64. UserError where the data have neither."""
        law, known = self.data.distribution, known_of(self.data)
        if known is None or not (law is None or isinstance(law, InParts)):
            raise UserError(no_labels(self.data))
        while True:
            if isinstance(law, InParts):
                self.drawn += self.batch
                x, y = law.draw_labelled(self.batch, self._generator)
                yield x[self._ours].to(self.device), y[self._ours].to(self.device)
            else:
                y = known[self._indices(self.drawn)[self._ours]]
                yield next(self), y.to(self.device)

    def __next__(self) -> Tensor:
        if self._rows is None:
            assert self.data.distribution is not None
            self.drawn += self.batch
            return self.data.distribution.draw(self.batch, self._generator)[self._ours].to(self.device)
        x = to_inner(self._gather(self._rows))
        self.drawn += self.batch
        if self.data.intensities is not None:
            u = torch.rand(self.batch, *x.shape[1:], generator=self._generator)[self._ours]
            x = torch.where(u.to(x.device) < (x + 1) / 2, 1.0, -1.0)
        if self.flip:
            mirrored = torch.rand(self.batch, 1, 1, 1, generator=self._generator)[self._ours].to(x.device) < 0.5
            x = torch.where(mirrored, x.flip(-1), x)
        return x

    def _gather(self, rows: Tensor | FileRows) -> Tensor:
        if isinstance(rows, Tensor):
            return rows.index_select(0, self._indices(self.drawn)[self._ours].to(rows.device))
        while len(self._coming) < AHEAD:
            at = self.drawn + self.batch * len(self._coming)
            self._coming.append(rows.fetch(self._indices(at)[self._ours]))
        return self._coming.popleft().result().to(self.device)

    def _indices(self, start: int) -> Tensor:
        """Which examples come at places start .. start + batch of the endless stream."""
        n, parts, wanted = len(self.data), [], self.batch
        while wanted:
            epoch, cursor = divmod(start, n)
            if epoch != self._epoch:
                mixed = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                self._epoch, self._order = epoch, torch.randperm(n, generator=mixed)
            part = self._order[cursor : cursor + wanted]
            parts.append(part)
            start, wanted = start + len(part), wanted - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, and the generator's state as a uint8 tensor."""
        return {"drawn": self.drawn, "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken: the next batch is the same."""
        self.drawn = state["drawn"]
        self._generator.set_state(state["generator"])
        self._coming.clear()


class FileRows:
    """Rows of an array in a file, fetched by plain reads in a thread: mapped pages would pile up in memory."""

    def __init__(self, data: Data) -> None:
        assert data.file is not None
        path, self.start = data.file
        self.shape, self.size = data.shape, math.prod(data.shape)
        self.file = path.open("rb", buffering=0)
        self.reader = ThreadPoolExecutor(1, thread_name_prefix="rows")
        weakref.finalize(self, _close, self.file, self.reader)

    def fetch(self, rows: Tensor) -> Future[Tensor]:
        """The rows (k,) of the file in a thread, in the order asked for: (k, *shape) once done."""
        return self.reader.submit(self._read, rows)

    def _read(self, rows: Tensor) -> Tensor:
        out = bytearray(len(rows) * self.size)
        at = memoryview(out)
        order = rows.argsort()  # in file order, so that a disk need not turn back
        for i, row in zip(order.tolist(), rows[order].tolist(), strict=True):
            self.file.seek(self.start + row * self.size)
            if self.file.readinto(at[i * self.size : (i + 1) * self.size]) != self.size:
                raise OSError(f"{self.file.name} ended within example {row}")
        return torch.frombuffer(out, dtype=torch.uint8).view(len(rows), *self.shape)


def _close(file: FileIO, reader: ThreadPoolExecutor) -> None:
    reader.shutdown(wait=False)
    file.close()


def _rows(data: Data, device: torch.device) -> Tensor | FileRows:
    """The examples on the device, where they fit."""
    x = data.x if data.intensities is None else data.intensities
    size = x.numel() * x.element_size()
    if data.file is not None and size > RESIDENT:
        room = torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else 0
        if size > room:
            return FileRows(data)
    return x.to(device)


class InOrder:
    """Inner batches (k, *shape) of the first `limit` examples, once each time, in file order; the last may be short."""

    def __init__(self, data: Data, batch: int, device: torch.device, limit: int | None = None) -> None:
        self.data, self.batch, self.device, self.limit = data, batch, device, limit

    def __iter__(self) -> Iterator[Tensor]:
        for part in self.data.x[: self.limit].split(self.batch):
            yield to_inner(part.to(self.device))

    @property
    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The same with what each batch is conditioned on, as of `Batches`. UserError where the data have nothing."""
        known = known_of(self.data)
        if known is None:
            raise UserError(no_labels(self.data))
        labels = known[: self.limit].split(self.batch)
        return ((x, y.to(self.device)) for x, y in zip(self, labels, strict=True))
