"""One step of a training, and what is measured between steps, for any program of a network.

Everything here is of one training, pure, and serves populations and single networks alike: a step
on a batch, the moments of batch norms over the training images, loss and accuracy on a part of the
data set.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from jnas import networks
from jnas.data import augment, normalise
from jnas.networks import Statistics
from jnas.training.recipes import Recipe, optimizer
from jnas.types import Arch, Dataset, Hooks, Images, Key, Network, Params

_EVALUATION_BATCH = 250  # images at a time; memory alone depends on it


class State(NamedTuple):
    """State of a training between two steps.

    Attributes:
        params: weights of the network.
        statistics: moving averages of its batch norms.
        optimizer: state of the optimiser.
        failed_at: `[]` int32, the first epoch whose loss is not finite; 0 while there is none.
        loss: `[]` mean loss of the last epoch's batches.
        accuracy: `[]` their accuracy.
    """

    params: Params
    statistics: list[Statistics]
    optimizer: Any
    failed_at: jax.Array
    loss: jax.Array
    accuracy: jax.Array


class Setup(NamedTuple):
    """Setup of a training: its network, its recipe, and the number of steps in an epoch."""

    network: Network
    recipe: Recipe
    steps: int

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimiser of the recipe."""
        return optimizer(self.recipe, self.steps)


def setup(network: Network, recipe: Recipe, dataset: Dataset) -> Setup:
    """Setup for a data set, whose training images may be fewer than a batch of the recipe."""
    # At least one step an epoch, whatever the recipe: a loop over no step would leave NaN as the
    # loss. The number is part of the setup, for schedules and shapes of programs follow from it.
    num = len(dataset.train.y)
    size = min(recipe.batch_size, num)
    return Setup(network, recipe._replace(batch_size=size), num // size)


def own_setup(of: Setup, arch: np.ndarray) -> Setup:
    """Setup for the network of one architecture `[D]`."""
    return of._replace(network=of.network.own(arch))


def start(of: Setup, key: Key, arch: Arch) -> State:
    """State before the first step."""
    # One init for all architectures, and then what this one has of it: a network of its own begins
    # with the same numbers as the same architecture in the program of all.
    params = of.network.instantiate(of.network.init(key), arch)
    none, nan = jnp.zeros((), jnp.int32), jnp.full((), jnp.nan, jnp.float32)
    statistics = networks.initial_statistics(params)
    return State(params, statistics, of.optimizer.init(params), none, nan, nan)


def order(of: Setup, key: Key, num: int) -> jax.Array:
    """Rows `[steps, batch]` int32 of the training images for the steps of an epoch."""
    # Cut after it was shuffled, so that other images are left out in each epoch. A shorter last
    # batch would be a program of its own, and weigh its images more.
    rows = jax.random.permutation(key, num)[: of.steps * of.recipe.batch_size]
    return rows.reshape(of.steps, -1).astype(jnp.int32)


class Seen(NamedTuple):
    """What a step has seen of its batch: `[]` loss, `[]` accuracy, and moments of batch norms."""

    loss: jax.Array
    accuracy: jax.Array
    moments: list[Statistics]


def step(
    of: Setup, state: State, arch: Arch, key: Key, number: jax.Array, batch: Images, data: Dataset
) -> tuple[State, Seen]:
    """State after one step, and what it has seen.

    Args:
        of: the training.
        state: before the step.
        arch: `[D]`.
        key: consumed.
        number: `[]` int32 of the epoch, from 1.
        batch: of training images.
        data: for its mean, deviation and classes.
    """
    # Two keys whatever the recipe uses: a recipe without dropout augments as one with it does.
    image_key, drop_key = jax.random.split(key)
    images, targets = augmented(of.recipe, image_key, batch, data)
    drops = drop_key, drop_rate(of.recipe, number)

    def loss_of(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        found, auxiliary = both_logits(of, params, arch, images, drops)
        mean, accuracy = loss(of.recipe, found, targets)
        if auxiliary is None or not of.recipe.auxiliary:
            return mean, (mean, accuracy)
        return mean + of.recipe.auxiliary * loss(of.recipe, auxiliary, targets)[0], (mean, accuracy)

    # Moments of batch norms come out as a gradient of zeros that are added here: as outputs, every
    # branch of a network that switches between operations would have to return those of all.
    params = networks.with_moments(state.params)
    # What is told is the loss of the network, without that of its auxiliary head.
    (_, (mean, accuracy)), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
    moments = networks.moments(gradient)
    # Optax mixes integers and floats.
    with jax.numpy_dtype_promotion("standard"):
        updates, moved = of.optimizer.update(
            networks.without_moments(gradient), state.optimizer, state.params
        )
        params = optax.apply_updates(state.params, updates)
    return state._replace(params=params, optimizer=moved), Seen(mean, accuracy, moments)


def augmented(made: Recipe, key: Key, batch: Images, data: Dataset) -> tuple[jax.Array, jax.Array]:
    """Images `[N, H, W, C]` float32 as a network reads them, and targets `[N, K]`, of a batch."""
    with jax.named_scope("augment"):
        one_hot = jax.nn.one_hot(batch.y, len(data.classes))
        images, targets = augment(key, batch.x, one_hot, made.augmentation, data)
    return images, targets


def drop_rate(made: Recipe, number: jax.Array) -> jax.Array:
    """Chance `[]` of an edge to be dropped in an epoch, which are counted from 1."""
    # From 0 on, and never quite the full chance: as the released code of DARTS counts epochs.
    return made.drop_path * (number - 1).astype(jnp.float32) / made.epochs


def loss(made: Recipe, answers: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy `[]` of logits `[N, K]`, with label smoothing, and their accuracy `[]`."""
    # Smoothed after mixup has mixed them; accuracy is by the targets before, or no answer would
    # ever be wholly right. An answer to mixed images is right by the share of the class it names.
    smooth = optax.smooth_labels(targets, made.label_smoothing)
    right = jnp.take_along_axis(targets, jnp.argmax(answers, axis=1)[:, None], axis=1)
    return jnp.mean(optax.softmax_cross_entropy(answers, smooth)), jnp.mean(right)


def logits(
    of: Setup, params: Params, arch: Arch, images: jax.Array, drops: tuple[Key, jax.Array] | None
) -> jax.Array:
    """Logits `[N, K]` float32, computed in the precision of the recipe.

    Args:
        of: the training.
        params: weights of the network.
        arch: `[D]`.
        images: `[N, H, W, C]`, normalised.
        drops: key and chance of an edge to be dropped; None drops nothing.
    """
    return both_logits(of, params, arch, images, drops)[0]


def both_logits(
    of: Setup, params: Params, arch: Arch, images: jax.Array, drops: tuple[Key, jax.Array] | None
) -> tuple[jax.Array, jax.Array | None]:
    """Logits as `logits` gives them, and those of an auxiliary head, None where there is none."""
    if of.recipe.precision == "bfloat16":
        params, images = _narrow(params), images.astype(jnp.bfloat16)
    # A chance that is an input of the program may be 0 or not.
    chance: Any = of.recipe.drop_path
    drop = hooks(of.recipe.dropout, isinstance(chance, jax.Array) or chance > 0)
    if drops is None or drop == Hooks():
        found = of.network.forward(params, arch, images, Hooks(), ())
    else:
        found = of.network.forward(params, arch, images, drop, drops)
    # The loss is a sum of exponentials over classes, of which eight bits would leave little.
    more = None if found.auxiliary is None else found.auxiliary.astype(jnp.float32)
    return found.logits.astype(jnp.float32), more


def _narrow(params: Params) -> Params:
    """Weights in bfloat16; statistics and moments of batch norms stay as they are."""

    def cast(path: Any, leaf: jax.Array) -> jax.Array:
        # In bfloat16 the gradient that holds a batch's moments would keep three digits of them, and
        # moving averages would stand still where they should move by less.
        is_statistic = getattr(path[-1], "key", None) in ("mean", "var", "moments")
        return leaf if is_statistic else leaf.astype(jnp.bfloat16)

    return jax.tree_util.tree_map_with_path(cast, params)


# Equal rates give the same object, so that networks that see them are traced once.
@functools.cache
def hooks(dropout: float, drops_paths: bool) -> Hooks:
    """Hooks whose state is a key and the chance of an edge to be dropped."""

    def on_features(state: tuple[Key, jax.Array], features: jax.Array) -> jax.Array:
        # `on_edge` splits the key of the state; a number folded in gives one that no edge has had.
        kept = jax.random.bernoulli(jax.random.fold_in(state[0], 1), 1 - dropout, features.shape)
        return jnp.where(kept, features / (1 - dropout), 0)

    def on_edge(
        state: tuple[Key, jax.Array], value: jax.Array, can_drop: jax.Array
    ) -> tuple[tuple[Key, jax.Array], jax.Array]:
        key, rate = state
        key, here = jax.random.split(key)
        # For an image the whole edge or nothing, as in DARTS; and what is kept grows, so that the
        # mean of what a node sums is that of an evaluation, where nothing is dropped.
        kept = jax.random.bernoulli(here, 1 - rate, (len(value), 1, 1, 1))
        dropped = value * (kept.astype(jnp.float32) / (1 - rate)).astype(value.dtype)
        return (key, rate), jnp.where(can_drop, dropped, value)

    return Hooks(
        on_features=on_features if dropout else None, on_edge=on_edge if drops_paths else None
    )


def averaged(
    weight: float, statistics: list[Statistics], seen: list[Statistics]
) -> list[Statistics]:
    """Moving averages after a batch of the moments `seen`, which has a weight in (0, 1]."""
    result: list[Statistics] = jax.tree.map(
        lambda old, new: (1 - weight) * old + weight * new, statistics, seen
    )
    return result


def over_epoch(moments: list[Statistics]) -> list[Statistics]:
    """Statistics of all batches together, of their moments with a leading axis of batches."""
    # The variance of everything: that within batches and that of their means.
    return [
        Statistics(jnp.mean(m.mean, axis=0), jnp.mean(m.var, axis=0) + jnp.var(m.mean, axis=0))
        for m in moments
    ]


def precise(of: Setup, params: Params, arch: Arch, rows: jax.Array, data: Dataset) -> Any:
    """Statistics over the training images `rows` `[steps, batch]`, not augmented.

    Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, https://arxiv.org/abs/2105.07576,
    section 3: the moments of batches with weights that do not move.
    """
    weights = networks.with_moments(params)

    def of_batch(_: None, rows: jax.Array) -> tuple[None, list[Statistics]]:
        images = normalise(data.train.x[rows], data)
        gradient = jax.grad(lambda w: jnp.sum(logits(of, w, arch, images, None)))(weights)
        return None, networks.moments(gradient)

    return over_epoch(lax.scan(of_batch, None, rows)[1])


def measure(
    of: Setup, state: State, arch: Arch, part: Images, data: Dataset
) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy `[]` and accuracy `[]` on a part; NaN where it has no images."""
    num = len(part.y)
    if num == 0:
        return jnp.full((), jnp.nan), jnp.full((), jnp.nan)
    # A part of a few images would else be filled up to a whole batch of copies.
    size = min(num, _EVALUATION_BATCH)
    # The last batch is filled up with the last image, which counts for nothing there.
    rows = jnp.arange(-(-num // size) * size, dtype=jnp.int32).reshape(-1, size)
    params = networks.with_statistics(state.params, state.statistics)

    def of_batch(_: None, rows: jax.Array) -> tuple[None, tuple[jax.Array, jax.Array]]:
        known, rows = (rows < num).astype(jnp.float32), jnp.minimum(rows, num - 1)
        answers = logits(of, params, arch, normalise(part.x[rows], data), None)
        labels = part.y[rows]
        losses = optax.softmax_cross_entropy_with_integer_labels(answers, labels)
        right = (jnp.argmax(answers, axis=1) == labels).astype(jnp.float32)
        return None, (jnp.sum(losses * known), jnp.sum(right * known))

    _, (losses, right) = lax.scan(of_batch, None, rows)
    # Sums over all images, and not a mean over batches, whose last one is partly filling.
    return jnp.sum(losses) / num, jnp.sum(right) / num


def metrics(of: Setup, state: State, arch: Arch, data: Dataset) -> dict[str, jax.Array]:
    """Loss and accuracy `[]` on all parts; on training images those of the last epoch's steps."""
    result = {"train_loss": state.loss, "train_accuracy": state.accuracy}
    for name, part in (("validation", data.validation), ("test", data.test)):
        result[f"{name}_loss"], result[f"{name}_accuracy"] = measure(of, state, arch, part, data)
    return result


def after_epoch(state: State, number: jax.Array, losses: jax.Array, accuracies: jax.Array) -> State:
    """State with the mean loss and accuracy of an epoch's steps `[steps]`, and its failure."""
    loss = jnp.mean(losses)
    # The first epoch stays: from then on every loss is NaN, and the last would be named.
    failed = jnp.where((state.failed_at == 0) & ~jnp.isfinite(loss), number, state.failed_at)
    return state._replace(loss=loss, accuracy=jnp.mean(accuracies), failed_at=failed)
