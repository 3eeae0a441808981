# %% [markdown]
# # Your own pictures, from a folder to walks between codes
#
# The folder here is made by the program, so that the page runs anywhere. Put yours in its place.

# %%
import os
from dataclasses import replace
from pathlib import Path

import torch

import triptych
from triptych.core import DataSpec
from triptych.data.export import export
from triptych.explore import walks

SHARE = float(os.environ.get("TRIPTYCH_SHARE", "1"))
glyphs = triptych.data.load("glyphs", resolution=16, channels=1)
export({"train": glyphs}, Path("my-pictures"))

# %% [markdown]
# ## Prepare once
#
# `triptych data prepare my-pictures --resolution 16` reads every file in separate processes, says what it did with each
# odd one, and keeps the result in a cache. From Python it is one call, and the second time it takes no time.

# %%
data = triptych.data.load("my-pictures", resolution=16, channels=1)
print(len(data), data.shape)

# %% [markdown]
# ## Train
#
# `triptych train --data my-pictures` picks a recommended recipe for the size. Here we take a VAE, since it gives codes.

# %%
recipe = triptych.recipes.get("vae-glyphs")
recipe = replace(recipe, name="mine", data=DataSpec("my-pictures", resolution=16, channels=1))
run = triptych.train(recipe, out="runs/own/vae", images=max(int(60_000 * SHARE), 512))
run

# %% [markdown]
# ## Look
#
# The run folder has samples at ten moments on the same noise. In a notebook a run shows its numbers and its newest
# picture by itself.

# %%
model = run.load()
x = model.sample(16, seed=0)
triptych.figures.grid(x, "samples.png")

# %% [markdown]
# ## Codes and walks
#
# `encode` gives the code of a picture; on a straight line between two codes one picture turns into the other.

# %%
shown = data.x[:2].float() / 255
z = model.encode(shown)
line = torch.stack([torch.lerp(z[0], z[1], t) for t in torch.linspace(0, 1, 9)])
triptych.figures.grid(model.decode(line), "walk.png", columns=9)
walks.write_interpolation(run.path, rows=3)
walks.write_sweep(run.path, rows=3)

# %% [markdown]
# ## Evaluate
#
# `triptych evaluate RUN` gives every metric with its floor, and `triptych nearest RUN` lays the nearest training picture
# beside each sample: copies would show. Then compare recipes over seeds: [is one model better](better.py)?
