# %% [markdown]
# # Why a GAN loses modes
#
# Eight Gaussians on a ring, three networks of the same size, three objectives. We look at what each critic tells its
# generator, first where it can be calculated, then in training.

# %%
import os

import torch

import triptych
from triptych.metrics import mode_coverage
from triptych.objectives.gan import GAN, WGANGP

SHARE = float(os.environ.get("TRIPTYCH_SHARE", "1"))  # of the budgets below; less is faster and says less

# %% [markdown]
# ## The divergence, where it can be calculated
#
# Real points lie on the line x = 0, generated ones on the line x = θ. The Jensen–Shannon divergence between the two is
# log 2 for every θ ≠ 0: it says that the lines differ, and not in which direction they are nearer. The Wasserstein
# distance is |θ|. `triptych study parallel-lines` trains critics at fixed offsets and reads the gradient that reaches θ:
#
# ![Divergence, Wasserstein distance and gradient over the offset](../figures/parallel-lines.png)
#
# A well-trained GAN critic gives almost no gradient far away; a Wasserstein critic gives the same at every distance.

# %% [markdown]
# ## The losses, side by side
#
# The critic's score is a logit for a GAN, and unbounded for a Wasserstein critic. Both objectives take the network and
# both sets, so that a gradient penalty needs no hook.


# %%
def linear(x):
    """A critic that is sure of itself: the score grows by 4 for every unit along x."""
    return 4 * x[:, :1]


real, fake = torch.zeros(64, 2), torch.tensor([[-3.0, 0.0]]).repeat(64, 1).requires_grad_()
gradients = {}
for objective in (GAN(minimax=True), GAN(), WGANGP()):
    loss = objective.generator(linear, real, fake)
    (gradient,) = torch.autograd.grad(loss, fake)
    name = f"{type(objective).__name__}{' (minimax)' if getattr(objective, 'minimax', False) else ''}"
    gradients[name] = gradient[:, 0].sum().abs().item()
gradients

# %% [markdown]
# The min-max loss of the first paper has all but vanished at a sample which the critic recognises. The non-saturating
# loss (`GAN()`) has not, but its gradient grows with the critic's certainty, and every sample is drawn to wherever the
# critic scores highest now: often one mode. When the critic has caught up, all move on together.

# %% [markdown]
# ## In training

# %%
runs = {
    name: triptych.train(f"{name}-8gaussians", out=f"runs/losing-modes/{name}", images=int(images * SHARE))
    for name, images in (("gan", 200_000), ("wgan", 300_000), ("wgan-gp", 250_000))
}
data = triptych.data.load("8gaussians")
found = {}
for name, run in runs.items():
    samples = run.load().sample(2_500, seed=0)
    found[name] = mode_coverage(samples, data.modes, data.std)
found

# %% [markdown]
# `modes` counts the Gaussians that are hit, `high_quality` is the share of samples within three standard deviations of
# one. Many objectives find the eight modes of a ring; that a difference is one of objectives and not of luck takes
# several seeds: see [telling whether one model is better](better.py).
#
# ![Six models on 8 Gaussians](../figures/readme.png)

# %% [markdown]
# ## As curves
#
# The log holds the number of modes at ten moments. A GAN that jumps shows it here, and its alarm says so.

# %%
for name, run in runs.items():
    line = [(told["images"], told["modes"]) for told in run.lines() if "modes" in told]
    print(name, line, run.status.get("alarms", []))
