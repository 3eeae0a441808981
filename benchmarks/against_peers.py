"""Other programs under this one's protocol: the same pictures, the same minutes, the same evaluator.

    python benchmarks/against_peers.py birds torchcfm --minutes 20 --seed 0
    python benchmarks/against_peers.py birds best-birds --minutes 20 --seed 0

Makes an environment for the peer, with the torch that is here; trains it for so many minutes of processor time; and
evaluates its samples by `triptych evaluate --real ... --fake ...`. A recipe of this program is treated the same way,
its evaluations along the way counted. The record of a data set holds every run so far on this kind of processor: twenty
minutes of one kind are an hour or more of another.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import HERE, RESULTS, here, record, spread

from triptych.core import DataSpec
from triptych.data import load_spec
from triptych.recipes.birds import BIRDS
from triptych.run import Run

SCRIPTS = HERE / "peers"


@dataclass(frozen=True)
class Peer:
    script: str
    packages: tuple[str, ...]
    """what pip installs, without dependencies: the rest is here, and no other torch may come"""


PEERS = {
    "torchcfm": Peer("torchcfm_unet.py", ("torchcfm==1.0.7", "pot")),
    "normflows": Peer("normflows_glow.py", ("normflows==1.7.3",)),
    "pythae": Peer(
        "pythae_vae.py",
        (
            "pythae==0.1.2",
            "cloudpickle",
            "imageio",
            "pydantic",
            "pydantic-core",
            "annotated-types",
            "typing-inspection",
        ),
    ),
    "lightweight-gan": Peer(
        "lightweight_gan_net.py",
        ("lightweight-gan==1.2.1", "adabelief-pytorch", "einops", "kornia", "kornia-rs", "colorama", "tabulate"),
    ),
}
DATA = {"birds": BIRDS, "cifar10": DataSpec("cifar10"), "mnist": DataSpec("mnist")}
SHOWN = ("kernel", "frechet", "precision", "recall", "coverage")


def told_by(python: Path, code: str) -> str:
    """What a line of code prints there."""
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True
    ).stdout.strip()


def environment(peer: Peer, home: Path) -> Path:
    """The peer's python: an environment of its own that also sees the packages of this one."""
    python = home / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    done = home / "installed"
    if done.is_file() and done.read_text(encoding="utf-8") == "\n".join(peer.packages):
        return python
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    where = told_by(python, "import site; print(site.getsitepackages()[0])")
    (Path(where) / "beside.pth").write_text(f"{Path(torch.__file__).parents[1]}\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "-q", "--no-deps", "-c", str(HERE.parent / "constraints.txt")]
    subprocess.run([*pip, *peer.packages], check=True)
    found = told_by(python, "import torch; print(torch.__version__)")
    if found != torch.__version__:
        raise SystemExit(f"{home / 'env'} has torch {found}, not {torch.__version__}")
    done.write_text("\n".join(peer.packages), encoding="utf-8")
    return python


def trained(program: str, data: str, minutes: float, seed: int, n: int, home: Path) -> Path:
    """The folder with `n` samples of a program, after so many minutes of training, and what it took."""
    out = home / program / f"{data}-{seed}"
    out.mkdir(parents=True, exist_ok=True)
    if program in PEERS:
        python = environment(PEERS[program], home / program)
        np.save(out / "pictures.npy", load_spec(DATA[data]).x.numpy())
        asked = ["--minutes", str(minutes), "--seed", str(seed), "-n", str(n)]
        script = SCRIPTS / PEERS[program].script
        subprocess.run([python, script, out / "pictures.npy", out / "samples.npy", *asked], check=True, cwd=HERE)
        (out / "pictures.npy").unlink()
        return out
    run = out / "run"
    before = os.times()
    triptych("train", program, "--minutes", str(minutes), "--seed", str(seed), "--device", "cpu", "--out", str(run))
    after = os.times()
    triptych("sample", str(run), "-n", str(n), "--out", str(out / "samples.npy"))
    levels = np.load(out / "samples.npy") * 255
    np.save(out / "samples.npy", levels.round().astype(np.uint8))
    done = Run(run)
    told = {
        "package": "triptych",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        # of the whole command: start, forecast and evaluations, too
        "seconds": after.children_user + after.children_system - before.children_user - before.children_system,
        "images": done.status["images"],
    }
    (out / "samples.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return out


def triptych(*asked: str) -> None:
    subprocess.run([sys.executable, "-m", "triptych", *asked], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=DATA)
    parser.add_argument("program", help=f"{', '.join(PEERS)}, or a recipe of this program")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    # 5,000 of torchcfm's take an hour of one core
    parser.add_argument("-n", type=int, default=2_000, help="samples")
    parser.add_argument("--home", type=Path, default=Path("runs/peers"), help="environments, pictures and samples")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    out = trained(args.program, args.data, args.minutes, args.seed, args.n, args.home.resolve())
    spec = DATA[args.data]
    side = [] if spec.resolution is None else ["--resolution", str(spec.resolution)]
    fake = ["--fake", str(out / "samples.npy"), "--out", str(out / "eval.json")]
    triptych("evaluate", "--real", args.data, *side, *fake)
    told = json.loads((out / "samples.json").read_text(encoding="utf-8"))
    values = {
        k: v for k, v in json.loads((out / "eval.json").read_text(encoding="utf-8")).items() if k.split("_")[0] in SHOWN
    }
    print(json.dumps(told | {k: (v["value"], v.get("floor")) for k, v in values.items()}, indent=1))
    if not args.no_record:
        keep(args.data, args.program, args.minutes, args.seed, told, values)


def keep(data: str, program: str, minutes: float, seed: int, told: dict, values: dict) -> None:
    """Add this run to the record of the data set."""
    file = RESULTS / f"{here(f'peers-{data}')}.json"
    earlier = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"details": {"runs": {}}, "notes": ""}
    runs = earlier["details"]["runs"]
    runs.setdefault(program, {})[str(seed)] = {"minutes": minutes, **told, "values": values}
    said = {}
    for name, seeds in runs.items():
        found = spread([run["values"]["kernel_v1"]["value"] for run in seeds.values()])
        half = "" if len(seeds) < 3 else f" ± {found['half_width_95']:.3f}"
        said[name] = (found["mean"], f"{name} {found['mean']:.3f}{half}")
    ours = min((mean for name, (mean, _) in said.items() if name not in PEERS), default=math.inf)
    theirs = min((mean for name, (mean, _) in said.items() if name in PEERS), default=math.inf)
    counts = sorted({len(seeds) for seeds in runs.values()})
    record(
        file.stem,
        f"Other programs on {data}, evaluated as this program's own runs are",
        f"kernel distance (offline-v1) below every other program's after {minutes:g} minutes of processor time",
        f"{', '.join(text for _, text in sorted(said.values()))} ({' or '.join(map(str, counts))} seed(s) each)",
        ours < theirs if counts[0] >= 3 else None,  # fewer seeds say little
        {"runs": runs},
        earlier["notes"],  # written by hand
    )


if __name__ == "__main__":
    main()
