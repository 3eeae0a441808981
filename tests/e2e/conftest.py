"""What several end-to-end tests need."""

import warnings

import pytest
import torch


@pytest.fixture
def scripted(tmp_path):
    """A TorchScript network of the shape that clean-fid uses: layers(x) on normalised 299 px pictures."""

    class Layers(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = Layers()

        def forward(self, x):
            return self.layers(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Net()).save(str(tmp_path / "inception.pt"))
    return tmp_path / "inception.pt"
