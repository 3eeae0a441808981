"""Parquet files from a stranger: cuts, flips, lies of the metadata, no pictures."""

from __future__ import annotations

import io
import random

from hostile.archives import png, tried
from hostile.place import Hostile


def sound(n: int = 12, **more: object) -> bytes:
    """A sound table of n pictures with classes."""
    import pyarrow as pa
    from pyarrow import parquet

    held = io.BytesIO()
    table = {"image": [{"bytes": png(i), "path": None} for i in range(n)], "label": [i % 2 for i in range(n)]}
    parquet.write_table(pa.table({**table, **more}), held, row_group_size=5)
    return held.getvalue()


def trial(name: str, raw: bytes, *, incomplete: bool = True) -> Hostile:
    return tried("parquet", name, "x.parquet", lambda file, place: file.write_bytes(raw), incomplete)


def tables() -> list[Hostile]:
    blob, noise = sound(), random.Random(0)
    made = {
        "empty": b"",
        "the mark alone": b"PAR1",
        "two marks": b"PAR1PAR1",
        "a footer of 2 GB": b"PAR1" + bytes(60) + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
        "a footer of noise": b"PAR1" + noise.randbytes(400) + (300).to_bytes(4, "little") + b"PAR1",
        "pages of zeros": blob[:4] + bytes(len(blob) // 3) + blob[4 + len(blob) // 3 :],
        "nested to the depths": sound(1, deep=[_deep(60)]),
    }
    made |= {f"cut after {at} of 10 parts": blob[: len(blob) * at // 10] for at in range(1, 10)}
    found = [trial(name, raw, incomplete=name != "nested to the depths") for name, raw in made.items()]
    for i in range(12):
        flipped = bytearray(blob)
        for _ in range(3):  # in the footer, where the lies are
            at = noise.randrange(len(blob) - 900, len(blob) - 8)
            flipped[at] ^= 1 << noise.randrange(8)
        found.append(trial(f"flipped bits of the footer {i}", bytes(flipped), incomplete=False))
    return found


def _deep(n: int) -> object:
    return {"a": _deep(n - 1)} if n else 1
