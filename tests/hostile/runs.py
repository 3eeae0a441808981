"""Run folders from a stranger: JSON of wrong types, links, tensors that do not fit, files that are damaged."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from hostile.place import FIXTURES, Hostile, Place

WRONG: dict[str, str] = {
    "null": "null",
    "a number": "7",
    "a negative number": "-1",
    "text": '"x"',
    "a list": "[]",
    "an object": "{}",
    "nested lists": "[[[[1]]]]",
    "a huge number": "1" + "0" * 30,
    "infinity": "Infinity",
    "NaN": "NaN",
    "true": "true",
    "escapes": '"\\u001b[31m<script>alert(1)</script>[bold]"',
    "a name outside": '"../../outside/precious.txt"',
    "deep": "[" * 100_000 + "]" * 100_000,
    "long text": '"' + "x" * 1_000_000 + '"',
}
MARK = "@@WRONG@@"


def commands(place: Place, run: Path) -> dict[str, list[str]]:
    """Ways of opening a run folder."""
    return {
        "report": ["report", str(run), "--out", str(place.out / "report.html")],
        "sample": ["sample", str(run), "-n", "2", "--out", str(place.out / "x.npy")],
        "resume": ["resume", str(run)],
        "evaluate": ["evaluate", str(run), "-n", "64"],
    }


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, the whole first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_of(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], text: str) -> str:
    """JSON of `value` with the place at `path` replaced by `text`, which need not be JSON."""
    whole = json.loads(json.dumps(value))
    if not path:
        return text
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = MARK
    return json.dumps(whole).replace(f'"{MARK}"', text)


def newest(run: Path, suffix: str) -> Path:
    return sorted((run / "checkpoints").glob(f"*{suffix}"))[-1]


def eval_file() -> dict[str, Any]:
    """An eval.json such as `evaluate` writes."""
    entry = {"value": 0.4, "n": 64, "extractor": None, "resize": None, "seed": 0, "dtype": "float64"}
    return {"sliced_wasserstein": entry | {"floor": 0.1, "note": ""}, "modes": entry | {"floor": None, "note": ""}}


FILES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "recipe.json": (lambda run: run / "recipe.json", ("sample", "report", "resume")),
    "env.json": (lambda run: run / "env.json", ("sample", "report", "resume", "evaluate")),
    "status.json": (lambda run: run / "status.json", ("report", "resume")),
    "eval.json": (lambda run: run / "eval.json", ("report",)),
    "metrics.jsonl": (lambda run: run / "metrics.jsonl", ("report", "resume")),
    "checkpoint note": (lambda run: newest(run, ".json"), ("sample", "resume")),
    "best.json": (lambda run: run / "checkpoints" / "best.json", ("resume", "report")),
}


def content(file: str, family: str) -> Any:
    """What the file holds where nothing is wrong; of the log, its last line."""
    run = FIXTURES / family
    if file == "eval.json":
        return eval_file()
    if file == "best.json":
        return {"images": 1664, "metric": "sliced_wasserstein", "value": 0.6}
    text = FILES[file][0](run).read_text()
    return json.loads(text.splitlines()[-1] if file == "metrics.jsonl" else text)


def wrong_json() -> list[Hostile]:
    """Each field of each JSON file of a run, of another type: kinds and commands in turns."""
    found, turn = [], 0
    for family, values_each in (("gan", 4), ("vae", 1), ("flow", 1)):
        for file, (_, openings) in FILES.items():
            for path in paths_of(content(file, family)):
                n = len(WRONG) if not path and family == "gan" else values_each
                for _ in range(n):
                    turn += 1
                    what = list(WRONG)[turn * 4 % len(WRONG)] if n < len(WRONG) else list(WRONG)[turn % len(WRONG)]
                    opening = openings[turn % len(openings)]
                    where = ".".join(map(str, path)) or "the whole"
                    name = f"{family} {file} {where}: {what}, {opening}"
                    found.append(Hostile("JSON of a run", name, _json_trial(family, file, path, what, opening)))
    return found


def _json_trial(
    family: str, file: str, path: tuple[Any, ...], what: str, opening: str
) -> Callable[[Place], Sequence[str]]:
    def build(place: Place) -> Sequence[str]:
        run = place.run(family)
        target = FILES[file][0](run)
        text = replaced(content(file, family), path, WRONG[what])
        if file == "metrics.jsonl":
            text = "\n".join([*target.read_text().splitlines()[:-1], text]) + "\n"
        target.write_text(text)
        return commands(place, run)[opening]

    return build


def links() -> list[Hostile]:
    """Links in the place of each file and folder of a run, of part files and of output, to what is precious outside."""
    spots = [
        "recipe.json", "env.json", "status.json", "metrics.jsonl", "eval.json", "eval-old.json", "samples",
        "checkpoints", "checkpoints/best.json", "checkpoints/000006400.safetensors", "checkpoints/000006400.json",
        ".metrics.jsonl.part", ".status.json.part", ".eval.json.part", ".sampling.part", "interpolation", "sweep",
        "checkpoints/.000006400.json.part", "checkpoints/.000006400.safetensors.part", "checkpoints/.best.json.part",
        "checkpoints/000004800.json", "samples/000006400.png", "samples/000004800.png", "sample-4-seed0.npy",
        "samples/animation.webp", "samples/.000006400.png.part", ".eval", ".status", ".sampling", ".lock",
    ]  # fmt: skip
    found = []
    for spot in spots:
        for opening in ("resume", "evaluate", "sample here", "interpolate"):
            folder = spot in ("samples", "checkpoints", "interpolation", "sweep")
            for dangling in (False, True) if not folder else (False,):

                def build(
                    place: Place,
                    spot: str = spot,
                    opening: str = opening,
                    dangling: bool = dangling,
                    folder: bool = folder,
                ) -> Sequence[str]:
                    run = place.run()
                    target = place.outside if folder else place.outside / "new.py" if dangling else place.precious
                    link = run / spot
                    if folder and link.is_dir():
                        for inner in link.iterdir():
                            (place.outside / inner.name).write_bytes(inner.read_bytes())
                        for inner in list(link.iterdir()):
                            inner.unlink()
                        link.rmdir()
                    elif link.is_file() and not dangling:
                        place.precious.write_bytes(link.read_bytes())
                    link.unlink(missing_ok=True) if not folder else None
                    link.symlink_to(target)
                    ways = commands(place, run) | {
                        "sample here": ["sample", str(run), "-n", "4"],
                        "interpolate": ["interpolate", str(run)],
                    }
                    return ways[opening]

                where = "the folder outside" if folder else "a new name outside" if dangling else "a precious file"
                found.append(Hostile("links in a run", f"{spot} to {where}, {opening}", build))
    return found


def odd_files() -> list[Hostile]:
    """A pipe, a device, a folder in the place of a file of a run, and names that look like checkpoints."""
    found = []
    for spot in ("recipe.json", "env.json", "status.json", "metrics.jsonl", "eval.json", "checkpoints/best.json"):
        for what in ("pipe", "zero", "folder"):
            for opening in ("report", "resume"):

                def build(place: Place, spot: str = spot, what: str = what, opening: str = opening) -> Sequence[str]:
                    run = place.run()
                    (run / spot).unlink(missing_ok=True)
                    if what == "pipe":
                        os.mkfifo(run / spot)
                    elif what == "zero":
                        (run / spot).symlink_to("/dev/zero")
                    else:
                        (run / spot).mkdir()
                    return commands(place, run)[opening]

                found.append(Hostile("pipes and devices in a run", f"{spot} is a {what}, {opening}", build))
    for name in ("²", "١٢٣", "-1", "1e5", "00000000000000000000000000000009", " 5", "NaN", "9" * 200):
        for opening in ("sample", "resume"):

            def build_name(place: Place, name: str = name, opening: str = opening) -> Sequence[str]:
                run = place.run()
                for suffix in (".safetensors", ".json"):
                    (run / "checkpoints" / f"{name}{suffix}").write_bytes(newest(run, suffix).read_bytes())
                return commands(place, run)[opening]

            found.append(Hostile("names of checkpoints", f"{name[:40]!r}, {opening}", build_name))
    for name in ("samples/000003200.png", "samples/pipe.png"):

        def build_picture(place: Place, name: str = name) -> Sequence[str]:
            run = place.run()
            os.mkfifo(run / name)
            return commands(place, run)["report"]

        found.append(Hostile("pipes and devices in a run", f"{name} is a pipe, report", build_picture))
    return found


def tensors() -> list[Hostile]:
    """Tensors of other shapes and types than the model and its optimisers have, or of no numbers."""
    changes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "one number": lambda t: torch.zeros(1, dtype=t.dtype),
        "none": lambda t: torch.zeros(0, dtype=t.dtype),
        "float64": lambda t: t.double(),
        "int8": lambda t: t.to(torch.int8),
        "bfloat16": lambda t: t.bfloat16(),
        "a row more": lambda t: torch.cat([t.reshape(-1), torch.zeros(1, dtype=t.dtype)]),
        "no numbers": lambda t: torch.full_like(t, float("nan")) if t.is_floating_point() else t + 99,
    }
    found = []
    for family in ("gan", "vae", "flow"):
        tensors = load_file(newest(FIXTURES / family, ".safetensors"))
        groups: dict[str, str] = {}
        for key in tensors:
            first = key.split("/")[0]
            last = key.rsplit("/", 1)[-1].rsplit(".", 1)[-1]
            groups.setdefault(f"{first} {last}" if first not in ("model", "ema") else first, key)
        for group, key in groups.items():
            for what, change in changes.items():
                if family != "gan" and what in ("bfloat16", "int8", "none"):
                    continue
                for opening in ("resume", "sample") if group in ("model", "ema") else ("resume",):

                    def build(
                        place: Place, family: str = family, key: str = key, change: Any = change, opening: str = opening
                    ) -> Sequence[str]:
                        run = place.run(family)
                        file = newest(run, ".safetensors")
                        held = load_file(file)
                        held[key] = change(held[key]).contiguous()
                        save_file(held, file)
                        _note_size(file)
                        return commands(place, run)[opening]

                    found.append(Hostile("tensors of a checkpoint", f"{family} {key}: {what}, {opening}", build))
    return found


def _note_size(file: Path) -> None:
    """The stranger's note agrees with the stranger's file."""
    note = file.with_suffix(".json")
    value = json.loads(note.read_text())
    value["bytes"] = file.stat().st_size
    note.write_text(json.dumps(value))


def damaged() -> list[Hostile]:
    """Checkpoints cut, with bits flipped, and with headers that lie."""
    found = []
    rng = random.Random(0)
    raw = newest(FIXTURES / "gan", ".safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    made: dict[str, bytes] = {f"cut at {n}": raw[:n] for n in (0, 1, 7, 8, 9, length, length + 8, len(raw) - 1)}
    for _ in range(16):
        at = rng.randrange(length + 8)
        made[f"header bit {at}"] = raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]
    made["a header of 2^63 bytes"] = (2**63 - 1).to_bytes(8, "little") + raw[8:]
    made["a header of 99 MB"] = (99_000_000).to_bytes(8, "little") + b" " * 1000
    huge = json.dumps({"model/x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    made["a tensor of 4 TB"] = len(huge).to_bytes(8, "little") + huge
    negative = json.dumps({"model/x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}).encode()
    made["a negative shape"] = len(negative).to_bytes(8, "little") + negative + b"\0" * 4
    made["a pickle"] = b"\x80\x04cos\nsystem\n(S'touch acted'\ntR."
    made["a zip"] = b"PK\x03\x04" + b"\0" * 60
    for what, blob in made.items():
        for opening in ("sample", "resume"):

            def build(place: Place, blob: bytes = blob, opening: str = opening) -> Sequence[str]:
                run = place.run()
                file = newest(run, ".safetensors")
                file.write_bytes(blob)
                _note_size(file)
                return commands(place, run)[opening]

            found.append(Hostile("damaged checkpoints", f"{what}, {opening}", build))
    return found
