"""The explorer: trained models in one HTML file that runs them in the reader's browser, without server or network.

The file carries each decoder as ONNX, the runtime as WebAssembly, and hand-written scripts; everything is unpacked by
the page itself, and its policy forbids any connection.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from triptych import __version__
from triptych.core import Conditional, Latent, Model
from triptych.errors import UserError
from triptych.explore.embedded import Embedded, Training, embed
from triptych.export.of_run import Precision
from triptych.models import latent_space
from triptych.run.addresses import Place
from triptych.run.folder import Run
from triptych.system import files, pages
from triptych.system.console import printable

MOST = 4
"""Models side by side."""
LIMIT = 200 << 20
"""Bytes of the largest page."""
EARLY = ("unpack", "runtime")
LATE = ("random", "state", "draw", "elements", "conditions", "card", "controls", "latent", "walk", "own", "page")
SCRIPTS = tuple(f"{name}.js" for name in (*EARLY, *LATE))
"""In the order of the page: the early ones stand before the models, which are read while the runtime starts."""
WORKER = ("unpack", "worker")
"""What the worker is made of."""
VENDOR = "vendor"


def write_page(
    runs: Sequence[Place],
    out: str | Path = pages.EXPLORE_NAME,
    *,
    precision: Precision = "fp32",
    embed_training: bool = False,
    data: str | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write the page for up to four runs; returns its path.

    With `embed_training` it also carries some training pictures, to show those nearest to a sample; `data` says where
    they are, if they have moved. What was left out is announced. UserError before anything is exported where a run
    makes nothing that can be shown, or the page would have more than 200 MB.
    """
    out = Path(out)
    check_place(out)
    if not 1 <= len(runs) <= MOST:
        raise UserError(f"{len(runs)} runs were given; a page shows 1 to {MOST} side by side")
    opened = [(found := Run(run), showable(found, found.load(device="cpu"))) for run in runs]
    check_size([model for _, model in opened], precision)
    names = named([run for run, _ in opened])
    models = [
        embed(f"m{i}", run, model, name, precision, Training(embed_training, data), announce)
        for i, ((run, model), name) in enumerate(zip(opened, names, strict=True))
    ]
    order_together([m.about for m in models], [model for _, model in opened])
    data_names = list(dict.fromkeys(m.about["set"] for m in models))
    notes = [f"These models learned different data sets: {', '.join(data_names)}."] if len(data_names) > 1 else []
    notes += [m.terms for m in models if m.terms]
    notes = list(dict.fromkeys(notes))
    for text in notes:
        announce(text)
    page = render(models, notes)
    if len(page) > LIMIT:
        raise too_large(len(page), precision)
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(out, page, "give --out another place")
    return out


# ------------------------------------------------------------------------------------------ what is refused


def check_place(out: Path) -> None:
    """UserError where the page cannot go to `out`, or would take the place of another's file."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out.name} is not a page; give a name that ends in .html")
    if out.exists() and not (out.is_file() and pages.is_page(out, pages.EXPLORER)):
        raise UserError(f"{out} is there and is no explorer; give --out another name")


def showable(run: Run, model: Model) -> Latent:
    """The model of a run as one whose output can be shown; UserError where it has none."""
    if not isinstance(model, Latent):
        raise UserError(f"{run.path} holds {type(model).__name__}, which has no samples to show; choose another run")
    if not model.players:
        kind = type(model).__name__
        raise UserError(f"{run.path} holds {kind}, which was fitted in closed form; choose a run of a network")
    over_a_number = model.shape == (1,) and isinstance(model, Conditional) and model.numbers > 0
    if len(model.shape) != 3 and model.shape != (2,) and not over_a_number:
        raise UserError(f"{run.path} makes {model.shape[0]}-dimensional vectors, which cannot be drawn; use `sample`")
    return model


def check_size(models: Sequence[Model], precision: Precision) -> None:
    """UserError where the weights alone make the page too large. Base64 adds a third."""
    each = 2 if precision == "fp16" else 4
    weights = sum(
        sum(w.numel() for name in m.sampling if name in m.players for w in m.players[name].parameters()) for m in models
    )
    if (size := weights * each * 4 // 3) > LIMIT:
        raise too_large(size, precision)


def too_large(size: int, precision: Precision) -> UserError:
    half = "" if precision == "fp16" else "--precision fp16 halves it, "
    return UserError(
        f"the page would have {size / 2**20:,.0f} MB, and at most {LIMIT >> 20} are opened with pleasure; "
        f"{half}fewer runs do, or train the recipe's -quick variant"
    )


def named(runs: Sequence[Run]) -> list[str]:
    """A name for each: the recipe's, and where two are alike the run's."""
    names = [run.recipe.name or run.name for run in runs]
    names = [run.name if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)]
    return [f"{name} ({i + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def order_together(abouts: list[dict[str, Any]], models: Sequence[Latent]) -> None:
    """Order the latent dimensions, strongest first: together for models of one size, which move by the same z."""
    totals: dict[int, torch.Tensor] = {}
    for model in models:
        base = latent_space.draw(model, 1, 0, latent_space.one_class(model))[0]
        strength = latent_space.influence(model, base, latent_space.codes_of(model))
        share = strength / strength.max().clamp_min(1e-12)
        totals[model.latent] = totals.get(model.latent, torch.zeros(model.latent)) + share
    for about, model in zip(abouts, models, strict=True):
        order = totals[model.latent].argsort(descending=True).tolist()
        about["order"] = list(range(model.latent)) if model.latent <= 2 else order[:16]


# ------------------------------------------------------------------------------------------------ the file


def render(models: Sequence[Embedded], notes: Sequence[str]) -> str:
    """The page as text."""
    static = resources.files("triptych.explore") / "static"
    style, scripts = read(static / "page.css"), [read(static / name) for name in SCRIPTS]
    title = " · ".join(m.about["name"] for m in models)
    texts = [static / VENDOR / name for name in ("LICENSE-onnxruntime.txt", "ThirdPartyNotices-onnxruntime.txt")]
    about = told({"models": [m.about for m in models]})
    made = {name: raw for m in models for name, raw in m.parts.items()}
    last = [m.about["frames"][-1] for m in models]
    first = {frame[part] for frame in last for part in ("codes", "graph") if part in frame}
    parts = [
        f'<script type="application/json" id="about">{about}</script>',
        *(f'<script type="text/plain" id="{name}-source">{read(static / f"{name}.js")}</script>' for name in WORKER),
        part_of("runtime-script", (static / VENDOR / "ort.wasm.bundle.min.mjs").read_bytes()),
        part_of("runtime-wasm", (static / VENDOR / "ort-wasm-simd-threaded.wasm").read_bytes()),
        *(f"<script>{script}</script>" for script in scripts[: len(EARLY)]),
        *(part_of(name, raw) for name, raw in made.items() if name in first),
        *(f"<script>{script}</script>" for script in scripts[len(EARLY) :]),
        *(part_of(name, raw) for name, raw in made.items() if name not in first),
        part_of("notices", "\n\n".join(read(text) for text in texts).encode()),
    ]
    return filled(
        read(static / "page.html"),
        {
            "policy": policy(style, scripts),
            "style": style,
            "title": html.escape(printable(title)),
            "about": "Trained models, run by your own browser. Nothing is fetched and nothing is sent.",
            "notes": "".join(f"<p>{html.escape(printable(note))}</p>" for note in notes),
            "waiting": "Unpacking the models…",
            "sheets": "".join(sheet(m) for m in models),
            "made": html.escape(f"Made by triptych {__version__} on {time.strftime('%Y-%m-%d')}."),
            "parts": "\n".join(parts),
        },
    )


def read(path: Any) -> str:
    return path.read_text("utf-8")


def filled(template: str, values: dict[str, str]) -> str:
    """The template with each `@name@` replaced, in one pass: no value is looked into."""
    pieces = template.split("@")
    return "".join(values[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def policy(style: str, scripts: Sequence[str]) -> str:
    """What the page may do: run these very scripts and what it unpacks itself. No connection of any kind."""
    ours = " ".join(source_hash(script) for script in scripts)
    return "; ".join(
        (
            "default-src 'none'",
            "connect-src 'none'",
            f"script-src {ours} 'wasm-unsafe-eval' blob:",
            "worker-src blob:",
            f"style-src {source_hash(style)}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def source_hash(text: str) -> str:
    """A policy's name for an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def told(value: Any) -> str:
    """JSON that may stand inside a script element, whatever its texts hold."""
    return json.dumps(files.plain(value), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")


def part_of(name: str, raw: bytes) -> str:
    """An element that holds bytes for the page to unpack."""
    return f'<script type="text/plain" id="packed-{name}">{packed(raw)}</script>'


def packed(raw: bytes) -> str:
    """Base64 of gzip: what a page unpacks by itself."""
    return base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode()


def sheet(model: Embedded) -> str:
    """Samples as a picture, for readers without scripts."""
    file = io.BytesIO()
    model.sheet.save(file, "PNG", optimize=True)
    name, source = html.escape(printable(model.about["name"])), base64.b64encode(file.getvalue()).decode()
    size = f'width="{model.sheet.width}" height="{model.sheet.height}"'
    image = f'<img {size} alt="samples of {name}" src="data:image/png;base64,{source}">'
    return f"<figure><figcaption>{name}</figcaption>{image}</figure>"
