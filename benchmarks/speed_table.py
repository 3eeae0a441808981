"""All timings of the speed table on the processor at hand, in one run: against what a user would run instead, and
in float32 against an older commit.

Each row is another script here, run in turn, which writes its own record; this one adds `speed_table`, a summary. The
rows against other packages need pythae, normflows, torch-fidelity and clean-fid beside the project, in an environment
of their own (`--python`); where one is missing, its row says so. `--against COMMIT` pairs the float32 steps of the
five reference recipes with those of an older commit, each side in a process of its own, in turns. For a quiet machine;
`--quick` takes few rounds, to see that everything runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import HERE, RESULTS, here, interval, record

ROWS: dict[str, tuple[list[str], list[str]]] = {
    "adversarial_speed.py": (["adversarial_speed_birds", "adversarial_speed_dcgan"], []),
    "adversarial_speed.py --fp32": (["adversarial_speed_birds_fp32", "adversarial_speed_dcgan_fp32"], []),
    "vae_speed.py": (["vae_speed"], ["--rounds", "1", "--steps", "6"]),
    "flows_glow_step.py": (["flows-glow-step"], ["--rounds", "1"]),
    "inception_speed.py": (["inception_speed"], ["--quick"]),
    "overhead.py": (["overhead-mlp", "overhead-conv"], ["--quick"]),
}
"""A script with its words, the records it writes, and what makes it short."""
STEPS = {
    # batch, and steps in one timing
    "wgan-gp-birds": (64, 1),
    "gan-mnist64": (128, 1),
    "vae-cifar10": (256, 2),
    "glow-cifar10": (64, 1),
    "wgan-gp-25gaussians": (256, 30),
}
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "birds": (3, 32, 32)}


def reference(name: str, precision: str = "fp32") -> Any:
    """A function that makes a step of a reference recipe on noise in the shape of its data, as the trainer does.

    Only names that older commits have too.
    """
    from triptych.core import Data
    from triptych.data import load_spec
    from triptych.recipes import get
    from triptych.system import device as runtime
    from triptych.trainer.loop import step
    from triptych.trainer.state import State

    torch.manual_seed(0)
    recipe = get(name)
    recipe = replace(recipe, train=replace(recipe.train, batch=STEPS[name][0], images=10**9))
    if recipe.data.name in SHAPES:
        c, *side = SHAPES[recipe.data.name]
        size = [recipe.data.resolution] * 2 if recipe.data.resolution else side
        data = Data(recipe.data.name, torch.randint(0, 256, (2_000, c, *size), dtype=torch.uint8), fingerprint="0")
    else:
        data = load_spec(recipe.data)
    model = runtime.place(recipe.model.build(data.shape), torch.device("cpu"), precision)
    state = State(recipe, model, data, None, 0)
    recipe.objective.prepare(model, data)
    model.train()
    return lambda: step(state)


def work(name: str) -> None:
    """A worker: seconds of the steps of one timing for every line of the standard input."""
    if name == "wgan-gp-25gaussians":
        torch.set_num_threads(1)
    step = reference(name)
    for _ in sys.stdin:
        began = time.perf_counter()
        for _ in range(STEPS[name][1]):
            step()
        print(time.perf_counter() - began, flush=True)


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The tree of an older commit, for as long as it is needed."""
    git = ["git", "-C", str(HERE)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "older"
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def against(commit: str, pairs: int) -> None:
    """Float32 steps of this tree and an older commit's, in turns."""
    with checkout(commit) as tree:
        for name in STEPS:
            sides = {"older": tree / "src", "this": HERE.parent / "src"}
            workers = {
                side: subprocess.Popen(
                    # -P and a path of its own: each side imports its own triptych
                    [sys.executable, "-P", "-c", WORKER, str(source), str(HERE), name],
                    stdin=-1,
                    stdout=-1,
                    text=True,
                    encoding="utf-8",
                )
                for side, source in sides.items()
            }
            times: dict[str, list[float]] = {side: [] for side in sides}
            for k in range(2 + pairs):
                for side, worker in workers.items():
                    assert worker.stdin is not None
                    assert worker.stdout is not None
                    print("go", file=worker.stdin, flush=True)
                    seconds = float(worker.stdout.readline())
                    if k >= 2:
                        times[side].append(seconds)
            for worker in workers.values():
                worker.communicate()
            found = interval(times["this"], times["older"])
            record(
                here(f"fp32_step_{name}"),
                f"a float32 step of {name} beside that of an older commit",
                "the 95 % interval of the ratio of times over 30 pairs is not wholly above 1.02",
                f"{found['mean']:.3f} times as long ({found['low']:.3f} to {found['high']:.3f}, {pairs} pairs)",
                found["low"] <= 1.02,
                {"seconds": times, "ratio": found, "older": commit},
            )


WORKER = "import sys; sys.path[:0] = sys.argv[1:3]; import speed_table; speed_table.work(sys.argv[3])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that everything runs")
    parser.add_argument("--python", default=sys.executable, help="of an environment that has the other packages")
    parser.add_argument("--against", default="", help="an older commit")
    parser.add_argument("--only", nargs="*", help="scripts of the table; none of them: --only without a name")
    args = parser.parse_args()
    earlier = RESULTS / f"{here('speed_table')}.json"
    # what is not measured again stays in the summary
    told: dict[str, str] = json.loads(earlier.read_text(encoding="utf-8"))["details"] if args.only else {}
    for script, (records, short) in ROWS.items():
        if args.only is not None and script.split()[0] not in args.only:
            continue
        file, *words = script.split()
        words += (short or ["--quick"]) if args.quick else []
        done = subprocess.run(
            [args.python, str(HERE / file), *words], stderr=subprocess.PIPE, text=True, encoding="utf-8", check=False
        )
        for name in records:
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                told[name] = f"could not be measured: {last}"
                continue
            entry = json.loads((RESULTS / f"{here(name)}.json").read_text(encoding="utf-8"))
            told[name] = f"{entry['measured']} [{'met' if entry['met'] else 'missed'}: {entry['target']}]"
        for name in records:
            print(name, told[name], flush=True)
    if args.against:
        against(args.against, 3 if args.quick else 30)
    if told:
        record(
            here("speed_table"),
            "the timings of the speed table, one run",
            "each row its own",
            f"{sum('[met' in t for t in told.values())} of {len(told)} rows met",
            None,
            told,
        )


if __name__ == "__main__":
    main()
