"""The worker process of `prepare`: reads, decodes and writes pictures by number.

Run as a program, it makes the packages above it known by their folders alone: what their `__init__` imports, torch
among it, takes seconds and is not needed here.
"""

from __future__ import annotations

import hashlib
import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any, BinaryIO

if __name__ == "__main__":
    for up, name in enumerate(("triptych.data.prepare", "triptych.data", "triptych")):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(Path(__file__).parents[up])]

from PIL import Image

from triptych.data.prepare import decode, zips
from triptych.data.prepare.decode import MAX_BYTES
from triptych.data.prepare.reasons import Unusable, why


def read(item: dict[str, Any], stream: BinaryIO, archives: dict[str, BinaryIO]) -> bytes:
    """The encoded bytes of one item: sent along, part of a file, or a member of a zip."""
    if "sent" in item:
        return stream.read(item["sent"])
    if item["size"] > MAX_BYTES:
        raise Unusable(f"too large: {item['size']:,} bytes")
    if "zip" in item:
        try:
            if item["path"] not in archives:
                archives[item["path"]] = Path(item["path"]).open("rb")  # noqa: SIM115 (for all members)
            data = zips.read(archives[item["path"]], zips.Place(*item["zip"]), MAX_BYTES + 1)
        except NotImplementedError as e:
            raise Unusable(why("compressed by a method that is not read")) from e
        except zips.DAMAGE as e:
            raise Unusable(f"unreadable in the archive: {e}") from e
        if len(data) > MAX_BYTES:  # whatever the archive's table says
            raise Unusable("too large when unpacked")
        return data
    try:
        with open(item["path"], "rb", buffering=0) as f:  # noqa: PTH123 (a Path costs as much as the rest)
            if item["offset"]:
                f.seek(item["offset"])
            return f.read(item["size"])
    except OSError as e:
        raise Unusable(f"cannot be read: {e.strerror}") from e


def one(data: bytes, how: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Decode and shape one picture: its row of the array, and what the index says of it."""
    im, notes = decode.decode(data, how.get("range"))
    source = [im.width, im.height]
    if im.mode == "L" and how["channels"] == 3:
        notes.append("grey made RGB")
    im = decode.shape(im, how)
    if how["row"] != [len(im.getbands()), im.height, im.width]:
        raise Unusable(f"differs in size: {im.width} x {im.height}")
    return decode.planes(im), {"size": source, "notes": notes}


def answer(
    item: dict[str, Any],
    stream: BinaryIO,
    archives: dict[str, BinaryIO],
    how: dict[str, Any],
    out: BinaryIO,
) -> dict[str, Any]:
    """Do one item; its entry in the index. OSError where its row cannot be written."""
    result: dict[str, Any] = {}
    try:
        data = read(item, stream, archives)
        result["sha256"] = hashlib.sha256(data).hexdigest()
        row, found = one(data, how)
    except Unusable as e:
        return result | {"skipped": str(e)}
    except MemoryError:
        return result | {"skipped": "too large for the memory"}
    out.seek(how["header"] + item["row"] * len(row))
    out.write(row)
    return result | found


def serve(stream: BinaryIO, replies: BinaryIO) -> None:
    """Answer chunks until the stream ends. A chunk is a JSON line (and the bytes of items sent along).

    An error of the program itself is a reply, too: it is nobody's picture's fault.
    """
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = decode.MAX_PIXELS // 2  # Pillow refuses what has over twice as many, nested ones too
    how = json.loads(stream.readline())
    archives: dict[str, BinaryIO] = {}
    with Path(how["out"]).open("r+b", buffering=0) as out:
        for line in iter(stream.readline, b""):
            reply: dict[str, Any] = {"results": [], "errno": None, "failed": None}
            try:
                for item in json.loads(line):
                    reply["results"].append(answer(item, stream, archives, how, out))
            except OSError as e:  # the disk is full, or the like
                reply["errno"] = e.errno or 5
            except Exception:
                import traceback

                reply["failed"] = traceback.format_exc()
            replies.write(json.dumps(reply).encode() + b"\n")
            replies.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
