"""EMNIST: handwritten digits and letters in six selections, as idx files of their own names in one zip."""

from __future__ import annotations

import string
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from triptych.data.source import Source
from triptych.data.sources import mnist
from triptych.data.sources.mnist import Idx
from triptych.errors import UserError
from triptych.system.download import Remote, fetch
from triptych.system.files import writing
from triptych.system.locks import exclusive

ARCHIVE = Remote("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip", "md5:58c8d27c78d21e728a6bc7b3cc06412e")
LIMIT = 1 << 30  # bytes of one member; the largest has 190 million
CASES = tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase)
MERGED = tuple(string.digits + string.ascii_uppercase + "abdefghnqrt")
"""Lower-case letters that look like their capitals are counted with them."""


@dataclass(frozen=True)
class Emnist(Idx):
    """One selection, from the files or the zip of one of the collections, or fetched."""

    def fetched(self) -> Path:
        """The folder of the downloaded and unpacked files."""
        home = fetch(self.folder, (ARCHIVE,))
        self.unpack(home / ARCHIVE.file, home)
        return home

    def unpack(self, archive: Path, home: Path) -> None:
        """The four files of this selection out of the zip."""
        with exclusive(home / ".lock"):
            try:
                with zipfile.ZipFile(archive) as z:
                    for info in z.infolist():
                        name = info.filename.rpartition("/")[2]
                        if (
                            name.startswith(self.prefix + "-")
                            and mnist.NAME.fullmatch(name)
                            and info.file_size <= LIMIT
                        ):
                            with writing(home / name, "set TRIPTYCH_CACHE") as f:
                                f.write(z.read(info))
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as e:
                raise UserError(f"{archive} is a damaged zip ({e}); fetch it again") from e
        if not self._files(home):
            raise UserError(f"{archive} holds no {self.prefix} idx files; fetch it again")


def _selection(name: str, classes: tuple[str, ...], size: str, first: int = 0) -> Emnist:
    return Emnist(
        f"EMNIST {name}",
        "emnist",
        classes,
        "none stated; made from NIST Special Database 19",
        "Cohen, Afshar, Tapson, van Schaik: EMNIST: an extension of MNIST to handwritten letters. 2017",
        (ARCHIVE,),
        prefix=f"emnist-{name}",
        turned=True,
        first=first,
        size=size,
    )


EMNIST = {
    "emnist-balanced": _selection("balanced", MERGED, "112,800 + 18,800"),
    "emnist-byclass": _selection("byclass", CASES, "697,932 + 116,323"),
    "emnist-bymerge": _selection("bymerge", MERGED, "697,932 + 116,323"),
    "emnist-digits": _selection("digits", tuple(string.digits), "240,000 + 40,000"),
    "emnist-letters": _selection("letters", tuple(string.ascii_uppercase), "124,800 + 20,800", first=1),
    "emnist-mnist": _selection("mnist", tuple(string.digits), "60,000 + 10,000"),
}
mnist.KNOWN.update(EMNIST)
SOURCES: dict[str, Source] = dict(EMNIST)
