"""The recipe to take for images, or for rows of a table, when none is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from triptych.core import Data, DataSpec, ModelSpec, Recipe, Shape, Train
from triptych.core.checks import check_learnable
from triptych.core.counts import plural
from triptych.core.labels import CLASSES, classes_in
from triptych.core.model_spec import ConditionalSpec
from triptych.data import find, load_spec
from triptych.errors import NoSplit, UserError
from triptych.models.flows.coupling import NSF
from triptych.objectives.flow import NLL
from triptych.objectives.relativistic import Augmentation, Relativistic
from triptych.recipes.named import all_recipes, get
from triptych.system import names
from triptych.system.cache import plain

FEW = 2_000
"""Number of images below which they are augmented, so that the critic does not memorise them. On 5,902 birds the narrow
nets of an hour's budget did far better without."""


FEW_ROWS = 2_000
"""Rows of a table from which on splines have more bins and steps are larger."""
POINTS = 1_000_000
"""Of a set that is drawn anew all the time."""
TABLE = Train(batch=256, lr=2e-3, schedule="cosine", clip=100.0, ema=0.99, best="nll")

LATENT = 64
"""Latent dimensions that pictures of somebody's own get at least."""


HELD_OUT = 0.1
"""Share of a table that is set aside where nobody says how much."""
ROWS = (4_000, 4_000_000)
"""Rows shown in the training of a small table and of a large one, at most."""
PASSES = 40
"""Most passes over a table between these."""
LOOKS, PATIENCE = 40, 4
"""Looks at held-out rows, evenly over the budget, and after how many without a better one training ends. They are
likeliest after 13 of wine's, 26 of iris's and 20 of breast cancer's, and memorised from there on; of a table whose
columns have little to do with each other after 4 or 5. The curve is smooth, so that 4 looks are enough."""


def recommend(spec: DataSpec, *, crop: bool = True, hold: bool = True, labels: bool = True) -> tuple[Recipe, str]:
    """The recipe to train on images or vectors when none is named, and why in a sentence.

    It has the name of the data. For images it goes by their size, colour and number; those that are not square are
    cropped, unless `crop` is false, and sub-folders, or other labels of somebody's own pictures, are classes that it is
    conditioned on, unless `labels` is false. Of vectors without a split a tenth is held out, unless `hold` is false.
    UserError for a shape that no recommended recipe makes.
    """
    if tabular(spec):
        return for_rows(spec, hold=hold)
    spec, data = sized(spec, crop=crop)
    base = nearest_recipe(data.shape)
    few, grey = len(data) < FEW, data.shape[0] == 1
    policy: tuple[Augmentation, ...] = ("translation", "cutout") if grey else ("color", "translation", "cutout")
    full = all_recipes().get(f"{base.name}-full", base)
    train = replace(
        full.train,
        images=min(full.train.images, max(1_000_000, 100 * len(data))),
        flip=not grey,  # grey ones may be characters, which differ from their mirror images
    )
    h, w = data.shape[1:]
    why = [
        f"{base.name}, for {plural(len(data), 'grey image' if grey else 'image')} at {h}×{w}",
        "so few are memorised by a critic, so they are augmented" if few else "so many need no augmentation",
    ]
    if not grey:
        why.append("half of them are mirrored (--train.no-flip leaves that out)")
    if spec.fit == "crop":
        why.append("they are cropped to squares (--fit squash keeps their edges)")
    model = roomy(full.model)
    if isinstance(model, ConditionalSpec) and Path(spec.name).expanduser().exists():
        k, said = classes_of(data, labels=labels)
        model = replace(model, classes=k)
        why += said
    assert isinstance(base.objective, Relativistic)
    objective = replace(base.objective, augment=policy if few else ())
    name = called(spec.name)
    about = f"{name}: relativistic GAN, R1 + R2, averaged weights, decay to 0"
    return Recipe(spec, model, objective, train, name=name, about=about), "; ".join(why)


def classes_of(data: Data, *, labels: bool) -> tuple[int, list[str]]:
    """How many classes of these pictures a model is conditioned on, and why, in words; 0 for none."""
    k = classes_in(data)
    if k < 2:
        return 0, []
    if not labels:
        return 0, [f"its {k:,} classes are left aside, as --unconditional asks"]
    if k > CLASSES:
        return 0, [f"its {k:,} classes are left aside: {CLASSES:,} is the most that a model is conditioned on"]
    return k, [f"conditioned on its {k:,} classes (--unconditional leaves them aside)"]


def tabular(spec: DataSpec) -> bool:
    """Whether the examples are vectors."""
    source = find(spec.name)
    return not source.encoded and not (spec.resolution or spec.channels) and not load_spec(spec).is_images


def for_rows(spec: DataSpec, *, hold: bool) -> tuple[Recipe, str]:
    """A spline flow for vectors: it has a likelihood to be chosen and judged by, and its first layer begins with the
    quantiles of every column. The columns of a table of text have types."""
    text = Path(spec.name).suffix.lower() in (".csv", ".tsv", ".txt", ".parquet")
    if text and not spec.columns:
        spec = replace(spec, columns=("auto",))
    why = list[str]()
    if hold and not spec.holdout and spec.split == "train" and lacks_test(spec):
        spec = replace(spec, holdout=HELD_OUT)
        why.append("a tenth is held out, to see what is memorised (--holdout 0 trains on all)")
    data = load_spec(spec)
    aside = f", as --holdout {spec.holdout:g} sets the others aside (--holdout 0 sets none)" if spec.holdout else ""
    check_learnable(data, aside)
    if data.shape[0] < 2:
        raise UserError(f"{spec.name} has one column, and the recommended flow takes two or more; name a recipe")
    few = len(data) < FEW_ROWS
    budget = min(max(ROWS[0], PASSES * len(data)), ROWS[1]) if data.distribution is None else POINTS
    model = NSF(layers=3, width=64, bins=8 if few else 16)
    train = replace(replace(TABLE, batch=64, lr=5e-4) if few else TABLE, images=budget)
    name = called(spec.name)
    what = f"{plural(len(data), 'row')} of {data.shape[0]} numbers"
    why.insert(0, f"spline flow, for {what}: its likelihood is exact, and each column begins with its own quantiles")
    if data.distribution is None:
        times = budget / len(data)
        why.append(f"each row is shown {times:.0f} times, unless --minutes or --train.images says otherwise")
        look = max(budget // LOOKS, 1)
        train = replace(train, evaluate=look, checkpoint=look, sample=budget // 10, patience=PATIENCE * look)
        why.append("training ends before that once held-out rows become no likelier (--train.patience 0 goes on)")
    about = f"{name}: rational-quadratic spline couplings, exact likelihood"
    return Recipe(spec, model, NLL(), train, name=name, about=about), "; ".join(why)


def lacks_test(spec: DataSpec) -> bool:
    """Whether the source has no test split."""
    try:
        load_spec(spec, "test")
    except NoSplit:
        return True
    return False


def has_own_budget(recipe: Recipe) -> bool:
    """Whether a recommended recipe is for as many examples as suit the data, not for a time: that of a table."""
    return isinstance(recipe.objective, NLL)


def nearest_recipe(shape: Shape) -> Recipe:
    """The recommended recipe among the named ones for images of that shape."""
    c, h, w = shape
    if h == w == 28:
        return get("best-stackedmnist" if c == 3 else "best-mnist")
    if h == w == 32:
        return get("best-birds")
    if h == w >= 64 and not h & (h - 1):
        return get("best-celeba64" if c == 3 else "best-mnist64")
    raise UserError(f"no recommended recipe makes {h}×{w}; choose --resolution 28, 32 or 64")


def roomy(model: ModelSpec) -> ModelSpec:
    """The networks with at least `LATENT` latent dimensions: the studies of ten were about ten."""
    return with_sizes(model, latent=max(vars(model)["latent"], LATENT))


def with_sizes(model: ModelSpec, **sizes: int) -> ModelSpec:
    """Networks of other sizes."""
    return type(model)(**{**vars(model), **sizes})


def called(where: str) -> str:
    """A name for the recipe, and so for the folder of its runs, from that of the data, which may be a path."""
    path = Path(where).absolute()
    name = path.name if path.is_dir() else path.name.partition(".")[0]
    try:
        return names.component(name, "the data")
    except UserError:
        return plain(where)


def narrower(recipe: Recipe, shape: Shape) -> list[Recipe]:
    """The recommended `recipe` for images of that shape, and after it the same with ever narrower networks.

    Those are down to the networks of the recipe for an hour, and have its settings, which are meant for them.
    """
    found, hour = [recipe], nearest_recipe(shape)
    own = {k: getattr(hour.train, k) for k in ("batch", "lr", "ema", "best")}
    width: int = vars(recipe.model)["width"]
    while width // 2 >= vars(hour.model)["width"]:
        width //= 2
        model = with_sizes(recipe.model, width=width)
        found.append(replace(recipe, model=model, train=replace(recipe.train, **own)))
    return found


def sized(spec: DataSpec, *, crop: bool = False) -> tuple[DataSpec, Data]:
    """`spec` with the side and channels that its images are best trained at, unless it asks for any, and these.

    64 px where they have as many, 28 where they have just these, else 32; of files the median counts. One channel
    where the three are the same. With `crop`, files whose pictures are not all square are cropped rather than squashed.
    """
    look = spec
    if spec.resolution is None and find(spec.name).encoded:
        look = replace(spec, resolution=64)  # as they are, they may differ in size, or fill the disk
    if look.resolution is not None and crop and find(spec.name).encoded:
        look = replace(look, fit="crop")
    data = load_spec(look)
    if not data.is_images:
        raise UserError(f"{spec.name} holds no images; name a recipe: `triptych recipes` lists them")
    chosen = spec
    if spec.resolution is None:
        found = data.about.get("sizes")
        h, w = (found["height"][1], found["width"][1]) if found else data.shape[1:]
        chosen = replace(spec, resolution=64 if min(h, w) >= 64 else 28 if h == w == 28 else 32)
    if look.fit == "crop" and chosen.resolution is not None and not square(data):
        chosen = replace(chosen, fit="crop")
    if spec.channels is None and data.shape[0] == 3:
        some = data.x[:: -(-len(data) // 1000)]
        if bool((some == some[:, :1]).all()):
            chosen = replace(chosen, channels=1)
    width, height = chosen.size or (data.shape[2], data.shape[1])
    wanted = (chosen.channels or data.shape[0], height, width)
    same = data.shape == wanted and chosen.fit == look.fit
    return chosen, data if same else load_spec(chosen)


def square(data: Data) -> bool:
    """Whether the pictures behind prepared images are square, by the least, the middle and the largest of each side."""
    found = data.about.get("sizes")
    return found is None or list(found["height"]) == list(found["width"])
