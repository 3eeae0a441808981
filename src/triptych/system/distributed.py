"""Several processes that train one model, each with a device of its own: started by `torchrun`, found by its variables.

They are called ranks. The first alone speaks and writes; what it decides, or fails of, the others are told. Numbers on
GPUs are summed by NCCL, all else by gloo.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from triptych.core.share import Share
from triptych.errors import UserError

LETTING_GO = 0.2
"""Seconds that the threads of a group get for it; they need microseconds."""
PATIENCE = timedelta(days=7)
"""A rank may have to wait for hours, for data to be prepared or for a long evaluation."""
BUCKET = 25 << 20
"""Bytes of gradients that are averaged at a time."""
PART = 4 << 20
"""The same while others are still computed: fewer, so that the first are soon complete, and enough to fill the wire."""


class Lost(UserError):
    """Another rank is no more."""


@dataclass(frozen=True)
class Ranks:
    """The processes of one training, as one of them sees them. One alone is the usual case: nothing is sent then."""

    rank: int = 0
    world: int = 1
    restarts: int = 0
    """how often torchrun has started them anew"""

    @property
    def first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def share(self, part: int = 0, parts: int = 1) -> Share:
        """What this rank computes of a batch, or one of the parts that it does so in."""
        total = self.total if self.world > 1 and parts == 1 else None
        return Share(self.rank * parts + part, self.world * parts, total)

    # ------------------------------------------------------------------------------------- numbers

    def total(self, x: Tensor) -> Tensor:
        """The sum of x over all ranks, differentiable any number of times."""
        return _Total.apply(x)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all ranks, some megabytes at a time. The same bits on every rank."""
        if self.world == 1:
            return
        for bucket in buckets(tensors, BUCKET):
            flat = torch.cat([t.detach().reshape(-1) for t in bucket])
            _sum(flat)
            spread(flat.div_(self.world), bucket)

    @contextmanager
    def averaging(self, parameters: Sequence[Tensor], *, overlap: bool) -> Iterator[None]:
        """Inside it one backward pass gives the parameters their gradients; behind it these are means over all ranks.

        With `overlap` they are sent while the pass goes on, which a GPU does beside it; a processor computes both.
        """
        if self.world == 1 or not overlap:
            yield
            self.average([w.grad for w in parameters if w.grad is not None])
            return
        sending = _Sending(parameters)
        hooks = [w.register_post_accumulate_grad_hook(sending.ready) for w in parameters]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        sending.finish(self.world)

    def hand_out(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of the first rank."""
        for t in tensors if self.world > 1 else ():
            whole = t.detach().contiguous()
            with _lost():
                dist.broadcast(whole, 0)
            t.copy_(whole)

    # ------------------------------------------------------------------------------------- decisions

    def any(self, *flags: bool) -> list[bool]:
        """Of each flag, whether it is raised on any rank. Whoever is late is waited for."""
        if self.world == 1:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.int32)
        _sum(raised)
        return [bool(n) for n in raised.tolist()]

    def told(self, make: Callable[[], Any]) -> Any:
        """What `make` gives on the first rank, plain values of JSON, on all; where it raises, all end."""
        if self.world == 1:
            return make()
        answer, error = {}, None
        if self.first:
            try:
                answer = {"value": make()}
            except Exception as e:
                answer, error = {"error": str(e)}, e
        answer = self._exchanged(answer)[0]
        if error is not None:
            raise error
        if "error" in answer:
            raise SystemExit(2)  # the first rank has said why
        return answer["value"]

    def everyone(self, make: Callable[[], Any]) -> list[Any]:
        """What `make` gives on each rank, plain values of JSON. UserError, naming it, where it raises on one."""
        if self.world == 1:
            return [make()]
        answer, error = {}, None
        try:
            answer = {"value": make()}
        except UserError as e:
            answer, error = {"error": str(e)}, e
        answers = self._exchanged({**answer, "host": socket.gethostname()})
        for rank, other in enumerate(answers):
            if "error" in other:
                if not self.first:
                    raise SystemExit(2)
                raise error if rank == 0 and error else UserError(f"rank {rank} on {other['host']}: {other['error']}")
        return [a["value"] for a in answers]

    def alike(self, what: str, mark: Callable[[], str]) -> None:
        """UserError unless `mark` is the same on every rank, or where it cannot be made on one."""
        marks = self.everyone(mark)
        if odd := [rank for rank, other in enumerate(marks) if other != marks[0]]:
            if not self.first:
                raise SystemExit(2)
            raise UserError(
                f"rank {odd[0]} has another {what} than rank 0; start all ranks with the same command, on the same data"
            )

    def _exchanged(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The JSON of every rank."""
        content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        sizes = torch.zeros(self.world, dtype=torch.int64)
        sizes[self.rank] = len(content)
        _sum(sizes)
        rows = torch.zeros(self.world, int(sizes.max()), dtype=torch.uint8)
        rows[self.rank, : len(content)] = content
        _sum(rows)
        return [json.loads(bytes(row[:n].tolist()).decode()) for row, n in zip(rows, sizes.tolist(), strict=True)]


ALONE = Ranks()


def buckets(tensors: Iterable[Tensor], most: int) -> Iterator[list[Tensor]]:
    """The tensors in their order, as many of one type at a time as are `most` bytes; at least one."""
    bucket, held = list[Tensor](), 0
    for t in tensors:
        if bucket and (held + t.nbytes > most or t.dtype != bucket[0].dtype):
            yield bucket
            bucket, held = [], 0
        bucket.append(t)
        held += t.nbytes
    if bucket:
        yield bucket


class _Sending:
    """Gradients on their way to the other ranks while a backward pass computes the rest.

    It computes those of the last layers first, so buckets are filled from the end. A bucket goes when it and all before
    it are complete: in one order on all ranks, whatever the order in which gradients come.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.buckets = list(buckets(reversed(parameters), PART))
        self.bucket_of = {w: i for i, bucket in enumerate(self.buckets) for w in bucket}
        self.missing = [len(bucket) for bucket in self.buckets]
        self.gone = 0
        self.sent: list[tuple[list[Tensor], Tensor, Any]] = []
        self.error: RuntimeError | None = None

    def ready(self, w: Tensor) -> None:
        """The gradient of `w` is complete. Called by autograd, once for each parameter that the loss reaches."""
        self.missing[self.bucket_of[w]] -= 1
        while self.gone < len(self.buckets) and not self.missing[self.gone]:
            self._send()

    def _send(self) -> None:
        grads = [w.grad for w in self.buckets[self.gone] if w.grad is not None]
        self.gone += 1
        if grads and self.error is None:
            flat = torch.cat([g.detach().reshape(-1) for g in grads])
            try:
                self.sent.append((grads, flat, dist.all_reduce(flat, async_op=True)))
            except RuntimeError as e:  # autograd's own threads are no place to end in
                self.error = e

    def finish(self, world: int) -> None:
        """Send what the loss did not reach all of, and put means in place of the gradients."""
        while self.gone < len(self.buckets):
            self._send()
        with _lost():
            if self.error is not None:
                raise self.error
            for grads, flat, work in self.sent:
                work.wait()
                spread(flat.div_(world), grads)


def spread(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Give each of the tensors its part of a flat one."""
    for t, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        t.copy_(part.view(t.shape))


class _Total(torch.autograd.Function):
    """Σ over ranks. Every rank's loss depends on every rank's x: the gradient is the sum of all theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = x.detach().clone(memory_format=torch.contiguous_format)
        _sum(out)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return _Total.apply(g)


def _sum(x: Tensor) -> None:
    with _lost():
        dist.all_reduce(x)


@contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as e:
        if dist.get_rank():
            raise SystemExit(1) from e  # the first rank says so
        raise Lost(
            "another rank of this training has ended; its own message says why, and `triptych resume` under torchrun "
            "goes on from the last checkpoint"
        ) from e


def asked() -> Ranks:
    """What the launcher's variables say: RANK and WORLD_SIZE, as torchrun sets them."""
    try:
        return Ranks(
            int(os.environ.get("RANK", "0")),
            int(os.environ.get("WORLD_SIZE", "1")),
            int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
        )
    except ValueError as e:
        raise UserError(f"RANK and WORLD_SIZE are no numbers ({e}); start with torchrun, or unset them") from e


_group = ALONE


@contextmanager
def group() -> Iterator[Ranks]:
    """The ranks of a training that begins, connected inside; this process alone where no launcher started several."""
    global _group
    ranks = asked()
    if ranks.world == 1 or dist.is_initialized():
        yield ranks if ranks.world == 1 else _group
        return
    graphics = torch.cuda.is_available()
    if graphics:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if graphics else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as e:
        raise UserError(f"the ranks do not find each other ({' '.join(str(e).split())}); start them by torchrun") from e
    _group = ranks
    try:
        yield ranks
        with suppress(RuntimeError):  # whoever left first would take the connection from under the others
            dist.barrier()
    finally:
        _group = ALONE
        dist.destroy_process_group()
        # The threads of gloo live on. One that lets go of its last piece of work needs Python for it, and aborts the
        # process where Python ends meanwhile: once in six trainings.
        time.sleep(LETTING_GO)
