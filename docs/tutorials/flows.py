# %% [markdown]
# # Flows as maps
#
# A flow is an invertible map f from data to noise. Its density is the noise's at f(x), times how much f stretches
# space there: log q(x) = log N(f(x)) + log |det ∂f/∂x|. All of it can be checked by hand in the plane.

# %%
import os

import torch

import triptych

SHARE = float(os.environ.get("TRIPTYCH_SHARE", "1"))
run = triptych.train("realnvp-moons", out="runs/flows/affine", images=int(200_000 * SHARE))
flow = run.load()

# %% [markdown]
# ## There and back
#
# `encode` is f, `decode` its inverse.

# %%
x = triptych.data.load("moons").sample(256, seed=0)
z = flow.encode(x)
back = flow.decode(z)
print("largest error:", (back - x).abs().max().item())

# %% [markdown]
# ## The volume term, by hand
#
# The Jacobian of f at a point, by automatic differentiation, has the determinant that the density needs.

# %%
point = x[:1]
jacobian = torch.autograd.functional.jacobian(lambda p: flow.encode(p).flatten(), point).reshape(2, 2)
by_hand = torch.distributions.Normal(0.0, 1.0).log_prob(flow.encode(point)).sum() + jacobian.det().abs().log()
print(by_hand.item(), flow.log_prob(point).item())

# %% [markdown]
# ## Motion
#
# Between noise and data lies a path for every point: here, the inverse's output with the noise drawn towards 0 by a
# temperature. `triptych flow RUN` draws the density, the warped grid and samples at temperatures.
#
# ![A grid warped by a flow](../figures/flow-warp.png)

# %%
noise = torch.randn(512, 2)
for t in (0.3, 0.7, 1.0):
    print(t, "spread of samples:", [round(v, 2) for v in flow.decode(t * noise).std(dim=0).tolist()])

# %% [markdown]
# ## What couplings cannot bend
#
# Affine couplings are smooth maps that keep space connected: eight separate islands stay joined by bridges of low
# density. Splines bend more sharply per layer; compare `realnvp-8gaussians` and `spline-8gaussians`.
#
# ![Nine models on 8 Gaussians: affine couplings and splines among them](../figures/contest-8gaussians.png)
