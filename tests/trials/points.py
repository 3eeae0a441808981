"""Cut a command off, ask again until it is done, and compare what it leaves with what an uncut one leaves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from trials.client import Trials

VOLATILE = {"seconds", "evaluating", "seal"}
"""What a clock says is never the same twice, nor is a checksum over it."""
WRITTEN = (".html", ".csv", ".txt")
"""Pages, tables and logs tell times as well, and sampling.json nothing else: they are there or not."""
TRIES = 4


@dataclass(frozen=True)
class Subject:
    """A command that is cut off, and how it is asked again."""

    name: str
    make: Callable[[Path], None]
    """Makes what the command reads in an empty folder."""
    begin: Callable[[Path], list[str]]
    again: Callable[[Path], list[str]]


def training(name: str, recipe: str, best: str, *more: str) -> Subject:
    def begin(here: Path) -> list[str]:
        return [
            "train", recipe, "--seed", "3", "--out", str(here / "run"), "--train.images", "192", "--train.batch", "32",
            "--train.log", "64", "--train.evaluate", "64", "--train.checkpoint", "64", "--train.sample", "192",
            "--train.best", best, *more,
        ]  # fmt: skip

    def again(here: Path) -> list[str]:
        return ["resume", str(here / "run")] if (here / "run").exists() else begin(here)

    return Subject(name, lambda _: None, begin, again)


def study() -> Subject:
    def make(here: Path) -> None:
        recipe = "{recipe: gan-8gaussians, model.width: 8, train.images: 128, train.batch: 32, train.checkpoint: 64}"
        (here / "s.yaml").write_text(f"name: tiny\nseeds: 1\nyardsticks: false\nsamples: 64\nrecipes: [{recipe}]\n")

    def begin(here: Path) -> list[str]:
        return ["study", str(here / "s.yaml"), "--jobs", "1", "--out", str(here / "study")]

    return Subject("study", make, begin, begin)


def reading(name: str, kind: str, *argv: str) -> Subject:
    """A command of a finished run, which may leave more beside what is there."""

    def make(here: Path) -> None:
        shutil.copytree(Path(__file__).resolve().parent.parent / "fixtures" / "runs-0.1" / kind, here / "run")

    def begin(here: Path) -> list[str]:
        return [argv[0], str(here / "run"), *argv[1:]]

    return Subject(name, make, begin, begin)


def adding() -> Subject:
    def make(here: Path) -> None:
        shutil.copytree(Path(__file__).resolve().parent.parent / "fixtures" / "runs-0.1" / "gan", here / "run")

    def begin(here: Path) -> list[str]:
        return ["zoo", "add", str(here / "run"), "toy"]

    def again(here: Path) -> list[str]:
        index = here / "zoo" / "index.json"
        return ["zoo", "list"] if index.is_file() and '"toy"' in index.read_text() else begin(here)

    return Subject("zoo", make, begin, again)


def preparation(name: str, *more: str) -> Subject:
    def make(here: Path) -> None:
        (here / "pics").mkdir()
        for i in range(6):
            Image.new("RGB", (12, 10), (i * 40, 9, 200)).save(here / "pics" / f"{i}.png")
        (here / "pics" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
        for path in (here / "pics").iterdir():
            os.utime(path, (1e9, 1e9))  # when a file was changed is part of what a preparation is known by

    def begin(here: Path) -> list[str]:
        return ["data", "prepare", str(here / "pics"), "--resolution", "8", "--holdout", "0.3", *more]

    return Subject(name, make, begin, begin)


SUBJECTS = {
    s.name: s
    for s in (
        training("GAN", "gan-8gaussians", "sliced_wasserstein", "--model.width", "8"),
        training("VAE", "vae-8gaussians", "sliced_wasserstein", "--model.width", "8"),
        training("flow", "realnvp-8gaussians", "sliced_wasserstein", "--model.width", "8", "--model.layers", "2"),
        study(),
        preparation("preparation"),
        preparation("shard", "--shard", "1/2"),
        reading("export", "gan", "export", "--format", "safetensors"),
        reading("evaluate", "gan", "evaluate", "-n", "200"),
        reading("sample", "vae", "sample", "-n", "50"),
        reading("score", "flow", "score", "-n", "100"),
        adding(),
    )
}


class Bench:
    """One subject on one server, always in the same folders: paths are part of what is compared."""

    def __init__(self, trials: Trials, subject: Subject, base: Path) -> None:
        self.trials, self.subject, self.base, self.here = trials, subject, base, base / "here"
        self.seconds = 0.0
        self.fresh()
        answer = self.ask(subject.begin(self.here), kill=0)
        if answer["status"] != 0:
            raise RuntimeError(f"{subject.name} does not end well uncut: {self.said()}")
        self.whole = self.state()
        self.operations = (base / "operations").read_text().splitlines()
        self.fresh()
        self.seconds = self.ask(subject.begin(self.here))["seconds"]
        if unlike := differences(self.whole, self.state()):
            raise RuntimeError(f"{subject.name} differs from run to run: {unlike}")

    def fresh(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)
        for folder in (self.here, self.base / "home", self.base / "cache", self.base / "tmp"):
            folder.mkdir(parents=True)
        self.subject.make(self.here)

    def ask(self, argv: list[str], **more: Any) -> dict[str, Any]:
        places = {"HOME": "home", "TRIPTYCH_CACHE": "cache", "TMPDIR": "tmp", "TRIPTYCH_ZOO": "here/zoo"}
        trial = {
            "argv": argv,
            "cwd": str(self.here),
            "stdout": str(self.base / "stdout"),
            "stderr": str(self.base / "stderr"),
            "env": {k: str(self.base / v) for k, v in places.items()} | {"OMP_NUM_THREADS": "1"},
            "limit": 300,
        }
        if "kill" in more:
            more |= {"under": [str(self.here), str(self.base / "cache")], "operations": str(self.base / "operations")}
        return self.trials.run(trial | more)

    def said(self) -> str:
        text = (self.base / "stderr").read_text(errors="replace").strip()
        return text.splitlines()[-1][:300] if text else ""

    def state(self) -> dict[str, Any]:
        """Every file that the subject left, in its folder and in the cache, without what a clock said."""
        found = {}
        for root in (self.here, self.base / "cache"):
            for path in sorted(root.rglob("*")):
                found[str(path.relative_to(self.base))] = content(path)
        return found

    def cut(self, **how: Any) -> list[str]:
        """What differs after a cut (`kill=K` or `after=SECONDS`) and asking again; [] is as it should be."""
        self.fresh()
        first = self.ask(self.subject.begin(self.here), **how)
        if first["status"] not in (0, -9):
            return [f"the first asking ended with {first['status']}: {self.said()}"]
        for _ in range(TRIES):
            if self.ask(self.subject.again(self.here))["status"] == 0:
                return differences(self.whole, self.state())
        return [f"asking again does not end well: {self.said()}"]

    def every_point(self, points: list[int]) -> Iterator[tuple[int, str, list[str]]]:
        """Number, operation and what differs, of each point."""
        for k in points:
            yield k, self.operations[k - 1], self.cut(kill=k)


def content(path: Path) -> Any:
    """A file as it is compared."""
    if path.is_symlink() or not path.is_file():
        return "folder" if path.is_dir() else "odd"
    if path.suffix in WRITTEN or path.name in ("sampling.json", ".lock"):
        return "there"
    if path.suffix == ".json":
        return timeless(json.loads(path.read_text()))
    if path.suffix == ".jsonl":
        return [timeless(json.loads(line)) for line in path.read_text().splitlines()]
    return hashlib.sha256(path.read_bytes()).hexdigest()


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in VOLATILE}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The files that are not alike, each in a word."""
    found = [f"{name} is missing" for name in old if name not in new]
    found += [f"{name} is left over" for name in new if name not in old]
    return found + [f"{name} differs" for name in old if name in new and old[name] != new[name]]
