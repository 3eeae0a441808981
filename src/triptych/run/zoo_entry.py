"""A run as an entry of a zoo: the players that sample, in half precision where that changes no picture."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.core import Model, ModelSpec, Sampler
from triptych.data.terms import free, terms
from triptych.errors import UserError, nearest
from triptych.models.build import build
from triptych.run import publish, schema, zoo
from triptych.run.folder import Run, Which
from triptych.run.given_away import PUBLISHED
from triptych.run.shown import importance
from triptych.system import files
from triptych.system.locks import exclusive

SAMPLES = 64
CLOSE, SHARE = 1 / 255, 0.999
"""How near samples of the stored weights are to those of the run's own, and which share of their values has to be."""
MIT = "MIT, as the program"
RESEARCH = "non-commercial research"
MOST = 3
"""Numbers of an entry that the list shows."""


def add(run: str | Path, name: str, which: Which = "last", remark: str = "") -> tuple[Path, str]:
    """Write a finished run as the entry `name` of the zoo here; its folder, and how its weights are stored.

    A `remark` goes into its card and the list.

    UserError for a name that is taken or none, a run that cannot sample, and a zoo that is an address.
    """
    from safetensors.torch import save

    if not zoo.NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for an entry; use small letters, digits, and - . _ between them")
    home = place()
    entries = dict(zoo.read_index(home / zoo.INDEX)) if (home / zoo.INDEX).is_file() else {}
    if (home / name).exists() and (name in entries or not unfinished(home / name)):
        way = f"`triptych zoo remove {name}` takes it out" if name in entries else "remove it"
        raise UserError(f"{home / name} exists already; {way}, or take another name")
    found = Run(run)
    publish.check_done(found)
    model = found.load(which, "cpu")
    if not isinstance(model, Sampler):
        raise UserError(f"{found.path} holds {type(model).__name__}, which makes no samples; give another run")
    if not next(model.parameters(), torch.zeros(0)).numel():
        raise UserError(f"{found.path} holds {type(model).__name__}, which was fitted in closed form; give a network")
    if model.adversary in model.players:
        model.leave_out(model.adversary, "")
    tensors, how = smallest(found.recipe.model, model)
    home.mkdir(parents=True, exist_ok=True)
    with exclusive(home / ".lock"):
        entries = dict(zoo.read_index(home / zoo.INDEX)) if (home / zoo.INDEX).is_file() else {}
        if (home / name).exists():
            shutil.rmtree(home / name)
        with files.making_folder(home / name) as part:
            files.write_bytes(part / PUBLISHED, save(tensors, publish.header(model)))
            values, pictures = publish.write_about(found, part, which)
            said = [publish.plain(remark)] if remark else []
            said += ["## Weights", f"The {' and '.join(model.players)}, {how}.", licence_words(found)]
            files.write_text(part / "card.md", publish.card(found, f"{zoo.PREFIX}{name}", values, pictures, said))
        entries[name] = summary(found, values, home / name) | ({"remark": remark} if remark else {})
        told = {"format": zoo.FORMAT, "entries": dict(sorted(entries.items()))}
        try:
            files.write_json(home / zoo.INDEX, told)
        except BaseException:
            shutil.rmtree(home / name)
            raise
    return home / name, how


def remove(name: str) -> Path:
    """Take an entry out of the zoo here, its files too; the folder that it was.

    UserError for a name that is no entry's, a folder with other files in it, and a zoo that is an address.
    """
    home = place()
    if not (home / zoo.INDEX).is_file():
        raise UserError(f"there is no zoo in {home}, and so no entry {name!r}; set TRIPTYCH_ZOO to the zoo's folder")
    with exclusive(home / ".lock"):
        entries = dict(zoo.read_index(home / zoo.INDEX))
        if name not in entries:
            raise UserError(f"{home} has no entry {name!r}; {nearest(name, entries, '`triptych zoo` lists them')}")
        if (home / name).exists() and not unfinished(home / name):
            raise UserError(f"{home / name} holds files that are no part of the entry; move them elsewhere first")
        del entries[name]
        files.write_json(home / zoo.INDEX, {"format": zoo.FORMAT, "entries": entries})
        if (home / name).exists():
            shutil.rmtree(home / name)
    return home / name


def unfinished(folder: Path) -> bool:
    """Whether a folder holds files of an entry alone: what a kill left before the index named it."""
    found = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()]
    return not folder.is_symlink() and all(name == files.LOCK or zoo.FILE.fullmatch(name) for name in found)


def place() -> Path:
    """The folder to write entries to."""
    home = zoo.home()
    if isinstance(home, str):
        raise UserError(f"the zoo is {home}, which nobody writes to from here; set TRIPTYCH_ZOO to a folder")
    if home == zoo.cache():
        home = zoo.own_places()[0]
        if home == Path("zoo"):
            raise UserError("there is no zoo here to add to; set TRIPTYCH_ZOO to a folder, which may be a new one")
    return home


def smallest(spec: ModelSpec, model: Sampler) -> tuple[dict[str, Tensor], str]:
    """What to store of a model's weights, and that in words: as few bytes as leave its samples what they are."""
    own = publish.stored(model.state_dict())
    again = build(spec, model.shape)  # computes in float32, where `model` may not: stored weights are all that differs
    for player in model.missing:
        again.leave_out(player, "")
    again.eval()
    again.load_state_dict({k: v.to(model.state_dict()[k].dtype) for k, v in own.items()})
    x = again.sample(SAMPLES, seed=0)

    def share_of(state: Mapping[str, Tensor]) -> float:
        again.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})
        return alike(x, again)

    layers: dict[str, list[str]] = {}
    for name in own:
        layers.setdefault(".".join(name.split(".")[:2]), []).append(name)
    state, whole = {k: halved(v) for k, v in own.items()}, []
    share = share_of(state)
    if share < SHARE:  # by layers, the largest first: what draws codes may not be rounded, what decodes them may
        state, share = dict(own), 1.0
        for layer in sorted(layers, key=lambda layer: -sum(own[k].nbytes for k in layers[layer])):
            smaller = state | {k: halved(own[k]) for k in layers[layer]}
            if (found := share_of(smaller)) >= SHARE:
                state, share = smaller, found
            else:
                whole.append(layer)
    if all(v.dtype != torch.float16 for v in state.values()):
        return own, "in single precision, since samples of halved ones differ"
    how = "in half precision" + (f", {', '.join(sorted(whole))} in single" if whole else "")
    return state, f"{how}: {100 * share:.2f} % of the values of {SAMPLES} samples are the same within 1/255"


def halved(v: Tensor) -> Tensor:
    """In half precision, unless a value of it is out of its range."""
    half = v.half() if v.dtype == torch.float32 else v
    return half if bool(torch.isfinite(half).all()) else v


def alike(x: Tensor, model: Model) -> float:
    """Share of the values of samples x that `model` makes the same within 1/255, of vectors' range in each column."""
    other = model.sample(len(x), seed=0)
    span = torch.ones(()) if x.dim() == 4 else x.amax(0) - x.amin(0)
    return ((other - x).abs() <= CLOSE * span).float().mean().item()


def licence_of(run: Run) -> str:
    return MIT if free(run.recipe.data.name) else RESEARCH


def licence_words(run: Run) -> str:
    """On what terms the weights may be used."""
    if free(run.recipe.data.name):
        return "They may be used as the program may, under the MIT licence."
    return (
        f"For {RESEARCH} alone, and not under the MIT licence of the program: the data have terms "
        f"({publish.plain(terms(run.recipe.data.name))})."
    )


def summary(run: Run, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the index says of an entry, its files with their checksums among it."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    rated = [v for v in values.values() if v.get("better") and v.get("value") is not None]
    shown = sorted(rated, key=importance)[:MOST]
    kept = ("title", "variant", "value", "se", "floor", "better", "unit")
    return {
        "format": schema.FORMAT,
        "about": run.recipe.about or run.recipe.name,
        "data": Path(run.env["data"]["name"]).name,
        "family": publish.family(run),
        "images": run.status["images"],
        "seconds": run.status.get("seconds", 0.0),
        "processor": run.env.get("processor", run.env["device"]),
        "threads": run.env["threads"],
        "numbers": [{"title": ""} | {k: v[k] for k in kept if v.get(k) is not None} for v in shown],
        "licence": licence_of(run),
        "terms": terms(run.recipe.data.name),
        "files": {p.relative_to(folder).as_posix(): facts(p) for p in found},
    }


def facts(path: Path) -> dict[str, Any]:
    raw = files.read_bytes(path)
    return {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
