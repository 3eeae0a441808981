"""Published sets that are one .npz file each: dSprites and MedMNIST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.source import Source
from triptych.data.sources.array_files import Table
from triptych.system.cache import collections
from triptych.system.download import Remote, check_trusted, fetch


@dataclass(frozen=True)
class ArraySet(Source):
    """One file, in a collection or fetched."""

    sets_aside: ClassVar[bool] = True
    title: str
    folder: str
    about: str
    licence: str
    citation: str
    remote: Remote
    classes: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    """names of several labels of 0 and 1 for each example"""

    @property
    def summary(self) -> str:
        return f"{self.title}: {self.about}"

    @property
    def card(self) -> Mapping[str, Any]:
        return {"title": self.title, "licence": self.licence, "citation": self.citation}

    def here(self) -> Path | None:
        """The file, if it is here."""
        places = (place / self.folder / self.remote.file for place in collections())
        return next((p for p in places if p.is_file()), None)

    def state(self) -> str:
        return "ready" if self.here() else "will be fetched"

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        path = self.here() or fetch(self.folder, (self.remote,)) / self.remote.file
        check_trusted(path)
        data = Table(path).load(str(path), split, how)
        factors = data.factors
        if len(self.factors) == len(factors) and self.factors:
            factors = dict(zip(self.factors, factors.values(), strict=True))
        classes = self.classes if data.labels is not None and self.classes else data.classes
        about = {**data.about, **self.card, "name": name}
        return replace(data, name=name, classes=classes, factors=factors, about=about)


SPRITES = ArraySet(
    "dSprites",
    "dsprites",
    "737,280 black and white pictures of 64 x 64, every value of six known factors",
    "Apache 2.0 (as commonly stated)",
    "Matthey, Higgins, Hassabis, Lerchner: dSprites: Disentanglement testing Sprites dataset. 2017",
    Remote(
        "https://github.com/google-deepmind/dsprites-dataset/raw/master/dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
    ),
)
ORGANS = (
    "bladder",
    "left femur",
    "right femur",
    "heart",
    "left kidney",
    "right kidney",
    "liver",
    "left lung",
    "right lung",
    "pancreas",
    "spleen",
)
FINDINGS = (
    "atelectasis",
    "cardiomegaly",
    "effusion",
    "infiltration",
    "mass",
    "nodule",
    "pneumonia",
    "pneumothorax",
    "consolidation",
    "edema",
    "emphysema",
    "fibrosis",
    "pleural",
    "hernia",
)
# name: what is shown, sizes of train, val and test, md5 of the file, the classes
MEDICAL: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "pathmnist": (
        "colon tissue, colour",
        "89,996 + 10,004 + 7,180",
        "a8b06965200029087d5bd730944a56c1",
        ("adipose", "background", "debris", "lymphocytes", "mucus", "muscle", "mucosa", "stroma", "epithelium"),
    ),
    "chestmnist": ("chest X-rays, grey", "78,468 + 11,219 + 22,433", "02c8a6516a18b556561a56cbdd36c4a8", ()),
    "dermamnist": (
        "skin lesions, colour",
        "7,007 + 1,003 + 2,005",
        "0744692d530f8e62ec473284d019b0c7",
        ("keratosis", "basal cell carcinoma", "benign keratosis", "dermatofibroma", "melanoma", "nevus", "vascular"),
    ),
    "octmnist": (
        "retinal tomography, grey",
        "97,477 + 10,832 + 1,000",
        "c68d92d5b585d8d81f7112f81e2d0842",
        ("neovascularization", "macular edema", "drusen", "normal"),
    ),
    "pneumoniamnist": (
        "children's chest X-rays, grey",
        "4,708 + 524 + 624",
        "28209eda62fecd6e6a2d98b1501bb15f",
        ("normal", "pneumonia"),
    ),
    "retinamnist": ("fundus photographs, colour", "1,080 + 120 + 400", "bd4c0672f1bba3e3a89f0e4e876791e4", ()),
    "breastmnist": (
        "breast ultrasound, grey",
        "546 + 78 + 156",
        "750601b1f35ba3300ea97c75c52ff8f6",
        ("malignant", "normal or benign"),
    ),
    "bloodmnist": (
        "blood cells, colour",
        "11,959 + 1,712 + 3,421",
        "7053d0359d879ad8a5505303e11de1dc",
        (
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocyte",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ),
    ),
    "tissuemnist": ("kidney cells, grey", "165,466 + 23,640 + 47,280", "ebe78ee8b05294063de985d821c1c34b", ()),
    "organamnist": ("organs, axial, grey", "34,581 + 6,491 + 17,778", "866b832ed4eeba67bfb9edee1d5544e6", ORGANS),
    "organcmnist": ("organs, coronal, grey", "13,000 + 2,392 + 8,268", "0afa5834fb105f7705a7d93372119a21", ORGANS),
    "organsmnist": ("organs, sagittal, grey", "13,940 + 2,452 + 8,829", "e5c39f1af030238290b9557d9503af9d", ORGANS),
}


def _medical(name: str, shown: str, sizes: str, md5: str, classes: tuple[str, ...]) -> ArraySet:
    return ArraySet(
        f"MedMNIST {name}",
        "medmnist",
        f"{shown}, {sizes} (train, val, test) of 28 x 28",
        # the collection says so of each of its sets but this one
        "CC BY-NC 4.0" if name == "dermamnist" else "CC BY 4.0",
        "Yang, Shi, Wei, Liu, Zhao, Ke, Pfister, Ni: MedMNIST v2. Scientific Data 10, 2023",
        Remote(f"https://zenodo.org/record/6496656/files/{name}.npz", f"md5:{md5}"),
        classes,
        FINDINGS if name == "chestmnist" else (),
    )


SOURCES: dict[str, Source] = {"dsprites": SPRITES, **{n: _medical(n, *rest) for n, rest in MEDICAL.items()}}
