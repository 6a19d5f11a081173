"""Recipes of training: optimiser, schedule, regularisation and augmentation as one value.

The constants of the named ones are those of the benchmarks' own trainings:

    "nasbench201"   Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326, table 1
    "nasbench101"   Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635, and its released code
    "darts"         Liu, Simonyan and Yang, ICLR 2019, https://arxiv.org/abs/1806.09055
    "quick"         ours: a good network soon, for images of one's own

Weight decay is that of PyTorch: added to the gradient, after it was clipped and before momentum,
of all weights, those of batch norms included.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from jnas.data import Augmentation
from jnas.engine.messages import nearest

Optimizer = Literal["sgd", "rmsprop"]
Precision = Literal["float32", "bfloat16"]


class Recipe(NamedTuple):
    """Recipe of a training.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step; the images that do not fill one are left out of an epoch, others
            in each.
        optimizer: "sgd", or "rmsprop" with decay .9 and epsilon 1 as NAS-Bench-101 has it.
        learning_rate: at the beginning, after the warm-up.
        final_learning_rate: at the end of the cosine.
        warmup_epochs: in which the learning rate grows from 0.
        by_epoch: whether the learning rate changes between epochs alone, and not with each step.
        momentum: of the gradients.
        nesterov: whether momentum looks ahead.
        weight_decay: added to the gradient, times the weight.
        clip_norm: largest norm of the gradient of all weights together; None for any.
        label_smoothing: share of the target that is spread over all classes.
        dropout: chance of a feature before the classifier to be dropped.
        drop_path: chance of an edge of a cell to be dropped, for each image, at the end of the
            training; it grows in proportion to the epochs, as in DARTS.
        auxiliary: weight of the loss of the network's auxiliary head, where it has one.
        augmentation: of the training images.
        norm_momentum: weight of a batch in the moving averages of batch norms; None averages the
            batches of the last epoch.
        is_precise: whether batch norms end with the moments of one more pass over the training
            images, whose weights do not move, in place of the moving averages.
        precision: type that is computed in; weights, statistics and losses are float32.
    """

    epochs: int = 30
    batch_size: int = 64
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.1
    final_learning_rate: float = 0.0
    warmup_epochs: float = 0.0
    by_epoch: bool = False
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    dropout: float = 0.0
    drop_path: float = 0.0
    auxiliary: float = 0.0
    augmentation: Augmentation = Augmentation()
    norm_momentum: float | None = 0.1
    is_precise: bool = False
    precision: Precision = "float32"


_CROP_AND_FLIP = Augmentation(flip=True, crop=4)
_NAMED = {
    # Fields that are not given here are the defaults of `Recipe`, which are this benchmark's own.
    "nasbench201": Recipe(epochs=200, batch_size=256, augmentation=_CROP_AND_FLIP),
    # The momentum of its averages, .997 in TensorFlow's form, is 1 - .003.
    "nasbench101": Recipe(
        epochs=108,
        batch_size=256,
        optimizer="rmsprop",
        learning_rate=0.2,
        nesterov=False,
        weight_decay=1e-4,
        augmentation=_CROP_AND_FLIP,
        norm_momentum=0.003,
    ),
    "darts": Recipe(
        epochs=600,
        batch_size=96,
        learning_rate=0.025,
        by_epoch=True,
        nesterov=False,
        weight_decay=3e-4,
        clip_norm=5.0,
        drop_path=0.2,
        auxiliary=0.4,
        augmentation=Augmentation(flip=True, crop=4, cutout=16),
    ),
    "quick": Recipe(
        warmup_epochs=2.0,
        label_smoothing=0.05,
        clip_norm=5.0,
        augmentation=Augmentation(flip=True, crop=1),
        # Not precise: of the last epoch's augmented images networks of digits are .4 % better than
        # with the moments of images that they were not trained on as they are.
        norm_momentum=None,
    ),
}
RECIPES = tuple(_NAMED)


def recipe(name: str = "quick", **changes: Any) -> Recipe:
    """Recipe of a name, with other values for the fields in `changes`.

    Raises:
        ValueError: no such name or field, or a value out of its range.
    """
    if name not in _NAMED:
        raise ValueError(f"unknown recipe {name!r}. {nearest(name, RECIPES)}")
    # Before `_replace`, whose TypeError would not name the nearest field.
    for field in changes:
        if field not in Recipe._fields:
            raise ValueError(f"a recipe has no {field!r}. {nearest(field, Recipe._fields)}")
    made = _NAMED[name]._replace(**changes)
    check_recipe(made)
    return made


def as_recipe(value: Recipe | str) -> Recipe:
    """Recipe from one, or from the name of one; ValueError as `recipe`."""
    if isinstance(value, str):
        return recipe(value)
    check_recipe(value)
    return value


def check_recipe(made: Recipe) -> None:
    """ValueError that names the first value of a recipe that is out of its range."""
    for field, (is_valid, needed) in _RANGES.items():
        value = getattr(made, field)
        if not is_valid(value):
            raise ValueError(f"{field} must be {needed}; got {value!r}")
    for field, allowed in (("optimizer", get_args(Optimizer)), ("precision", get_args(Precision))):
        value = getattr(made, field)
        if value not in allowed:
            raise ValueError(f"unknown {field} {value!r}. {nearest(str(value), allowed)}")


def _is_count(value: Any) -> bool:
    """Whether a value is a whole number of at least 1."""
    return isinstance(value, int) and value >= 1


_COUNT = _is_count, "a whole number of at least 1"
# Written so that NaN, of which every comparison is false, is out of range.
_AMOUNT = (lambda value: 0 <= value < float("inf")), "0 or more"
_SHARE = (lambda value: 0 <= value < 1), "in [0, 1)"
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": _AMOUNT,
    "final_learning_rate": _AMOUNT,
    "warmup_epochs": _AMOUNT,
    "weight_decay": _AMOUNT,
    "momentum": _SHARE,
    "label_smoothing": _SHARE,
    "dropout": _SHARE,
    "drop_path": _SHARE,
    "auxiliary": _AMOUNT,
    "norm_momentum": ((lambda value: value is None or 0 < value <= 1), "in (0, 1], or None"),
    "clip_norm": ((lambda value: value is None or value > 0), "above 0, or None"),
}


def optimizer(
    made: Recipe, steps: int, rate: optax.Schedule | None = None
) -> optax.GradientTransformation:
    """Optimiser of a recipe, for epochs of `steps` steps, perhaps with another learning rate.

    Learning rates, weight decay, momentum and the norm to clip to may be inputs of a program.
    """
    rate = schedule(made, steps) if rate is None else rate
    # Clipped before the decay is added, as PyTorch does, whose optimisers decay: a limit on both
    # would shrink the gradient as weights grow.
    clip = [] if made.clip_norm is None else [optax.clip_by_global_norm(made.clip_norm)]
    # For no decay, too: its state holds nothing, and a 0 that is known is not computed with.
    decay = optax.add_decayed_weights(made.weight_decay)
    if made.optimizer == "sgd":
        move = [optax.trace(made.momentum, made.nesterov), optax.scale_by_learning_rate(rate)]
    else:
        # TensorFlow's: epsilon under the root, a first average of 1, momentum of the steps taken.
        scale = optax.scale_by_rms(decay=0.9, eps=1.0, initial_scale=1.0, eps_in_sqrt=True)
        move = [scale, optax.scale_by_learning_rate(rate), optax.trace(made.momentum)]
    return optax.chain(*clip, decay, *move)


def schedule(made: Recipe, steps: int) -> optax.Schedule:
    """Learning rate by step: a linear warm-up, then a cosine down to the final one."""
    # A warm-up as long as the training leaves no step for the cosine, whose length must be
    # positive.
    warmup, total = round(made.warmup_epochs * steps), made.epochs * steps
    share = _share(made.final_learning_rate, made.learning_rate)
    cosine = optax.cosine_decay_schedule(made.learning_rate, max(total - warmup, 1), share)
    by_step = cosine
    if warmup:
        grow = optax.linear_schedule(0.0, made.learning_rate, warmup)
        by_step = optax.join_schedules([grow, cosine], [warmup])
    if not made.by_epoch:
        return by_step

    def by_epoch(step: jax.Array) -> jax.Array:
        # The rate of the epoch's first step, as a scheduler that is called once an epoch has it.
        return jnp.asarray(by_step(step // steps * steps))

    return by_epoch


def _share(last: Any, first: Any) -> Any:
    """Last learning rate as a share of the first, as optax has it; 0 where the first is 0."""
    # Numbers of Python are divided in float64, and stay constants of the program.
    if isinstance(first, jax.Array):
        return jnp.where(first > 0, last / first, 0.0)
    return last / first if first else 0.0
