"""Recipes of supernets: that of a training, and how architectures are sampled in its steps.

"nasbench201"   Ning et al., NeurIPS 2021, https://arxiv.org/abs/2008.03064, NAS-Bench-201:
1,000 epochs of 512 images a step, the rate halved on plateaus of the loss
"nb1shot1"      the same on NAS-Bench-1Shot1: 256 images a step, half the rate
"nasbench301"   the same on NAS-Bench-301: 256 images a step
"nds"           the same on NDS: 128 images a step (64 of ResNeXt-A), a tenth of the weight decay,
no dropout, gradients as they are
"quick"         ours: a cosine over 20 epochs; nearly all of what a supernet knows about ranks
comes when its learning rate falls
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax

from jnas import training
from jnas.data import Augmentation
from jnas.engine.messages import nearest
from jnas.oneshot import samplers
from jnas.training.recipes import check_recipe

Average = Literal["use", "samples"]


class Plateau(NamedTuple):
    """Schedule by the mean training loss of an epoch, PyTorch's ReduceLROnPlateau.

    Attributes:
        factor: of the learning rate when it is cut.
        patience: epochs in a row without a better loss that do not cut it yet.
        threshold: share by which a loss must be below the best one to be better.
    """

    factor: float = 0.5
    patience: int = 30
    threshold: float = 1e-4


class Recipe(NamedTuple):
    """Recipe of a supernet's training.

    Attributes:
        training: optimiser, schedule, regularisation and augmentation.
        sampler: name of what draws the architectures of a step, see `samplers`.
        num_samples: architectures a step; their gradients are averaged.
        average: "use" divides the gradient of a layer by the number of sampled architectures that
            have it, as published; "samples" by the number of all.
        is_masked: whether layers that no sampled architecture has are left alone. As published they
            are not: weight decay and momentum move them on.
        plateau: cuts the learning rate besides its schedule; None does not.
    """

    training: training.Recipe
    sampler: str = "deiso"
    num_samples: int = 1
    average: Average = "use"
    is_masked: bool = False
    plateau: Plateau | None = None


_PUBLISHED = training.Recipe(
    epochs=1000,
    batch_size=512,
    learning_rate=0.05,
    # The cosine has nowhere to fall: plateaus alone cut the rate, in the published runs for the
    # first time after 335 to 436 epochs.
    final_learning_rate=0.05,
    # PyTorch's plain momentum, unlike the stand-alone networks of that space, which have
    # Nesterov's.
    nesterov=False,
    weight_decay=5e-4,
    clip_norm=5.0,
    dropout=0.1,
    augmentation=Augmentation(flip=True, crop=4),
)
_NAMED = {
    "nasbench201": Recipe(_PUBLISHED, plateau=Plateau()),
    "nb1shot1": Recipe(
        # Half the rate of the other space, as published. Taus there are best after 40 epochs
        # already.
        _PUBLISHED._replace(batch_size=256, learning_rate=0.025, final_learning_rate=0.025),
        sampler="uniform",
        plateau=Plateau(),
    ),
    # All vectors of this space can be trained: its published samples are uniform.
    "nasbench301": Recipe(
        _PUBLISHED._replace(batch_size=256), sampler="uniform", plateau=Plateau()
    ),
    "nds": Recipe(
        _PUBLISHED._replace(batch_size=128, weight_decay=5e-5, clip_norm=None, dropout=0.0),
        sampler="uniform",
        plateau=Plateau(),
    ),
    "quick": Recipe(
        _PUBLISHED._replace(
            epochs=20,
            batch_size=128,
            final_learning_rate=0.0,
            # Twenty epochs fit the images too little rather than too much.
            dropout=0.0,
            augmentation=Augmentation(flip=True, crop=2),
        )
    ),
}
RECIPES = tuple(_NAMED)
"""Names of the recipes of supernets."""

# Not dropout: its chance is a constant of functions that the programs of networks are kept by.
_NUMBERS = (
    "learning_rate",
    "final_learning_rate",
    "weight_decay",
    "momentum",
    "clip_norm",
    "label_smoothing",
    "drop_path",
    # Those of a plateau.
    "factor",
    "patience",
    "threshold",
)


def recipe(name: str = "quick", **changes: Any) -> Recipe:
    """Recipe of a name, with other values for the fields in `changes`, of it or its `training`.

    Raises:
        ValueError: no such name or field, or a value out of its range.
    """
    if name not in _NAMED:
        raise ValueError(f"unknown recipe {name!r}. {nearest(name, RECIPES)}")
    made, fields = _NAMED[name], (*Recipe._fields, *training.Recipe._fields)
    for field in changes:
        if field not in fields:
            raise ValueError(f"a recipe has no {field!r}. {nearest(field, fields)}")
    own = {field: value for field, value in changes.items() if field in Recipe._fields}
    # No name is in both: one level of keywords is enough.
    of_training = {field: value for field, value in changes.items() if field not in own}
    made = made._replace(**own)
    return as_recipe(made._replace(training=made.training._replace(**of_training)))


def as_recipe(value: Recipe | str) -> Recipe:
    """Recipe from one, or from the name of one; ValueError as `recipe`."""
    if isinstance(value, str):
        return recipe(value)
    check_recipe(value.training)
    for field, allowed in (("sampler", samplers.NAMES), ("average", get_args(Average))):
        asked = getattr(value, field)
        if asked not in allowed:
            raise ValueError(f"unknown {field} {asked!r}. {nearest(str(asked), allowed)}")
    if not isinstance(value.num_samples, int) or value.num_samples < 1:
        raise ValueError(
            f"num_samples must be a whole number of at least 1; got {value.num_samples!r}"
        )
    if value.plateau is not None:
        _check_plateau(value.plateau)
    return value


def as_recipes(value: Recipe | str | Sequence[Recipe | str]) -> tuple[Recipe, ...]:
    """Recipes from several or one, or from their names; ValueError for none, or as `recipe`."""
    # A recipe is a tuple itself.
    one_by_one = [value] if isinstance(value, (Recipe, str)) else value
    if not one_by_one:
        raise ValueError("several recipes must be at least one; got none")
    return tuple(map(as_recipe, one_by_one))


def differing(recipes: Sequence[Recipe]) -> dict[str, list[float]]:
    """Numbers that recipes differ in, name → one for each.

    Raises:
        ValueError: they differ in what is no input of a program.
    """
    fields = [_fields(made) for made in recipes]
    found: dict[str, list[float]] = {}
    # The fields of a plateau are those that some recipes may lack.
    for name in dict.fromkeys(name for of_one in fields for name in of_one):
        values: list[Any] = [of_one.get(name) for of_one in fields]
        if all(value == values[0] for value in values):
            continue
        if name not in _NUMBERS or None in values:
            other = next(value for value in values if value != values[0])
            raise ValueError(
                f"recipes side by side differ in {name}: {values[0]!r} and {other!r}. They may "
                f"differ in {', '.join(_NUMBERS)}, where each has a number"
            )
        found[name] = values
    return found


def _fields(made: Recipe) -> dict[str, Any]:
    """Values of a recipe by the names of their fields, those of its parts included."""
    # No name is in two parts. None is a value here, and nothing to JAX.
    leaves = jax.tree.leaves_with_path(made, is_leaf=lambda leaf: leaf is None)
    return {path[-1].name: leaf for path, leaf in leaves}


def with_numbers(made: Recipe, numbers: Mapping[str, Any]) -> Recipe:
    """Recipe with other numbers, name → number or array `[]`, for those of `differing`."""
    result: Recipe = jax.tree.map_with_path(
        lambda path, value: numbers.get(path[-1].name, value), made
    )
    return result


def _check_plateau(plateau: Plateau) -> None:
    """ValueError for a value of a plateau that is out of its range."""
    if not 0 < plateau.factor < 1:
        raise ValueError(f"the factor of a plateau must be in (0, 1); got {plateau.factor!r}")
    if plateau.patience < 0 or not 0 <= plateau.threshold < 1:
        raise ValueError(
            "a plateau needs a patience of 0 epochs or more and a threshold in [0, 1); got "
            f"{plateau.patience!r} and {plateau.threshold!r}"
        )
