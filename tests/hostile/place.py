"""Where a hostile input is put, how a command is tried on it, and what counts as a fault."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trials.client import Trials

SECONDS = 10.0
MEMORY = 1 << 30
WORKS = {"data": 2.0, "evaluate": 2.0, "study": 2.0}
"""Commands that do honest work on what is sound, in processes of their own: they may take so many times as long."""
SLOW_MACHINE = 12.0
"""Wall-clock time may be this much longer than the limit where other work takes the processor."""
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "runs-0.1"
SAID = ("cut", "ends early", "incomplete", "truncated", "skipped", "damaged")
"""Words of which one is said about an input that is taken although something is missing."""
SHADOWED = ("torch", "queue", "numpy", "json", "yaml", "triptych", "PIL", "sitecustomize")


@dataclass(frozen=True)
class Place:
    """Folders of one trial: `here` is the stranger's and where the person stands, `outside` holds what is precious."""

    base: Path

    @property
    def here(self) -> Path:
        return self.base / "here"

    @property
    def outside(self) -> Path:
        return self.base / "outside"

    @property
    def precious(self) -> Path:
        """A file that nothing may change."""
        return self.outside / "precious.txt"

    @property
    def out(self) -> Path:
        """Where the person asks for output."""
        return self.base / "out"

    @classmethod
    def make(cls, base: Path) -> Place:
        place = cls(base)
        for folder in (place.here, place.outside, place.out, base / "home", base / "cache", base / "tmp", base / "log"):
            folder.mkdir(parents=True)
        place.precious.write_text("precious\n")
        (place.outside / "start.py").write_text("# started with the session\n")
        (base / "home" / ".profile").write_text("# the person's\n")
        for name in SHADOWED:  # what a stranger leaves where the person stands
            act = f"import os\nos.close(os.open({str(place.outside / 'acted')!r}, os.O_CREAT | os.O_WRONLY))\n"
            (place.here / f"{name}.py").write_text(act + f"raise ImportError('a stranger\\'s {name}')\n")
        return place

    def run(self, kind: str = "gan", name: str = "run") -> Path:
        """A copy of one of the runs of version 0.1, as it came from a stranger."""
        target = self.here / name
        shutil.copytree(FIXTURES / kind, target)
        for folder in ("samples", "reconstructions"):
            (target / folder / ".keep").unlink(missing_ok=True)
        return target


@dataclass(frozen=True)
class Hostile:
    """One hostile input: `build` makes it in a place and gives the command line that is tried on it."""

    kind: str
    name: str
    build: Callable[[Place], Sequence[str]]
    incomplete: bool = False
    """Something is missing of it, so that it must be refused, or the output say so."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Verdict:
    """How a command bore a hostile input: `faults` is empty where it did."""

    faults: tuple[str, ...]
    status: int
    seconds: float
    grown: int
    error: str


def snapshot(folder: Path) -> dict[str, str]:
    """Every name below a folder with the hash of its content, or where it links to."""
    found = {}
    for path in sorted(folder.rglob("*")):
        key = str(path.relative_to(folder))
        if path.is_symlink():
            found[key] = f"link to {path.readlink()}"
        else:
            found[key] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def attempt(trials: Trials, hostile: Hostile, base: Path) -> Verdict:
    """Make the input below `base`, an absent folder, try the command, and look at what became of the place."""
    place = Place.make(base)
    argv = [os.fspath(a) for a in hostile.build(place)]
    before = {name: snapshot(base / name) for name in ("outside", "home")}
    log, bound = base / "log", SECONDS * WORKS.get(argv[0], 1.0)
    answer = trials.run(
        {
            "argv": argv,
            "cwd": str(place.here),
            "stdout": str(log / "stdout"),
            "stderr": str(log / "stderr"),
            "acts": str(log / "acts"),
            "limit": bound * SLOW_MACHINE,
            "work": bound,
            "idle": SECONDS,
            "env": {
                "HOME": str(base / "home"),
                "TRIPTYCH_CACHE": str(base / "cache"),
                "TMPDIR": str(base / "tmp"),
                "TRIPTYCH_DATA": "",
                "TRIPTYCH_ZOO": str(place.here / "zoo"),
                "COLUMNS": "200",
            },
            "watched": {"here": str(place.here), "may_write": [str(base / n) for n in ("here", "out", "cache", "tmp")]},
        }
    )
    out, err = ((log / name).read_text(errors="surrogateescape") for name in ("stdout", "stderr"))
    acts = (log / "acts").read_text().splitlines()
    faults = [f"act {a}" for a in acts]
    for name, old in before.items():
        new = snapshot(base / name)
        faults += [f"changed {name}/{k}" for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    if answer["late"] or answer["cpu"] > bound:
        faults.append(f"hang: {answer['seconds']:.1f} s, {answer['cpu']:.1f} s of processor time")
    elif answer["status"] not in (0, 2, 3):
        faults.append(f"ended with status {answer['status']}")
    if "Traceback (most recent call last)" in err:
        faults.append("traceback: " + err.strip().splitlines()[-1][:150])
    if answer["status"] in (2, 3) and sum(line.startswith("error: ") for line in err.splitlines()) != 1:
        faults.append(f"not one line of error: {err[-150:]!r}")
    if hostile.incomplete and answer["status"] == 0 and not any(w in (out + err).lower() for w in SAID):
        faults.append("taken for complete, unsaid")
    if answer["grown"] > MEMORY:
        faults.append(f"memory: {answer['grown'] / 1e9:.1f} GB more")
    if "\x1b" in out + err:
        faults.append("escape character on the terminal")
    last = err.strip().splitlines()[-1] if err.strip() else ""
    return Verdict(tuple(faults), answer["status"], answer["seconds"], answer["grown"], last)


def clear(base: Path) -> None:
    """Remove a place, whatever a stranger made of it."""
    shutil.rmtree(base, ignore_errors=True)
