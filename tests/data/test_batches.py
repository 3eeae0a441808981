"""The stream: every example once an epoch, the same from the same seed, resumable, in memory or from a file."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from triptych import data
from triptych.core import Data, to_inner
from triptych.core.share import Share
from triptych.data.batches import Batches, InOrder
from triptych.errors import UserError

CPU = torch.device("cpu")
N = 50


def numbered(path: Path | None = None) -> Data:
    """Fifty 2 x 2 pictures whose pixels are their number, left half; zero, right half."""
    x = torch.zeros(N, 1, 2, 2, dtype=torch.uint8)
    x[..., 0] = torch.arange(N, dtype=torch.uint8)[:, None, None]
    if path is None:
        return Data("numbered", x)
    np.save(path, x.numpy())
    return Data("numbered", torch.from_numpy(np.load(path, mmap_mode="c")), file=(path, 128))


def which(batch: torch.Tensor) -> list[int]:
    return ((batch.amax((1, 2, 3)) + 1) * 127.5).round().int().tolist()


@pytest.fixture(params=["memory", "file"])
def pictures(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    if request.param == "memory":
        return numbered()
    monkeypatch.setattr("triptych.data.batches.RESIDENT", 0)
    return numbered(tmp_path / "x.npy")


@pytest.mark.parametrize("size", [1, 7, 50, 64, 120])
def test_every_example_once_an_epoch(pictures: Data, size: int) -> None:
    stream = Batches(pictures, size, seed=3, device=CPU)
    seen = [i for _ in range(-(-3 * N // size)) for i in which(next(stream))]
    epochs = [seen[i * N : (i + 1) * N] for i in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(N))
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_seed_decides(pictures: Data) -> None:
    one, same, other = (which(next(Batches(pictures, 20, seed=s, device=CPU))) for s in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("before", [0, 1, 4, 9])
def test_resumes_mid_epoch(pictures: Data, before: int) -> None:
    stream = Batches(pictures, 12, seed=5, device=CPU, flip=True)
    for _ in range(before):
        next(stream)
    state = stream.state_dict()
    rest = [next(stream) for _ in range(8)]
    again = Batches(pictures, 12, seed=5, device=CPU, flip=True)
    next(again)  # whatever it did before does not matter
    again.load_state_dict(state)
    assert all(torch.equal(a, next(again)) for a in rest)


def test_file_and_memory_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Batches(numbered(), 8, seed=0, device=CPU, flip=True)
    monkeypatch.setattr("triptych.data.batches.RESIDENT", 0)
    read = Batches(numbered(tmp_path / "x.npy"), 8, seed=0, device=CPU, flip=True)
    assert all(torch.equal(next(kept), next(read)) for _ in range(20))


def test_values_are_inner() -> None:
    x = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    batch = next(Batches(Data("x", x), 2, seed=0, device=CPU))
    assert sorted(batch.flatten().tolist()) == [-1.0, 1 - 2**-23]


def test_half_are_mirrored() -> None:
    batch = next(Batches(numbered(), 5000, seed=0, device=CPU, flip=True))
    bright = batch[:, 0, 0, 0] == batch[:, 0].amax((1, 2))
    share = bright[torch.tensor(which(batch)) > 0].float().mean().item()
    assert share == pytest.approx(0.5, abs=5 * 0.5 / 5000**0.5)  # 5 standard deviations: fails by chance in 6e-7


def test_binary_pictures_are_drawn_anew() -> None:
    grey = torch.full((4, 1, 8, 8), 64, dtype=torch.uint8)
    d = Data("binary", (grey > 0).to(torch.uint8) * 255, intensities=grey)
    stream = Batches(d, 4, seed=0, device=CPU)
    drawn = torch.stack([next(stream) for _ in range(200)])
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert not torch.equal(drawn[0], drawn[1])
    p = 64 / 255
    n = drawn.numel()
    assert ((drawn + 1) / 2).mean().item() == pytest.approx(p, abs=5 * (p * (1 - p) / n) ** 0.5)  # fails in 6e-7


def test_vectors_and_laws() -> None:
    x = torch.randn(30, 3)
    assert next(Batches(Data("table", x), 10, seed=0, device=CPU)).shape == (10, 3)
    toy = data.load("8gaussians")
    a, b = (Batches(toy, 16, seed=4, device=CPU) for _ in range(2))
    assert torch.equal(next(a), next(b))
    state = a.state_dict()
    b.load_state_dict(state)
    assert torch.equal(next(a), next(b))
    assert a.drawn == 32


def test_in_order() -> None:
    d = numbered()
    assert torch.equal(torch.cat(list(InOrder(d, 7, CPU, limit=20))), to_inner(d.x[:20]))
    named = dataclasses.replace(d, labels=torch.arange(N))
    assert torch.cat([y for _, y in InOrder(named, 7, CPU, limit=20).labelled]).tolist() == list(range(20))


@pytest.mark.parametrize("name", ["8gaussians", "25gaussians", "spiral", "moons", "rings", "pinwheel", "checkerboard"])
def test_labels_of_a_law_change_no_point(name: str) -> None:
    toy = data.load(name)
    plain, labelled = (Batches(toy, 64, seed=4, device=CPU) for _ in range(2))
    first = next(plain)
    x, y = next(labelled.labelled)
    assert torch.equal(x, first)
    assert torch.equal(next(labelled), next(plain))
    assert labelled.drawn == plain.drawn == 128
    assert toy.labels is not None
    assert y.dtype == torch.int64
    assert 0 <= int(y.min()) <= int(y.max()) < len(toy.classes) == int(toy.labels.max()) + 1


def test_labels_are_those_of_the_nearest_mode() -> None:
    for name in ("25gaussians", "spiral", "25gaussians@30"):
        toy = data.load(name)
        x, y = next(Batches(toy, 500, seed=0, device=CPU).labelled)
        assert torch.equal(torch.cdist(x, toy.modes).argmin(1), y)


def test_labels_belong_to_their_pictures(pictures: Data) -> None:
    d = dataclasses.replace(pictures, labels=torch.arange(N) % 7)
    plain, labelled = (Batches(d, 12, seed=5, device=CPU, flip=True) for _ in range(2))
    for i in range(12):  # past the end of two epochs, now this way, now that
        if i % 3 == 2:
            assert torch.equal(next(labelled), next(plain))
            continue
        x, y = next(labelled.labelled)
        assert torch.equal(x, next(plain))
        assert y.tolist() == [k % 7 for k in which(x)]
    again = Batches(d, 12, seed=5, device=CPU, flip=True)
    again.load_state_dict(labelled.state_dict())
    for _ in range(5):
        assert all(map(torch.equal, next(again.labelled), next(labelled.labelled)))


def test_shares_of_labels() -> None:
    d = dataclasses.replace(numbered(), labels=torch.arange(N) % 7)
    for examples in (d, data.load("25gaussians")):
        x, y = next(Batches(examples, 12, seed=1, device=CPU).labelled)
        parts = [next(Batches(examples, 12, seed=1, device=CPU, share=Share(i, 3)).labelled) for i in range(3)]
        assert torch.equal(torch.cat([p[0] for p in parts]), x)
        assert torch.equal(torch.cat([p[1] for p in parts]), y)


def test_no_labels_to_give() -> None:
    for examples in (numbered(), data.load("swissroll")):
        with pytest.raises(UserError, match="has no labels to condition on"):
            next(Batches(examples, 4, seed=0, device=CPU).labelled)


def test_a_file_that_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.data.batches.RESIDENT", 0)
    d = numbered(tmp_path / "x.npy")
    stream = Batches(d, 50, seed=0, device=CPU)
    with (tmp_path / "x.npy").open("r+b") as f:
        f.truncate(200)
    with pytest.raises(OSError, match="ended within example"):
        next(stream)


def test_scattered_rows_of_a_large_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triptych.data.prepare import prepared

    (tmp_path / "set").mkdir()
    sides = torch.arange(N) % 3 == 0
    prepared.write_images(tmp_path / "set", numbered().x, sides=sides)
    prepared.write_json(tmp_path / "set" / "about.json", {"count": N, "fingerprint": "f"})
    small = prepared.Prepared(tmp_path / "set").load("n", "test")
    monkeypatch.setattr("triptych.data.prepare.prepared.IN_MEMORY", 0)
    monkeypatch.setattr("triptych.data.batches.RESIDENT", 0)
    large = prepared.Prepared(tmp_path / "set").load("n", "test")
    assert torch.equal(small.x, large.x)
    assert large.file is not None
    seen = which(next(Batches(large, len(large), seed=0, device=CPU)))
    assert sorted(seen) == list(range(0, N, 3))


def test_contiguous_split_reads_its_own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triptych.data.prepare import prepared

    monkeypatch.setattr("triptych.data.batches.RESIDENT", 0)
    (tmp_path / "set").mkdir()
    prepared.write_images(tmp_path / "set", numbered().x, sides=torch.arange(N) >= 40)
    prepared.write_json(tmp_path / "set" / "about.json", {"count": N, "fingerprint": "f"})
    test = prepared.Prepared(tmp_path / "set").load("n", "test")
    assert sorted(which(next(Batches(test, 10, seed=0, device=CPU)))) == list(range(40, 50))
