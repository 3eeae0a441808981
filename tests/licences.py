"""`python tests/licences.py FILE.csv`: packages of this environment, versions and licences, as they declare them."""

from __future__ import annotations

import csv
import sys
from importlib import metadata
from pathlib import Path


def licence(package: metadata.Distribution) -> str:
    """The licence expression, else the classifiers, else the first line of the text."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return expression
    classes = [c.rpartition(" :: ")[2] for c in told.get_all("Classifier") or [] if c.startswith("License")]
    return ", ".join(classes) or (told.get("License") or "not declared").strip().splitlines()[0][:80]


def main(file: str) -> None:
    found = {p.metadata["Name"]: (p.version, licence(p)) for p in metadata.distributions()}
    with Path(file).open("w", newline="", encoding="utf-8") as f:
        rows = csv.writer(f)
        rows.writerow(["package", "version", "licence"])
        rows.writerows([name, *found[name]] for name in sorted(found, key=str.lower))


if __name__ == "__main__":
    main(sys.argv[1])
