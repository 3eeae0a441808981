"""A study without its weights: what `triptych report` makes its page of, small enough to be kept beside the program."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from triptych.data.terms import free
from triptych.errors import UserError
from triptych.figures import tiles
from triptych.figures.canvas import open_picture, pictures_in
from triptych.models.latent_space import public
from triptych.run import data as run_data
from triptych.run import schema
from triptych.run.folder import Run
from triptych.system import files

LIMIT = 3_000_000
"""Bytes of a whole study."""
JSON = ("recipe.json", "env.json", "status.json", "eval.json", "sampling.json", "curve.json")
MADE = ("samples", "interpolation", "sweep", "flow")
"""Folders of pictures that a model made."""
SHOWING = ("reconstructions", "neighbours")
"""Folders of pictures that show real examples: kept of sets alone whose terms allow it."""
LINES = 40
"""Of a log, evenly spread, beside those with evaluations."""


@dataclass(frozen=True)
class Thrift:
    """How pictures are kept."""

    moments: int
    """of the samples of a recipe's first seed"""
    others: bool
    """whether there are samples of the other seeds"""
    side: int
    """pixels of the longer side, at most"""
    quality: int
    """of a WebP, in percent"""


STEPS = (
    Thrift(6, True, 2_000, 90),
    Thrift(6, True, 1_000, 80),
    Thrift(4, True, 640, 75),
    Thrift(3, False, 560, 75),
    Thrift(2, False, 480, 70),
    Thrift(1, False, 420, 70),
)
"""The first that keeps the limit is taken."""


def strip(study: Path, out: Path, limit: int = LIMIT, note: str = "") -> tuple[Thrift, int]:
    """Write the study's folder without weights to the new folder `out`; how thrifty that was, and the bytes.

    A `note`, such as how the times were taken, is kept in its study.json and shown in the gallery.

    UserError where it cannot be made as small as `limit`.
    """
    told = files.read_object(study / "study.json") if (study / "study.json").is_file() else {}
    if not isinstance(runs := told.get("runs"), list):
        raise UserError(f"{study} holds no study; give a folder made by `triptych study`")
    if out.exists():
        raise UserError(f"{out} exists already; remove it, or give another place")
    told |= {"note": note} if note else {}
    done = [row for row in runs if row["state"] == "done" and (study / Path(row["run"]).name).is_dir()]
    first = {row["recipe"]: row["seed"] for row in sorted(done, key=lambda row: -row["seed"])}
    size = 0
    for thrift in STEPS:
        with files.making_folder(out) as part:
            files.write_text(part / "study.json", files.json_text({**told, "runs": done}) + "\n")
            for row in done:
                name = Path(row["run"]).name
                one(study / name, part / name, thrift, leading=row["seed"] == first[row["recipe"]])
            size = sum(p.stat().st_size for p in part.rglob("*") if p.is_file())
        if size <= limit:
            return thrift, size
        shutil.rmtree(out)
    raise UserError(f"{study} takes {size:,} bytes without weights, more than {limit:,}; give fewer seeds or recipes")


def one(run: Path, out: Path, thrift: Thrift, *, leading: bool) -> None:
    """One run's folder, of which the pictures and the log are thinned out."""
    out.mkdir()
    for name in JSON:
        if (run / name).is_file():
            files.write_text(out / name, json.dumps(plain(name, files.read_object(run / name))) + "\n")
    lines = schema.read_log(run)[0]
    kept = [line for i, line in enumerate(lines) if i in set(spread(len(lines), LINES)) or "evaluating" in line]
    files.write_text(out / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))
    recipe = schema.read_asked(run)["recipe"]
    showing = free(recipe["data"]["name"])
    if recipe["objective"]["type"] == "ClosedForm" and not showing:
        return  # a memoriser's samples are real examples
    for folder in (*MADE, *(SHOWING if showing else ())):
        found = pictures_in(run / folder)
        if not leading and folder != "samples":
            continue
        most = 1 if folder == "reconstructions" else thrift.moments
        picked = spread(len(found), most) if leading else [len(found) - 1] if found and thrift.others else []
        if picked:
            (out / folder).mkdir()
        for file in (found[i] for i in picked):
            ending, packed = smaller(file, thrift)
            files.write_bytes(out / folder / f"{file.stem}{ending}", packed)


def plain(name: str, told: dict[str, Any]) -> dict[str, Any]:
    """A file's object without the maker's paths."""
    if name == "env.json" and isinstance(data := told.get("data"), dict):
        told = told | {"data": {k: v for k, v in data.items() if k != "place"}}
    return files.plain(told)


def spread(n: int, most: int) -> Sequence[int]:
    """At most `most` of n places, evenly spread, the last among them and, of several, the first."""
    if n <= most:
        return range(n)
    return [n - 1] if most == 1 else [round(i * (n - 1) / (most - 1)) for i in range(most)]


def smaller(file: Path, thrift: Thrift) -> tuple[str, bytes]:
    """The ending and the bytes of a picture within the side, as WebP; as it was where that is no smaller."""
    raw = files.read_bytes(file)
    picture = open_picture(file).convert("RGB")
    picture.thumbnail((thrift.side, thrift.side), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=thrift.quality, method=6)
    return (file.suffix, raw) if len(raw) <= packed.tell() else (".webp", packed.getvalue())


def fill(study: Path) -> list[Path]:
    """Draw the real examples that a stripped study was left without, for a page on this machine; the files.

    UserError where the data are not here.
    """
    drawn, sets = [], dict[tuple[str, str], bytes]()
    for folder in sorted(p.parent for p in study.glob("*/recipe.json")):
        run = Run(folder)
        if len(run.shape()) != 3:
            continue
        mark = (run.recipe.data.name, str(run.env["data"].get("fingerprint")))
        if mark not in sets:
            held_out = run_data.own(run).held_out()
            sheet = io.BytesIO()
            tiles.tile(public(held_out, range(min(64, len(held_out))))).save(sheet, "PNG")
            sets[mark] = sheet.getvalue()
        (folder / "real").mkdir(exist_ok=True)
        files.write_bytes(folder / "real" / f"{0:09d}.png", sets[mark])
        drawn.append(folder / "real" / f"{0:09d}.png")
    if not drawn:
        raise UserError(f"{study} holds no run on pictures, so that no real ones are missing")
    return drawn
