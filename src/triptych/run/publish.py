"""A run as it is given away: weights, recipe, numbers and a card, without checkpoints and the maker's paths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from triptych.core import Model, Sampler, encode, families
from triptych.core.statistics import format_number
from triptych.data import find
from triptych.errors import UserError
from triptych.figures import tiles
from triptych.models.build import build
from triptych.run import data as run_data
from triptych.run import schema
from triptych.run.folder import Run, Which
from triptych.run.given_away import LEFT_OUT, PUBLISHED
from triptych.run.plugins import needed
from triptych.system import files
from triptych.system.shell import shell

KEPT = (
    *("triptych", "python", "torch", "numpy", "device", "processor", "precision", "threads", "seed"),
    *("shape", "classes", "given", "parameters", "quantities", "data", "test"),
)
"""Of env.json; the rest may hold the maker's paths."""
QUALITY = 90
"""Of the samples beside the weights, WebP, in percent: as PNG they are four times as large."""


def write(run: Run, folder: Path, name: str, which: Which = "last", licence: str = "") -> None:
    """Fill an empty folder with what `triptych.load` and a reader of the Hub need; no pickle, no program."""
    from safetensors.torch import save

    check_done(run)
    model = run.load(which, "cpu")
    files.write_bytes(folder / PUBLISHED, save(stored(model.state_dict()), header(model)))
    values, pictures = write_about(run, folder, which)
    files.write_text(folder / "README.md", front_matter(run, licence) + card(run, f"hub:{name}", values, pictures))


def check_done(run: Run) -> None:
    """UserError for a run that is not at its end."""
    if run.status["state"] != "done":
        raise UserError(
            f"{run.path} is {run.status['state']}; `{shell('triptych', 'resume', str(run.path))}` finishes it"
        )


def stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.detach().cpu().contiguous() for k, v in state.items()}


def header(model: Model) -> dict[str, str]:
    """Of the file of weights: which players are not in it."""
    return {"format": "pt"} | ({LEFT_OUT: " ".join(model.missing)} if model.missing else {})


def write_about(run: Run, folder: Path, which: Which) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Everything of a run that is given away but its weights and card; its numbers and pictures, for the card."""
    recipe = run.recipe
    if run_data.is_path(recipe.data.name):  # the maker's own folders are nobody's business
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, name=Path(recipe.data.name).name))
    asked: dict[str, Any] = {"format": schema.FORMAT, "recipe": encode(recipe), "seed": run.seed}
    if plugins := needed(run.recipe):
        asked["plugins"] = plugins
    env = {k: v for k, v in run.env.items() if k in KEPT}
    env["data"] = {k: v for k, v in env["data"].items() if k != "place"}
    env["data"]["name"] = Path(env["data"]["name"]).name
    status = {k: v for k, v in run.status.items() if k in ("state", "images", "budget", "seconds", "alarms")}
    values = schema.read_evaluation(run.path) if (run.path / "eval.json").exists() else {}
    files.write_json(folder / "recipe.json", asked)
    files.write_json(folder / "env.json", env)
    files.write_json(folder / "status.json", status)
    files.write_text(folder / "metrics.jsonl", "".join(files.json_text(line) + "\n" for line in run.lines()))
    if values:
        files.write_json(folder / "eval.json", values)
    (folder / "samples").mkdir()
    return values, copied(run, folder, which)


def copied(run: Run, folder: Path, which: Which) -> list[tuple[str, str]]:
    """Pictures for the card, by file and what they show: samples of the weights that are given away."""
    model = run.load(which, "cpu")
    found = []
    if isinstance(model, Sampler) and len(model.shape) == 3:
        file = folder / "samples" / f"{run.status['images']:09d}.webp"
        with files.writing(file) as f:
            tiles.tile(model.sample(64, seed=0)).save(f, "WEBP", quality=QUALITY, method=6)
        found.append((f"samples/{file.name}", "64 samples of seed 0, not chosen"))
    elif last := sorted((run.path / "samples").glob("*.png"))[-1:]:
        with Image.open(last[0]) as picture, files.writing(folder / "samples" / last[0].name) as f:
            picture.convert("RGB").save(f, "PNG")
        about = "samples of seed 0 over the data"
        if run.typed() is not None:
            about = "columns alone and two by two: samples of seed 0 in orange, held-out rows in grey"
        found.append((f"samples/{last[0].name}", about))
    return found


def family(run: Run) -> str:
    """gan, autoencoder, flow or yardstick, by the players."""
    players = run.env.get("parameters") or build(run.recipe.model, run.shape()).players
    return families.family(players).lower() or "yardstick"


def front_matter(run: Run, licence: str) -> str:
    """What the Hub reads at the top of a card."""
    lines = ["---", "library_name: triptych", "tags:", "- triptych", f"- {family(run)}"]
    lines += ["pipeline_tag: unconditional-image-generation"] if len(run.shape()) == 3 else []
    lines += [f"license: {licence}"] if licence else []
    return "\n".join([*lines, "---", "", ""])


def card(
    run: Run, address: str, values: Mapping[str, Any], pictures: list[tuple[str, str]], said: Sequence[str] = ()
) -> str:
    """The model card in Markdown: what it is, what it makes, its numbers and how they were made, how to run it.

    `address` is what `triptych.load` takes; `said` are further paragraphs on its weights.
    """
    env, recipe, status = run.env, run.recipe, run.status
    data = env["data"]
    objective, network = type(recipe.objective).__name__, type(recipe.model).__name__
    count = sum(env["parameters"].values()) if "parameters" in env else 0
    lines = [
        f"# {address.partition(':')[2]}",
        "",
        f"{recipe.about or recipe.name}. {network} trained by {objective} on {plain(data['name'])}: "
        f"{status['images']:,} images shown, {count:,} parameters, seed {run.seed}.",
        "",
    ]
    for file, about in pictures:
        lines += [f"![{about}]({file})", "", f"*{about}*", ""]
    lines += ["## How to run it", "", "```python", "import triptych", ""]
    lines += [f'model = triptych.load("{address}")', "x = model.sample(64, seed=0)"]
    if run.typed() is not None:
        lines += [f'columns = triptych.Run("{address}").typed()', "rows = columns.write(columns.decode(x))"]
    drawn = len(run.shape()) == 3 or (run.shape() == (2,) and not run_data.is_path(recipe.data.name))
    ending = ".csv" if run.typed() is not None else ".png" if drawn else ".npy"
    lines += ["```", "", "```sh", f"triptych sample {address} -n 64 --out samples{ending}", "```", ""]
    lines += ["## Numbers", ""] + (table(values) if values else ["It was not evaluated.", ""])
    if status["alarms"]:
        lines += ["Raised while training:", "", *(f"- {plain(alarm)}" for alarm in status["alarms"]), ""]
    for text in said:
        lines += [text, ""]
    lines += ["## Data", "", *terms(run), ""]
    lines += ["## Training", "", f"On {env['device']} with torch {env.get('torch', '?')}, {env['precision']}, "]
    lines[-1] += f"{status.get('seconds', 0):,.0f} s. The whole recipe is in `recipe.json`, the log in `metrics.jsonl`."
    return "\n".join(lines) + "\n"


HEAD = ("| metric | value | floor | n | features |", "|---|---:|---:|---:|---|")


def table(values: Mapping[str, Any]) -> list[str]:
    """The numbers that have a direction, each with its 95 % interval where its estimator has a standard error.

    Those on further features come folded, after the others.
    """
    first, more = [], []
    for key, v in sorted(values.items(), key=lambda item: (item[1].get("rank", 50), item[0])):
        if v.get("value") is None or not v.get("better"):
            continue
        title = ", ".join(filter(None, [v.get("title") or key, v.get("variant")]))
        unit = f" ({v['unit']})" if v.get("unit") else ""
        spread = f" ± {format_number(1.96 * v['se'])}" if v.get("se") else ""
        arrow = "↓" if v["better"] == "lower" else "↑"
        floor = "" if v.get("floor") is None else format_number(v["floor"])
        features = plain(v.get("extractor") or "")
        cells = (
            f"{plain(title + unit)} {arrow} | {format_number(v['value'])}{spread} | {floor} | {v['n']:,} | {features}"
        )
        (more if v.get("variant") else first).append(f"| {cells} |")
    text = "The floor is the same metric between two sets of real examples: what no model can be expected to beat. "
    text += "± is a 95 % interval of the estimate, for this one training; other seeds differ by more."
    lines = [*HEAD, *first, "", text, ""]
    if more:
        lines += ["<details><summary>The same on other features</summary>", "", *HEAD, *more, "", "</details>", ""]
    return lines


def data_card(run: Run) -> Mapping[str, Any]:
    """What is known of the data set; nothing of a person's own."""
    return {} if run_data.is_path(run.recipe.data.name) else find(run.recipe.data.name).card


def terms(run: Run) -> list[str]:
    """What it was trained on, and on which terms."""
    data = run.env["data"]
    known = data_card(run)
    lines = [
        f"{plain(known.get('title') or data['name'])}, {data['examples']:,} examples ({data['split']}), fingerprint "
        f"`{data['fingerprint'][:12]}`. Terms: {plain(known.get('licence') or 'the maker of this model knows them')}."
    ]
    if known.get("citation"):
        lines += ["", f"> {plain(known['citation'])}"]
    return lines


def plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    return "".join(f"\\{c}" if c in "|<>[]*`_\\" else c for c in " ".join(str(text).split()))
