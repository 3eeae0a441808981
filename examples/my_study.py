"""The question of `my_study.yaml` as a Python value: `triptych study examples/my_study.py --out runs/my-study`."""

from triptych.recipes import get
from triptych.recipes.override import with_field
from triptych.study import Study

base = with_field(get("wgan-gp-25gaussians"), "train.images", 200_000)

study = Study(
    "my-study",
    tuple(with_field(base, "objective.gp", weight) for weight in (0.1, 1.0, 10.0)),
    seeds=3,
    about="Does a smaller penalty help WGAN-GP on 25 Gaussians?",
    samples=2_500,
)
