# %% [markdown]
# # Is one model better than another?
#
# Train the same recipe twice, and two numbers differ. So a difference between two recipes is a claim about seeds. This
# page makes a small study, reads its verdict, and shows what would fool it.

# %%
import os
from dataclasses import replace

import triptych
from triptych.core.statistics import difference, estimate, holm, welch
from triptych.recipes import get

SHARE = float(os.environ.get("TRIPTYCH_SHARE", "1"))


def short(name, images):
    recipe = get(name)
    return replace(recipe, train=replace(recipe.train, images=max(int(images * SHARE), 512)))


# %%
study = triptych.Study(
    "better",
    (short("gan-8gaussians", 100_000), short("wgan-gp-8gaussians", 120_000), short("spline-8gaussians", 150_000)),
    seeds=3,
    about="Three ways to eight Gaussians",
    samples=2_500,
)
triptych.run_study(study, "runs/better")
page = triptych.write_report(["runs/better"], "runs/better/report.html")
print(page)

# %% [markdown]
# The page begins with the verdict, one sentence; [reading the report](../report.md) explains the rest. The numbers, as a
# table:

# %%
table = study.table("runs/better")
print({name: list(values)[:3] for name, values in dict(table).items()})

# %% [markdown]
# ## The floor
#
# Two sets of real examples, as many as there are samples, have a distance above 0. A model at that floor cannot be told
# from the data by this metric, and one far above it can. A distance without a floor has no scale.
#
# ## Interval, test, correction

# %%
a, b, c = [0.50, 0.52, 0.48], [0.60, 0.55, 0.65], [0.90, 0.91, 0.89]
print(estimate(a), "|", estimate(b), "|", estimate(c))
print("a against b:", round(welch(a, b), 3), " a against c:", round(welch(a, c), 5))
print("corrected for three pairs:", [round(p, 4) for p in holm([welch(a, b), welch(a, c), welch(b, c)])])
print(difference(c, a))

# %% [markdown]
# ## What two seeds can say
#
# With two seeds Student's t is 12.7: the interval of 62.8 and 110 is 86 ± 300, which says nothing. Reports show both
# values instead, and speak of intervals from three seeds on.

# %%
print(estimate([62.8, 110.3]))

# %% [markdown]
# ## What fools a verdict
#
# - **One kind of features.** Two metrics on the same features see the same errors; they are one witness. An axis on
#   pictures wants two.
# - **Choosing after looking.** A budget, a checkpoint or a metric picked on the seeds that are reported is worth nothing.
# - **A ranking of failures.** Where no recipe is nearer to the data than one Gaussian, the verdict says so instead.
