# %% [markdown]
# # What β does
#
# A VAE pays for two things: for reconstructing badly, and for codes whose distribution strays from the prior (the KL,
# also called the rate). β is the price of the second. This page trains three VAEs that differ in nothing else.

# %%
import os
from dataclasses import replace

import triptych
from triptych.recipes import get

SHARE = float(os.environ.get("TRIPTYCH_SHARE", "1"))
base = get("vae-glyphs")
base = replace(base, data=replace(base.data, resolution=16, channels=1))

# %% [markdown]
# ## Three prices

# %%
rows = {}
for beta in (0.1, 1.0, 10.0):
    recipe = replace(base, name=f"vae-beta-{beta:g}", objective=replace(base.objective, beta=beta))
    run = triptych.train(recipe, out=f"runs/beta/{beta:g}", images=max(int(60_000 * SHARE), 512))
    last = [line for line in run.lines() if "val_recon" in line][-1]
    rows[beta] = {name: round(last[name], 2) for name in ("val_recon", "kl", "active_units")}
rows

# %% [markdown]
# Read the columns downwards: as β grows the rate (`kl`, nats) falls and the reconstruction error (`val_recon`) rises.
# `active_units` counts the latent dimensions that still depend on the example; at a high price some are switched off,
# and at a very high one all of them (the alarm *latent collapse*).
#
# ## What it buys
#
# A low rate means that codes of real examples look like draws of the prior, so that samples from the prior resemble
# reconstructions. Look at both: the run folder has pictures on the same noise.

# %%
model = triptych.load("runs/beta/1")
x = model.sample(16, seed=0)
z = model.encode(x)
print(tuple(x.shape), tuple(z.shape), round(z.std().item(), 2))

# %% [markdown]
# ## A β in one setting is not a β in another
#
# `beta_eff` in the log is the weight of the KL against −log p(x|z) at the likelihood's own σ. Summed or averaged errors,
# and another σ, change what "β = 1" means by orders of magnitude; `beta_eff` is the same whatever the convention.
