"""Other programs under this one's protocol: the same pictures, the same minutes, the same evaluator.

    python benchmarks/against_peers.py torchcfm birds --minutes 20 --seed 0

Makes an environment for the peer, with the torch that is here; trains it for so many minutes of the clock; and
evaluates its samples by `triptych evaluate --real ... --fake ...`. The record holds every seed that was run so far.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import HERE, RESULTS, record, spread

from triptych.core import DataSpec
from triptych.data import load_spec
from triptych.recipes.birds import BIRDS

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("data", choices=DATA)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=5_000, help="samples")
    parser.add_argument("--home", type=Path, default=Path("runs/peers"), help="environments, pictures and samples")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    peer, home = PEERS[args.peer], args.home.resolve() / args.peer
    out = home / f"{args.data}-{args.seed}"
    out.mkdir(parents=True, exist_ok=True)
    python = environment(peer, home)
    spec = DATA[args.data]
    np.save(out / "pictures.npy", load_spec(spec).x.numpy())
    asked = ["--minutes", str(args.minutes), "--seed", str(args.seed), "-n", str(args.n)]
    subprocess.run(
        [python, SCRIPTS / peer.script, out / "pictures.npy", out / "samples.npy", *asked], check=True, cwd=HERE
    )
    (out / "pictures.npy").unlink()
    side = [] if spec.resolution is None else ["--resolution", str(spec.resolution)]
    real = ["--real", args.data, *side, "--fake", str(out / "samples.npy"), "--out", str(out / "eval.json")]
    subprocess.run([sys.executable, "-m", "triptych", "evaluate", *real], check=True)
    told = json.loads((out / "samples.json").read_text(encoding="utf-8"))
    values = {
        k: v for k, v in json.loads((out / "eval.json").read_text(encoding="utf-8")).items() if k.split("_")[0] in SHOWN
    }
    print(json.dumps(told | {k: (v["value"], v.get("floor")) for k, v in values.items()}, indent=1))
    if not args.no_record:
        keep(args.peer, args.data, args.minutes, args.seed, told, values)


def keep(peer: str, data: str, minutes: float, seed: int, told: dict, values: dict) -> None:
    """Add this seed to the record of the peer."""
    name = f"peer-{peer}-{data}"
    file = RESULTS / f"{name}.json"
    before = json.loads(file.read_text(encoding="utf-8"))["details"]["runs"] if file.is_file() else {}
    runs = {k: v for k, v in before.items() if v["minutes"] == minutes} | {
        str(seed): {"minutes": minutes, **told, "values": values}
    }
    distance = next(k for k in values if k.startswith("kernel"))
    found = spread([run["values"][distance]["value"] for run in runs.values()])
    half = "" if len(runs) < 3 else f" ± {found['half_width_95']:.3f}"
    record(
        name,
        f"{peer} on {data} for {minutes:g} minutes of the clock, judged as this program's own runs are",
        "beside the recipes of this program at the same minutes",
        f"kernel distance {found['mean']:.3f}{half}, {len(runs)} seed{'s' if len(runs) > 1 else ''}",
        None,
        {"runs": runs},
    )


if __name__ == "__main__":
    main()
