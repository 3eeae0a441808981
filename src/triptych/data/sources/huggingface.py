"""`hf:owner/name`: data sets of the Hugging Face Hub, streamed by the optional `datasets` library."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.prepare import decode, prepared, reshaped
from triptych.data.prepare.pipeline import UNREADABLE
from triptych.data.source import Source, digest
from triptych.errors import UserError
from triptych.system.notices import say

PREFIX = "hf:"


@dataclass(frozen=True)
class Hub(Source):
    """The pictures of a Hub data set. The columns are guessed from their types, and printed."""

    sets_aside: ClassVar[bool] = True
    encoded: ClassVar[bool] = True
    repo: str

    @property
    def summary(self) -> str:
        return f"the Hub's {self.repo}"

    @classmethod
    def called(cls, name: str) -> Source | None:
        return cls(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        def make(folder: Path) -> None:
            datasets = self._library()
            parts = self._parts(datasets)
            first = next(iter(parts.values()))
            picture, label = columns(self.repo, first.features)
            say(f"{self.repo}: pictures from {picture!r}, labels from {label!r}")
            shape, numbers, sides, hashes, sizes = list[int](), array("q"), array("B"), array("Q"), array("q")
            skipped, notes = Counter[str](), Counter[str]()
            encoded, decoder = datasets.Image(decode=False), datasets.Image()
            with (folder / "images.npy").open("wb") as f:  # as rows arrive: a set may be larger than memory and disk
                f.write(bytes(prepared.HEADER))
                for split, part in parts.items():
                    for row in self._rows(part.cast_column(picture, encoded)):
                        try:
                            held = row[picture]
                            if held is None:
                                raise decode.Unusable("empty file")
                            shown = decoder.decode_example(held)
                            planes = _planes(shown, how, notes)
                        except decode.Unusable as e:
                            skipped[str(e).partition(":")[0]] += 1
                            continue
                        except decode.DAMAGE:  # what the library's decoder makes of a damaged file
                            skipped["damaged"] += 1
                            continue
                        content = planes.numpy().tobytes()
                        f.write(content)
                        number = row[label] if label else 0
                        numbers.append(-1 if number is None else int(number))
                        sides.append(split == "test")
                        hashes.append(int(digest(content)[:16], 16))
                        shape = list(planes.shape)
                        sizes.extend(shown.size)
                if (bad := skipped.total()) > UNREADABLE * (bad + len(numbers)) or not numbers:
                    total = bad + len(numbers)
                    raise UserError(f"{bad:,} of {total:,} pictures in {name} are unreadable; choose another set")
                f.seek(0)
                f.write(prepared.header(len(numbers), shape))
            notes.update(reshaped.counts(np.array(sizes).reshape(-1, 2), how))
            if label and min(numbers) < 0:
                notes["labels left out, since some are missing"] = sum(n < 0 for n in numbers)
                label = None
            if label:
                np.save(folder / "labels.npy", np.array(numbers, np.int64))
            if "test" in parts:
                np.save(folder / "sides.npy", np.array(sides, np.uint8))
            np.save(folder / "hashes.npy", np.array(hashes, np.uint64).view(np.int64))
            x = torch.from_numpy(np.load(folder / "images.npy", mmap_mode="c"))
            classes = list(first.features[label].names) if label else []
            about = {"name": self.repo, "source": PREFIX + self.repo, "count": len(x), "classes": classes}
            about |= {"licence": first.info.license or "see the set's page", "citation": first.info.citation}
            about |= {"skipped": dict(skipped.most_common()), "notes": dict(notes.most_common())}
            about |= {"columns": [picture, label], "preparation": how.plain(), "fingerprint": digest(x)}
            prepared.write_json(folder / "about.json", about)

        if how.resolution is None:
            raise UserError(f"{name} may have pictures of many sizes; give the size wanted: --resolution 32")
        key = digest(PREFIX, self.repo, how.identity())
        return prepared.Prepared(prepared.build(self.repo.replace("/", "--"), key, make)).load(name, split, how.holdout)

    def _library(self) -> Any:
        try:
            import datasets  # type: ignore[import-not-found]
        except ImportError as e:
            raise UserError(f"{PREFIX}{self.repo} needs the datasets library; pip install 'triptych[hf]'") from e
        return datasets

    def _rows(self, part: Any) -> Iterator[dict[str, Any]]:
        """The rows of a part as they arrive; UserError where they cease to."""
        try:
            yield from part
        except Exception as e:  # of the library, the network, a damaged file of the set
            said = " ".join(str(e).split())[:200]
            raise UserError(f"{PREFIX}{self.repo} cannot be read to its end ({said}); try again") from e

    def _parts(self, datasets: Any) -> dict[str, Any]:
        """The train and test parts, whichever there are, to be read in order while they are fetched."""
        try:
            found = datasets.load_dataset(self.repo, streaming=True)
        except (OSError, ValueError, RuntimeError) as e:
            raise UserError(f"{PREFIX}{self.repo} cannot be loaded ({' '.join(str(e).split())}); check the name") from e
        parts = {s: found[s] for s in ("train", "test") if s in found}
        if not parts:
            raise UserError(
                f"{PREFIX}{self.repo} has the splits {', '.join(found)}, but no train or test; choose another"
            )
        return parts


def columns(repo: str, features: Any) -> tuple[str, str | None]:
    """Names of the picture column and of the label column (or None), by their types."""
    if features is None:
        raise UserError(f"{PREFIX}{repo} does not say what its columns are; fetch its files, and give their folder")
    kinds = {name: type(kind).__name__ for name, kind in features.items()}
    pictures = [name for name, kind in kinds.items() if kind == "Image"]
    if len(pictures) != 1:
        said = ", ".join(f"{n} ({k})" for n, k in kinds.items())
        raise UserError(f"{PREFIX}{repo} has {len(pictures)} picture columns among {said}; one is needed")
    return pictures[0], next((name for name, kind in kinds.items() if kind == "ClassLabel"), None)


def _planes(picture: Any, how: Preparation, notes: Counter[str]) -> torch.Tensor:
    """A Pillow picture prepared as one from a file is, uint8 (c, h, w); what that took is counted in the notes."""
    took: list[str] = []
    im = decode.eight_bits(picture, took, how.range)
    options = how.plain() | {"channels": how.channels or 3}
    if im.mode == "L" and options["channels"] == 3:
        took.append("grey made RGB")
    im = decode.shape(im, options)
    notes.update(took)
    return torch.frombuffer(bytearray(decode.planes(im)), dtype=torch.uint8).view(
        options["channels"], im.height, im.width
    )
