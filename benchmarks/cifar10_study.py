"""The CIFAR-10 autoencoder study: validation reconstruction at epoch 19 of every run, three seeds for the VAE.

Runs are ordinary run folders under --runs; those that exist are resumed, so the script can be stopped at any time.
With --record nothing is trained, and what the folders hold so far is recorded, unfinished runs with their epoch.
--figure draws the write-up's curves from the records.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import RESULTS, record, spread

from triptych.recipes import get
from triptych.run import Run
from triptych.system.files import read_json
from triptych.trainer import fit, resume

EPOCH = 50_000
TARGETS = {
    "ae-cifar10-16": (205, "203"),
    "ae-cifar10-128": (57, "56"),
    "ae-cifar10-1024": (26, "25.7"),
    "vae-cifar10": (140, "135.9, KL 60"),
    "vae-cifar10-beta0.8": (126, "124.4"),
    "vae-cifar10-beta1.2": (151, "148.8"),
    "vae-cifar10-linear-ascoded": (125, "123.4"),
}


PANELS = {
    "autoencoders: reconstruction": (1, ("ae-cifar10-16", "ae-cifar10-128", "ae-cifar10-1024")),
    "VAEs: reconstruction": (1, tuple(name for name in TARGETS if name.startswith("vae"))),
    "VAEs: KL (nats)": (2, tuple(name for name in TARGETS if name.startswith("vae"))),
}


def draw(file: Path) -> None:
    """Validation curves by epoch: the three sizes of code, and the weights of the KL; every seed a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, (title, (column, names)) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for k, name in enumerate(names):
            for i, run in enumerate(read_json(RESULTS / f"study-{name}.json")["details"]["runs"]):
                points = [(row[0], row[column]) for row in run["curve"] if row[0] > 0]
                axes.plot(*zip(*points, strict=True), color=f"C{k}", lw=1.2, label=None if i else name)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        if column == 1:
            axes.set_ylim(0, 320)
        else:
            axes.set_yscale("log")  # a schedule from 0 begins far above the others
        axes.legend(fontsize=7)
    figure.savefig(file, dpi=110)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=Path, default=Path("runs/cifar10-study"))
    options.add_argument("--recipes", nargs="+", default=list(TARGETS))
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    options.add_argument("--record", action="store_true", help="train nothing")
    options.add_argument("--note", default="")
    options.add_argument("--figure", type=Path, help="draw the curves on record to this file, and do nothing else")
    args = options.parse_args()
    if args.figure:
        draw(args.figure)
        return
    for name in args.recipes:
        folders = [args.runs / f"{name}-{seed}" for seed in args.seeds]
        if not args.record:
            for seed, folder in zip(args.seeds, folders, strict=True):
                resume(folder) if folder.exists() else fit(get(name), seed, folder)
        rows = []
        for folder in (f for f in folders if f.exists()):
            run = Run(folder)
            lines = [line for line in run.lines() if "val_recon" in line]
            last = lines[-1]
            row = {k: last[k] for k in ("images", "val_recon", "val_kl", "elbo", "active_units") if k in last}
            curve = [[line["images"] / EPOCH, line["val_recon"], line.get("val_kl")] for line in lines]
            rows.append(
                row
                | {
                    "run": folder.name,
                    "state": run.status["state"],
                    "precision": run.env["precision"],
                    "seconds": last["seconds"],
                    "curve": curve,
                }
            )
        target, best = TARGETS[name]
        if not rows:
            record(
                f"study-{name}",
                f"{name}: validation reconstruction at epoch 19",
                f"≤ {target} (known: {best})",
                "not run",
                False,
                {},
                args.note,
            )
            continue
        done = [r for r in rows if r["state"] == "done"]
        if done:
            found = spread([r["val_recon"] for r in done])
            kl = f", KL {done[0]['val_kl']:.1f}" if "val_kl" in done[0] else ""
            said = f"{found['mean']:.1f} ({len(done)} seed{'s' * (len(done) > 1)}){kl}"
            met = found["mean"] <= target
        else:
            said = ", ".join(f"{r['val_recon']:.1f} after {r['images'] / EPOCH:.1f} of 20 epochs" for r in rows)
            met = False
        record(
            f"study-{name}",
            f"{name}: validation reconstruction at epoch 19",
            f"≤ {target} (known: {best})",
            said,
            met,
            {"runs": rows},
            args.note,
        )


if __name__ == "__main__":
    main()
