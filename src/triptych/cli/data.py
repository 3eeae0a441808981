"""`triptych data list`, `info`, `prepare` and `merge`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from rich.text import Text
from tyro.conf import OmitArgPrefixes, Positional, arg

from triptych.cli.arguments import parse
from triptych.cli.options import print_help
from triptych.core.preparation import Preparation
from triptych.errors import UserError
from triptych.study.slurm import ON, Slurm
from triptych.system.console import console, printable

if TYPE_CHECKING:
    from triptych.core import Data

PLAIN = Preparation()
MOST_SHARDS = 10_000
SHEETS = (".png", ".jpg", ".jpeg", ".webp")
Name = Annotated[Positional[str], arg(metavar="NAME_OR_PATH", help="a name, a folder, a zip or tar, an array file")]


def list_sets() -> None:
    """Every named data set, a line each: what it is, whether it is here, its terms."""
    from triptych.data import all_sources

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, source in sorted(all_sources().items()):
        table.add_row(name, source.summary, source.state(), str(source.card.get("licence", "")))
    out = console()
    out.print(table)
    out.print(
        "\nBeside these: any folder, zip or tar of pictures; .npy .npz .parquet .csv .tsv .txt files; hf:OWNER/NAME."
    )


def prepare(
    data: Name,
    preparation: OmitArgPrefixes[Preparation] = PLAIN,
    export: Annotated[Path | None, arg(help="also write the prepared pictures as PNG files to this new folder")] = None,
    shard: Annotated[
        str | None,
        arg(metavar="I/N", help="only the I-th of N parts, for several processes or machines with one cache"),
    ] = None,
    on: Annotated[str, arg(metavar=ON, help="where it is prepared: elsewhere in shards, put together here")] = "local",
    shards: Annotated[
        int | None,
        arg(metavar="N", help="prepare in N shards, each a job; default elsewhere: as many as run at a time"),
    ] = None,
    slurm: Slurm = Slurm(),  # noqa: B008 - a frozen value
) -> None:
    """Read any collection of pictures once, into an array that training maps into memory.

    Says what became of every file; the cache's index.jsonl names them all.
    """
    if shard is not None:
        if on != "local" or shards is not None:
            raise UserError("--shard prepares one part, here; leave it out where --on or --shards ask for all")
        if export is not None:
            raise UserError("--export writes the whole set; leave it to `triptych data merge`")
        one_shard(data, preparation, shard)
        return
    if export is not None:
        from triptych.data.export import refuse

        refuse(export)
    if on != "local" or shards is not None:
        all_shards(data, preparation, on, shards, slurm)
        merge(data, preparation, export)
        return
    show(data, preparation, export)


def show(data: str, preparation: Preparation, export: Path | None) -> None:
    """Prepare what is not prepared yet, and say what there is."""
    parts = splits(data, preparation)
    out = console()

    def say(text: str) -> None:
        out.print(Text(printable(text)))

    for split, part in parts.items():
        say(f"{part.name}, {split}: {len(part):,} examples of {' x '.join(map(str, part.shape))}")
    about = next(iter(parts.values())).about
    for text in about.get("taken", ()):
        out.print(f"  {text}", markup=False)
    for kind in ("skipped", "notes"):
        for why, n in about.get(kind, {}).items():
            say(f"  {n:,} {'skipped: ' if kind == 'skipped' else ''}{why}")
    if "folder" in about:
        say(f"  in {about['folder']}")
    if export is not None:
        from triptych.data.export import export as write

        say(f"  {write(parts, export):,} pictures written to {export}")


def one_shard(data: str, preparation: Preparation, text: str) -> None:
    """`data prepare --shard`: what it made, or that there is nothing to be made in parts."""
    from triptych.data import sharded
    from triptych.data.prepare.shards import Shard

    console().print(Text(printable(sharded.make(data, preparation, Shard.read(text)))))


def all_shards(data: str, preparation: Preparation, on: str, number: int | None, slurm: Slurm) -> None:
    """`data prepare --on` and `--shards`: every shard, by an executor."""
    from triptych.data import find
    from triptych.study.in_shards import make_shards, work_folder
    from triptych.study.places import executor
    from triptych.study.runner import terminated

    if not find(data).encoded:  # said before a cluster is asked
        raise UserError(f"{data} is no collection of encoded pictures; leave --on and --shards out")
    if number is not None and not 1 <= number <= MOST_SHARDS:
        raise UserError(f"--shards is {number}; give 1 to {MOST_SHARDS:,}")
    told = "shards that are done are kept; the same command goes on with the rest"
    with terminated(told), executor(on, slurm, None, "cpu", work_folder(data, preparation)) as place:
        make_shards(data, preparation, number, place)


def merge(
    data: Name,
    preparation: OmitArgPrefixes[Preparation] = PLAIN,
    export: Annotated[Path | None, arg(help="also write the prepared pictures as PNG files to this new folder")] = None,
) -> None:
    """Put a collection together from the shards that `data prepare --shard` made: the same set as without them."""
    from triptych.data.prepare import shards

    with shards.merging():
        show(data, preparation, export)


def info(
    data: Name,
    preparation: OmitArgPrefixes[Preparation] = PLAIN,
    sheet: Annotated[Path | None, arg(help="PNG to write some examples to; default: in the cache")] = None,
    *,
    duplicates: Annotated[bool, arg(help="look for near-duplicates (a minute for 60,000 images)")] = True,
) -> None:
    """Terms, counts, classes, sizes, moments, a contact sheet, and near-duplicates within and across the splits."""
    from triptych.data import statistics
    from triptych.data.prepare.prepared import Prepared
    from triptych.errors import UserError
    from triptych.system.cache import ADVICE, plain, root
    from triptych.system.refusals import system_errors

    if sheet is not None and sheet.suffix.lower() not in SHEETS:
        raise UserError(f"{sheet} has no picture's suffix; give --sheet NAME.png")
    if sheet is not None and Path(data).is_dir() and sheet.resolve().is_relative_to(Path(data).resolve()):
        raise UserError(f"{sheet} lies in the collection, and would be one of its pictures; write to another place")
    parts = splits(data, preparation)
    first = next(iter(parts.values()))
    if "folder" in first.about:
        Prepared(Path(first.about["folder"])).check(first.about, whole=True)
    rows: list[tuple[str, str]] = [
        (k, str(first.about[k])) for k in ("title", "summary", "source") if first.about.get(k)
    ]
    rows += [(k, str(first.about[k])) for k in ("licence", "citation") if first.about.get(k)]
    rows.append(("examples", ", ".join(f"{len(d):,} {s}" for s, d in parts.items())))
    rows.append(("shape", " x ".join(map(str, first.shape)) + (" uint8" if first.is_images else " float32")))
    rows += classes(first) + original_sizes(first.about)
    if first.typed is not None:
        rows += [("columns" if i == 0 else "", c.said) for i, c in enumerate(first.typed.all)]
    if first.shape[0] <= 8 and first.typed is None:
        mean, std = statistics.moments(first.x)
        rows.append(("mean", "  ".join(f"{v:.4f}" for v in mean)))
        rows.append(("std", "  ".join(f"{v:.4f}" for v in std)))
    if first.factors:
        names = list(first.factors)
        rows.append(("factors", ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")))
    if first.distribution is not None and first.distribution.modes is not None:
        rows.append(("modes", f"{len(first.modes)}, standard deviation {first.std:.5f}"))
    rows += [("taken" if i == 0 else "", text) for i, text in enumerate(first.about.get("taken", ()))]
    for kind in ("skipped", "notes"):
        if first.about.get(kind):
            rows.append((kind, ", ".join(f"{n:,} {why}" for why, n in first.about[kind].items())))
    rows.append(("fingerprint", first.fingerprint[:20]))
    if first.is_images and duplicates:
        rows += duplicate_rows(parts)
    path = sheet or root() / "sheets" / f"{plain(first.name)}.png"
    if first.is_images or (first.shape == (2,) and first.typed is None):
        with system_errors(path, "give another place with --sheet" if sheet else ADVICE):
            rows.append(("contact sheet", str(contact_sheet(first, path))))
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in rows:
        table.add_row(key, Text(printable(value)))
    console().print(table)


def splits(name: str, preparation: Preparation) -> dict[str, Data]:
    """Train and test where the source has both or a share is held out, else all of it as train."""
    from triptych.data import load
    from triptych.errors import NoSplit

    options = vars(preparation)
    train = load(name, "train", **options)
    try:
        return {"train": train, "test": load(name, "test", **options)}
    except NoSplit:
        return {"train": train}


def classes(data: Data) -> list[tuple[str, str]]:
    """Number of classes, the first names, and how even they are."""
    if data.labels is None or not data.classes:
        return []
    counts = data.labels.bincount(minlength=len(data.classes))
    names = ", ".join(data.classes[:10]) + (", ..." if len(data.classes) > 10 else "")
    return [("classes", f"{len(data.classes)} ({names}), {int(counts.min()):,} to {int(counts.max()):,} each")]


def original_sizes(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The source's own sizes: smallest, median, largest."""
    if not (sizes := about.get("sizes")):
        return []
    texts = [f"{side} {a} to {c}, median {b}" for side in ("width", "height") for a, b, c in [sizes[side]]]
    return [("sizes", "; ".join(texts) + f"; {sizes['different']:,} different")]


def duplicate_rows(parts: Mapping[str, Data]) -> list[tuple[str, str]]:
    """Near-duplicates in words, the nearest few by number."""
    import torch

    from triptych.data.statistics import near_duplicates

    x = torch.cat([d.x for d in parts.values()])
    side = torch.cat([torch.full((len(d),), i) for i, d in enumerate(parts.values())])
    found = near_duplicates(x, side)
    text = f"{found.within:,} pairs within a split, {found.across:,} across train and test"
    if found.compared < len(x):
        text += f" (among {found.compared:,} examples drawn at random)"
    starts = dict(zip(range(len(parts)), [0, *[len(d) for d in parts.values()]], strict=False))
    names = list(parts)

    def place(i: int) -> str:
        s = int(side[i])
        return f"{names[s]} {i - starts[s]}"

    nearest = "; ".join(f"{place(i)} = {place(j)}" for i, j, _ in found.pairs[:5])
    return [("near-duplicates", text)] + ([("", f"nearest: {nearest}")] if nearest else [])


COMMANDS = {"list": list_sets, "info": info, "prepare": prepare, "merge": merge}


def data(argv: Sequence[str]) -> None:
    """List, describe and prepare data sets: `triptych data list|info|prepare|merge`."""
    known = COMMANDS
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<8} {(f.__doc__ or ' ').splitlines()[0]}" for name, f in known.items()]
        print_help("data COMMAND ...", "\n".join(lines))
        return
    if argv[0] not in known:
        raise UserError(f"{argv[0]!r} is not a data command; there are {', '.join(known)}")
    parse(known[argv[0]], f"data {argv[0]}", argv[1:])


def contact_sheet(data: Data, path: Path, n: int = 64) -> Path:
    """n examples, evenly spread over the set, in one PNG (points: a plot)."""
    import torch

    from triptych.figures import planes, tiles

    if not data.is_images:
        return planes.plane(data.x[:5000, :2], data, path)
    rows = torch.linspace(0, len(data) - 1, min(n, len(data))).round().long()
    return tiles.grid(data.x[rows].float() / 255, path)
