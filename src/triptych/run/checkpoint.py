"""Checkpoints: tensors in safetensors, and a note in JSON beside them that holds the hashes of both.

Tensors are named by what they belong to: `Contents` has the prefixes. The note says how far the training was:

    asked                          recipe and seed of the run
    step, seconds                  optimiser steps and seconds of training
    slowed                         factor on the learning rates, below 1 where the run went back after a divergence
    batches                        where the stream of real examples is
    alarms                         what was raised so far
    best                           images, metric and value of the best checkpoint so far, or null
    counts                         how many values each of the sums for the next log line has
    passing                        written because a signal came, not because the cadence asked for it

A checkpoint is there once its note is: the tensors are written first. Notes of version 0.1 have neither a format
number nor a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from triptych.errors import UserError
from triptych.run import json_types, schema
from triptych.system import files
from triptych.system.tensor_files import unpack

PROGRAM = "triptych"
MOMENTS = {
    torch.optim.Adam: ("exp_avg", "exp_avg_sq"),
    torch.optim.AdamW: ("exp_avg", "exp_avg_sq"),
    torch.optim.RMSprop: ("square_avg",),
}
"""What an optimiser remembers in the shape of a parameter, beside the scalar `step`."""


NEEDED = frozenset({"step", "seconds", "slowed", "batches", "alarms"})
"""Fields of a note without which a training cannot go on; version 0.1 wrote no others."""


def _below(prefix: str) -> Any:
    return field(default_factory=dict, metadata={"prefix": prefix})


@dataclass(frozen=True)
class Contents:
    """The tensors of a checkpoint by what they belong to; in the file each is named `prefix/NAME`."""

    model: Mapping[str, Tensor] = _below("model")
    """parameters and buffers of the players"""
    averages: Mapping[str, Tensor] = _below("ema")
    """averaged weights of the sampling players"""
    statistics: Mapping[str, Tensor] = _below("ema-statistics")
    """batch statistics that belong to the averaged weights"""
    optimizers: Mapping[str, Tensor] = _below("optimizer")
    """PLAYER/I/KEY: what the optimiser remembers of the player's I-th parameter"""
    generators: Mapping[str, Tensor] = _below("rng")
    """states of the random generators: cpu, cuda, mps, batches"""
    sums: Mapping[str, Tensor] = _below("log")
    """sums for the next log line, where a signal ended training between two lines"""

    def pack(self) -> dict[str, Tensor]:
        """All of it in one mapping, by the names in the file."""
        return {f"{f.metadata['prefix']}/{k}": v for f in fields(self) for k, v in getattr(self, f.name).items()}

    @classmethod
    def unpack(cls, tensors: Mapping[str, Tensor]) -> Contents:
        """The inverse of `pack`; names below no prefix are left out."""
        return cls(**{f.name: part(tensors, f.metadata["prefix"]) for f in fields(cls)})


class Spoilt(UserError):
    """A checkpoint that is not as it was written: the one before may serve."""


def tensors_file(folder: Path, images: int) -> Path:
    return folder / f"{images:09d}.safetensors"


def note_file(folder: Path, images: int) -> Path:
    return folder / f"{images:09d}.json"


def counts(folder: Path) -> list[int]:
    """Image counts of the whole checkpoints, ascending."""
    return sorted(n for n in _numbered(folder, ".safetensors") if note_file(folder, n).is_file())


def _numbered(folder: Path, suffix: str) -> list[int]:
    """Image counts of the files with this ending, other names left aside."""
    stems = [f.stem for f in folder.glob(f"*{suffix}")]
    digits = [s for s in stems if s.isascii() and s.isdigit() and len(s) < 19]
    return [int(s) for s in digits if s == f"{int(s):09d}"]


# ------------------------------------------------------------------------------------------- on disk


def write(folder: Path, images: int, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """First the tensors, then the note that makes them count, each whole or not at all and on the disk."""
    from safetensors.torch import save

    content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    files.write_bytes(tensors_file(folder, images), content)
    own = {
        "format": schema.FORMAT,
        "program": PROGRAM,
        "images": images,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    files.write_json(note_file(folder, images), sealed(own | {k: v for k, v in note.items() if k not in own}))


def sealed(note: Mapping[str, Any]) -> dict[str, Any]:
    """A note with the hash of all else that it says."""
    said = files.plain({k: v for k, v in note.items() if k != "seal"})
    return said | {"seal": hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}


def read_note(folder: Path, images: int) -> dict[str, Any]:
    """The note of a checkpoint; Spoilt where it is none of ours, UserError where a newer version wrote it."""
    path = note_file(folder, images)
    try:
        note = json_types.read(path, schema.NOTE, ("images", "bytes", "asked"))
    except (UserError, OSError) as e:
        raise Spoilt(f"its note is not a checkpoint of triptych: {e}") from e
    number = note.get("format")
    if isinstance(number, int) and note != sealed(note):
        raise Spoilt("its note is not as it was written: the checksum differs")
    if isinstance(number, int) and note.get("program") == PROGRAM:
        if number > schema.FORMAT:
            raise UserError(schema.newer(path, number))
        if "sha256" not in note:
            raise Spoilt("its note has lost the checksum")
    elif number != PROGRAM:  # what version 0.1 wrote in this place
        raise Spoilt("its note is not a checkpoint of triptych")
    if note["images"] != images:
        raise Spoilt(f"its note is that of the checkpoint at {note['images']} images")
    return note


def read(folder: Path, images: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and note of a checkpoint, verified; Spoilt where they are not as they were written."""
    from safetensors import SafetensorError

    note, path = read_note(folder, images), tensors_file(folder, images)
    try:
        if (size := path.stat().st_size) != note["bytes"]:
            raise Spoilt(f"it has {size} bytes, not {note['bytes']}")
        raw = path.read_bytes()
        if "sha256" not in note:
            schema.note(f"{folder} is of version 0.1, without checksums: its checkpoints are taken as they are")
        elif hashlib.sha256(raw).hexdigest() != note["sha256"]:
            raise Spoilt("its bytes are not those that were written: the checksum differs")
        return unpack(raw)[0], note
    except (OSError, SafetensorError, ValueError) as e:
        if isinstance(e, Spoilt):
            raise
        raise Spoilt(f"it cannot be read ({e})") from e


def newest(folder: Path, owner: Path, among: list[int]) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
    """Images, tensors and note of the last of these checkpoints that is sound; each that is not is named.

    UserError where none is.
    """
    reasons: list[tuple[int, str]] = []
    for images in reversed(among):
        try:
            tensors, note = read(folder, images)
        except Spoilt as e:
            reasons.append((images, str(e)))
            continue
        for spoilt, why in reasons:
            schema.note(f"{owner}: the checkpoint at {spoilt} images is damaged ({why}); the one at {images} is taken")
        return images, tensors, note
    images, why = reasons[0]
    raise UserError(
        f"no checkpoint of {owner} is sound: that at {images} images is damaged ({why}); restore one from a copy, "
        "or start again with `triptych train`"
    )


def prune(folder: Path, images: int, best: int | None, *, later: bool, keep: int | Literal["all"]) -> None:
    """Drop what is not needed beside the checkpoint at `images`: old ones, and halves that a kill left.

    Kept are the best, the last `keep` that the recipe's cadence made, and with `later` those beyond `images`.
    """
    whole = counts(folder)
    upto = [n for n in whole if n <= images]
    last = len(upto) if keep == "all" else keep
    kept = {*[n for n in upto if not _passing(folder, n)][-last:], *upto[-1:], best}
    kept |= {n for n in whole if n > images} if later else set()
    for n in {*_numbered(folder, ".safetensors"), *_numbered(folder, ".json")}:
        if n not in kept:
            note_file(folder, n).unlink(missing_ok=True)
            tensors_file(folder, n).unlink(missing_ok=True)


def _passing(folder: Path, images: int) -> bool:
    try:
        return read_note(folder, images).get("passing", False)
    except UserError:
        return False


# ------------------------------------------------------------------------------------------ in memory


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix/`, without it."""
    return {k.removeprefix(f"{prefix}/"): v for k, v in tensors.items() if k.startswith(f"{prefix}/")}


def check_fit(saved: Mapping[str, Tensor], wanted: Mapping[str, Tensor], images: int, what: str) -> None:
    """UserError unless the saved tensors have the names, shapes and types of those wanted."""
    for name in [*wanted, *(k for k in saved if k not in wanted)]:
        problem = ""
        if name not in saved:
            problem = "is missing"
        elif name not in wanted:
            problem = "is not known there"
        elif saved[name].shape != wanted[name].shape:
            problem = f"has the shape {tuple(saved[name].shape)}, not {tuple(wanted[name].shape)}"
        elif saved[name].dtype != wanted[name].dtype:
            problem = f"has the type {saved[name].dtype}, not {wanted[name].dtype}"
        if problem:
            raise UserError(
                f"the checkpoint at {images} images does not fit {what} ({name} {problem}); "
                "restore the run folder from a copy"
            )


def pack_optimizers(
    optimizers: Mapping[str, torch.optim.Optimizer], parameters: Mapping[str, list[nn.Parameter]]
) -> dict[str, Tensor]:
    """What the optimisers remember, by player, place of the parameter and key."""
    packed = {}
    for player, optimizer in optimizers.items():
        for i, w in enumerate(parameters[player]):
            for k, v in optimizer.state.get(w, {}).items():
                packed[f"{player}/{i}/{k}"] = v if isinstance(v, Tensor) else torch.tensor(v)
    return packed


def unpack_optimizers(
    saved: Mapping[str, Tensor],
    optimizers: Mapping[str, torch.optim.Optimizer],
    parameters: Mapping[str, list[nn.Parameter]],
    images: int,
) -> dict[str, dict[Tensor, Any]]:
    """By player and parameter, what each optimiser remembers, on the parameter's device and in its layout.

    UserError unless it is what this optimiser keeps of a parameter of this shape and type: a fused one walks the
    memory of weights and state side by side and looks at neither.
    """
    states: dict[str, dict[Tensor, Any]] = {}
    wanted: dict[str, Tensor] = {}
    for player, optimizer in optimizers.items():
        for i, w in enumerate(parameters[player]):
            if part(saved, f"{player}/{i}"):  # nothing before the first step
                wanted[f"{player}/{i}/step"] = torch.zeros((), dtype=torch.float32)
                wanted |= {f"{player}/{i}/{k}": w for k in MOMENTS[type(optimizer)]}
    check_fit(saved, wanted, images, "the optimiser of recipe.json")
    for player in optimizers:
        states[player] = {
            w: {
                k: torch.empty_like(w).copy_(v) if v.dim() else v.to(w.device)
                for k, v in part(saved, f"{player}/{i}").items()
            }
            for i, w in enumerate(parameters[player])
        }
    return states
