"""One step of a supernet's training: sampled architectures, their gradient, its update."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jnas.networks import weights
from jnas.oneshot.recipes import Plateau, Recipe
from jnas.oneshot.samplers import Sampler
from jnas.oneshot.sharing import Sharing
from jnas.training import steps as trainings
from jnas.training.recipes import optimizer
from jnas.types import Arch, Dataset, Images, Key, Params


class Setup(NamedTuple):
    """Setup of a supernet's training.

    Attributes:
        sharing: of the weights.
        recipe: of the training.
        steps: in an epoch.
        is_parallel: whether the images of a step are spread over all devices.
    """

    sharing: Sharing
    recipe: Recipe
    steps: int
    is_parallel: bool = False

    @property
    def alone(self) -> trainings.Setup:
        """Setup of a training of one network, by the same recipe."""
        return trainings.Setup(self.sharing.network, self.recipe.training, self.steps)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimiser of the recipe, before the plateau."""
        return optimizer(self.recipe.training, self.steps)


class Rate(NamedTuple):
    """Factor of the learning rate that plateaus have cut.

    Attributes:
        scale: `[]` of the schedule's rate.
        best: `[]`, the lowest loss of an epoch.
        num_bad: `[]` int32, epochs since then.
    """

    scale: jax.Array
    best: jax.Array
    num_bad: jax.Array


class State(NamedTuple):
    """State of a supernet's training between two steps.

    Attributes:
        params: weights of the supernet.
        optimizer: state of the optimiser.
        rate: of the plateau.
        failed_at: `[]` int32, the first epoch whose loss is not finite; 0 while there is none.
        loss: `[]` mean loss of the last epoch's sampled architectures.
        accuracy: `[]` their accuracy.
        kept: weights `[K, ...]` after the epochs that are asked for.
    """

    params: Params
    optimizer: Any
    rate: Rate
    failed_at: jax.Array
    loss: jax.Array
    accuracy: jax.Array
    kept: Params


class Seen(NamedTuple):
    """What a step has seen.

    Attributes:
        loss: `[]`, mean over the architectures that it has trained; 0 where all were rejected.
        accuracy: `[]`, likewise.
        num: `[]` float32, architectures that it has trained.
    """

    loss: jax.Array
    accuracy: jax.Array
    num: jax.Array


def start(of: Setup, key: Key, num_kept: int) -> State:
    """State before the first step, with room for the weights of `num_kept` epochs."""
    params = of.sharing.network.init(key)
    none, nan = jnp.zeros((), jnp.int32), jnp.full((), jnp.nan)
    # Room for all from the first epoch on: a program's state must not grow.
    kept = jax.tree.map(lambda leaf: jnp.zeros((num_kept, *leaf.shape), leaf.dtype), params)
    return State(params, of.optimizer.init(params), first_rate(), none, nan, nan, kept)


def first_rate() -> Rate:
    """Rate before the first epoch."""
    return Rate(jnp.ones(()), jnp.full((), jnp.inf), jnp.zeros((), jnp.int32))


def step(
    of: Setup,
    sampler: Sampler,
    state: State,
    key: Key,
    number: jax.Array,
    batch: Images,
    data: Dataset,
) -> tuple[State, Seen]:
    """State after one step, and what it has seen.

    Args:
        of: the training.
        sampler: of architectures.
        state: before the step.
        key: consumed.
        number: `[]` int32 of the epoch, from 1.
        batch: of training images.
        data: for its mean, deviation and classes.
    """
    sample_key, image_key, drop_key = jax.random.split(key, 3)
    archs, used = sampler(sample_key, number)
    # Augmented once for all architectures of the step, as published: their losses then differ by
    # the architectures and not by crops.
    images, targets = trainings.augmented(of.recipe.training, image_key, batch, data)

    def loss_of(params: Params, arch: Arch, key: Key) -> tuple[jax.Array, jax.Array]:
        logits = _logits(of, params, arch, images, key, number)
        return trainings.loss(of.recipe.training, logits, targets)

    keys = jax.random.split(drop_key, len(archs))
    gradient, present, seen = _gradient(of, loss_of, state.params, (archs, keys, used))
    return _moved(of, state, gradient, present, number), seen


def _logits(
    of: Setup, params: Params, arch: Arch, images: jax.Array, key: Key, number: jax.Array
) -> jax.Array:
    """Logits `[N, K]` of one sampled architecture in a training step."""
    if of.sharing.logits is not None:
        return of.sharing.logits(params, arch, images, key, number)
    drops = key, trainings.drop_rate(of.recipe.training, number)
    return trainings.logits(of.alone, params, arch, images, drops)


def _gradient(
    of: Setup, loss_of: Any, params: Params, rows: tuple[Any, ...]
) -> tuple[Params, Params, Seen]:
    """Averaged gradient, layers that it is of (0 or 1, for each weight), and what was seen."""
    differentiate = jax.value_and_grad(loss_of, has_aux=True)

    def of_one(row: tuple[Any, ...]) -> Any:
        arch, key, used = row

        def compute() -> Any:
            values, gradient = differentiate(params, arch, key)
            return gradient, _layers(gradient), jnp.stack(values)

        # Rejected ones are not computed.
        return lax.cond(used, compute, lambda: _zeros(compute))

    # A loop of one would hold its sums beside the gradient: all weights once more.
    if len(rows[-1]) == 1:
        total, counts, seen = of_one(jax.tree.map(lambda x: x[0], rows))
    else:
        # One after the other, added up as they come: side by side each would hold its activations
        # and a gradient of all weights.
        none = _zeros(lambda: of_one(jax.tree.map(lambda x: x[0], rows)))
        total, counts, seen = lax.scan(
            lambda sums, row: (jax.tree.map(jnp.add, sums, of_one(row)), None), none, rows
        )[0]
    num = jnp.sum(rows[-1]).astype(jnp.float32)
    # Where all are rejected, zeros and not NaN, which would end in the weights.
    divisor = jnp.maximum(num, 1)
    # By use, an operation that one of five fair samples has keeps its gradient as it is, while the
    # stem, which all have, gets the mean. Divided by five, operations would learn at a fifth of the
    # rate.
    divisors = counts if of.recipe.average == "use" else jax.tree.map(lambda _: divisor, counts)
    mean = jax.tree.map(lambda x, count: x / jnp.maximum(count, 1), total, divisors)
    present = jax.tree.map(lambda count: (count > 0).astype(jnp.float32), counts)
    loss, accuracy = seen / divisor
    return mean, present, Seen(loss, accuracy, num)


def _zeros(function: Callable[[], Any]) -> Any:
    """Zeros in the shapes of what a function returns."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function))


def _layers(gradient: Params) -> Params:
    """Tree of 0 and 1 that broadcast to the leaves: 1 for the layers that a gradient is of.

    A layer that an architecture lacks, or that lies on no path to its logits, has a gradient of
    exact zeros. Weights that belong to no layer, norms beside none, are of all architectures.
    """

    def of_layer(layer: dict[str, Any], name: str) -> dict[str, Any]:
        kernel = layer[name]
        axes = weights.layer_axes(kernel)
        # The kernel speaks for its bias and its norm: before a norm of the batch's own mean, a bias
        # has no gradient in any architecture.
        present = jnp.any(kernel != 0, axis=axes).astype(jnp.float32)

        def spread(leaf: jax.Array) -> jax.Array:
            return present.reshape(present.shape + (1,) * (leaf.ndim - present.ndim))

        marked: dict[str, Any] = jax.tree.map(spread, layer)
        return marked

    marked: Params = weights.map_layers(of_layer, gradient)
    # `map_layers` has left what is in no layer as it was.
    return jax.tree.map(
        lambda mark, leaf: jnp.ones((1,) * leaf.ndim) if mark is leaf else mark, marked, gradient
    )


def _moved(of: Setup, state: State, gradient: Params, present: Params, number: jax.Array) -> State:
    """State after the update by a gradient, in an epoch."""
    # Optax mixes integers and floats.
    with jax.numpy_dtype_promotion("standard"):
        updates, moved = of.optimizer.update(gradient, state.optimizer, state.params)
        # Updates are masked and not gradients, because weight decay and momentum come in between;
        # and momentum stays as it was, which would else fade while a layer waits for its next turn.
        if of.recipe.is_masked:
            updates = jax.tree.map(jnp.multiply, updates, present)
            moved = _with_momentum(
                lambda new, old: jax.tree.map(_where_present, new, old, present),
                moved,
                state.optimizer,
            )
        # Here and not before the optimiser: the gradient of what rests still counts in the norm
        # that all are clipped by.
        if of.sharing.moves is not None:
            updates = jax.tree.map(jnp.multiply, updates, of.sharing.moves(state.params, number))
        # On the updates, after the momentum, because PyTorch's rate multiplies the buffer when it
        # is used: a cut then acts at once, on the momentum of earlier steps too.
        scaled = jax.tree.map(lambda update: state.rate.scale * update, updates)
        params = optax.apply_updates(state.params, scaled)
    return state._replace(params=params, optimizer=moved)


def _where_present(new: jax.Array, old: jax.Array, present: jax.Array) -> jax.Array:
    """New values of layers that are present, old ones of the others."""
    return jnp.where(present > 0, new, old)


def _with_momentum(function: Callable[..., Params], *states: Any) -> Any:
    """State of an optimiser, the first one, with `function` of the momenta of all of them."""

    def change(*leaves: Any) -> Any:
        # By type and not by place: clipping and weight decay are in the chain for some recipes
        # only.
        if not isinstance(leaves[0], optax.TraceState):
            return leaves[0]
        return optax.TraceState(function(*(leaf.trace for leaf in leaves)))

    return jax.tree.map(change, *states, is_leaf=lambda leaf: isinstance(leaf, optax.TraceState))


def before_epoch(of: Setup, state: State, key: Key, number: jax.Array) -> State:
    """State at the beginning of an epoch: grown weights, momentum and rate begun anew."""
    sharing = of.sharing
    if sharing.grow is not None:
        state = state._replace(params=sharing.grow(key, number, state.params))
    if not sharing.restarts:
        return state
    restarts = jnp.isin(number, jnp.array(sharing.restarts))

    # The count of the schedule goes on: a cosine ends with the last epoch.
    fresh = _with_momentum(
        lambda trace: jax.tree.map(lambda x: jnp.where(restarts, 0, x), trace), state.optimizer
    )
    rate = jax.tree.map(lambda new, old: jnp.where(restarts, new, old), first_rate(), state.rate)
    return state._replace(optimizer=fresh, rate=rate)


def after_epoch(
    of: Setup, state: State, number: jax.Array, seen: Seen, epochs: tuple[int, ...]
) -> State:
    """State with what an epoch's steps have seen `[steps]`, its plateau and its weights kept.

    Args:
        of: the training.
        state: after the last step.
        number: `[]` int32 of the epoch.
        seen: each array `[steps]`.
        epochs: whose weights are kept.
    """
    # Steps that have trained nothing have no loss, and a 0 for it would be a perfect one. An epoch
    # of such steps alone has NaN, which is neither a failure nor better for the plateau.
    trained = seen.num > 0
    loss = jnp.mean(seen.loss, where=trained)
    has_failed = (state.failed_at == 0) & jnp.any(trained) & ~jnp.isfinite(loss)
    state = state._replace(
        loss=loss,
        accuracy=jnp.mean(seen.accuracy, where=trained),
        failed_at=jnp.where(has_failed, number, state.failed_at),
    )
    if of.recipe.plateau is not None:
        state = state._replace(rate=next_rate(of.recipe.plateau, state.rate, loss))
    if not epochs:
        return state
    # A mask and no index: most epochs have no place, and the number is not known while tracing.
    is_kept = jnp.array(epochs) == number

    def keep(kept: jax.Array, leaf: jax.Array) -> jax.Array:
        return jnp.where(is_kept.reshape((-1,) + (1,) * leaf.ndim), leaf[None], kept)

    return state._replace(kept=jax.tree.map(keep, state.kept, state.params))


def next_rate(plateau: Plateau, rate: Rate, loss: jax.Array) -> Rate:
    """Rate after an epoch of a mean loss `[]`, as PyTorch's ReduceLROnPlateau has it."""
    is_better = loss < rate.best * (1 - plateau.threshold)
    # A loss that is not finite is never better: comparisons with NaN are false.
    num_bad = jnp.where(is_better, 0, rate.num_bad + 1)
    # More than the patience: a loss that stays halves the rate after 31 epochs and not 30.
    is_cut = num_bad > plateau.patience
    return Rate(
        jnp.where(is_cut, plateau.factor * rate.scale, rate.scale),
        jnp.where(is_better, loss, rate.best),
        jnp.where(is_cut, 0, num_bad),
    )
