"""Steps of a weight-sharing search, which alternate between weights and the distribution."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from optax import tree_utils

from jnas import training
from jnas.oneshot.methods import Forward, Method
from jnas.training import steps as trainings
from jnas.training.recipes import optimizer, schedule
from jnas.types import Dataset, Images, Key, Network, Params, Trainer


class Setup(NamedTuple):
    """Setup of a search: network, method, recipe of the weights, steps in an epoch."""

    network: Network
    method: Method
    recipe: training.Recipe
    steps: int

    @property
    def rate(self) -> optax.Schedule:
        """Learning rate of the weights by step."""
        wave = self.method.wave
        if wave is None:
            return schedule(self.recipe, self.steps)
        high, low = self.recipe.learning_rate, self.recipe.final_learning_rate

        def by_epoch(step: Any) -> jax.Array:
            # Without a restart: after `wave` epochs the cosine rises again, as the released
            # scheduler does whose half period was set to 10 epochs.
            epoch = (step // self.steps).astype(jnp.float32)
            return low + (high - low) * (1 + jnp.cos(jnp.pi * epoch / wave)) / 2

        return by_epoch

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimiser of the weights."""
        return optimizer(self.recipe, self.steps, self.rate)


class Shared(NamedTuple):
    """Inputs that all searches of a call share.

    Attributes:
        data: images and labels.
        fit: `[n]` int32, the training images that weights are fitted to.
        choose: `[n']` int32, those that architectures are chosen by.
    """

    data: Dataset
    fit: jax.Array
    choose: jax.Array


def halves(dataset: Dataset) -> Shared:
    """Images and labels, and two halves of the training images; ValueError for fewer than four."""
    num = len(dataset.train.y)
    if num < 4:
        raise ValueError(f"a search needs at least 4 training images; {dataset.name} has {num}")
    # Fixed and not of the key, as the published halves are; in random order, for data sets that
    # come class by class.
    rows = np.random.default_rng(0).permutation(num).astype(np.int32)
    # Sorted, because steps shuffle them anyway: neighbours are then near each other in memory.
    parts = np.sort(rows[: num // 2]), np.sort(rows[num // 2 :])
    return Shared(dataset, *map(jnp.asarray, parts))


class State(NamedTuple):
    """State of a search between two steps.

    Attributes:
        params: weights of all operations.
        optimizer: state of their optimiser.
        alpha: parameters of the distribution over architectures.
        architecture: state of its optimiser.
        baseline: `[]`, of the rewards of a controller; NaN where there is none yet.
        failed_at: `[]` int32, the first epoch whose loss is not finite; 0 while there is none.
        seen: of the last epoch, means over its steps.
    """

    params: Params
    optimizer: Any
    alpha: Any
    architecture: Any
    baseline: jax.Array
    failed_at: jax.Array
    seen: "Seen"


class Seen(NamedTuple):
    """What a step has seen: `[]` loss and accuracy of the weights' batch, loss of the other."""

    loss: jax.Array
    accuracy: jax.Array
    choose_loss: jax.Array


def start(of: Setup, key: Key) -> State:
    """State before the first step."""
    params_key, alpha_key = jax.random.split(key)
    params = of.network.init(params_key)
    alpha = of.method.init(alpha_key, of.network.space)
    nan = jnp.full((), jnp.nan)
    moments = of.optimizer.init(params), of.method.architecture.optimizer.init(alpha)
    none = jnp.zeros((), jnp.int32)
    return State(params, moments[0], alpha, moments[1], nan, none, Seen(nan, nan, nan))


def drawn(of: Setup, key: Key, shared: Shared, size: int) -> tuple[jax.Array, jax.Array]:
    """Images and targets of a batch that is drawn from the second half, with replacement."""
    # With replacement, as released: the second half is no epoch that is gone through. Augmented as
    # for the weights, or the distribution would be fitted to easier images.
    row_key, image_key = jax.random.split(key)
    rows = shared.choose[jax.random.randint(row_key, (size,), 0, len(shared.choose))]
    return _augmented(of, image_key, shared.data, rows)


def _augmented(of: Setup, key: Key, data: Dataset, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Images and targets of training images `rows`, augmented as for the weights."""
    return trainings.augmented(of.recipe, key, Images(data.train.x[rows], data.train.y[rows]), data)


def loss_of(
    of: Setup,
    forward: Forward,
    batch: tuple[jax.Array, jax.Array],
    key: Key,
    share: jax.Array,
    params: Params,
    alpha: Any,
) -> tuple[jax.Array, jax.Array]:
    """Loss `[]` and accuracy `[]` of a forward pass on images and targets."""
    images, targets = batch
    # The loss in 32 bits whatever the forward pass has.
    logits = forward(of.network, params, alpha, key, share, images).astype(jnp.float32)
    return trainings.loss(of.recipe, logits, targets)


def step(
    of: Setup, state: State, key: Key, number: jax.Array, rows: jax.Array, shared: Shared
) -> tuple[State, Seen]:
    """State after one step, and what it has seen.

    Args:
        of: the search.
        state: before the step.
        key: consumed.
        number: `[]` int32 of the epoch, from 1.
        rows: `[batch]` int32, training images of the first half.
        shared: images and halves.
    """
    keys = jax.random.split(key, 4)
    # 0 in the first and 1 in the last epoch, so that GDAS ends at its lowest temperature; a search
    # of one epoch stays at 0.
    share = (number - 1).astype(jnp.float32) / max(of.recipe.epochs - 1, 1)
    fit_batch = _augmented(of, keys[0], shared.data, rows)
    fit_loss = functools.partial(loss_of, of, of.method.fit, fit_batch, keys[1], share)
    # No loss is NaN and not 0, which would look like a perfect one in the curves.
    if of.method.choose is None:
        state, loss, accuracy = _weights_moved(of, state, fit_loss)
        return state, Seen(loss, accuracy, jnp.full((), jnp.nan))
    batch = drawn(of, keys[2], shared, len(rows))
    choose_loss = functools.partial(loss_of, of, of.method.choose, batch, keys[3], share)
    # As released: the second order looks ahead from weights that this batch has not moved.
    if of.method.order == 2:
        state, chosen = _alpha_moved(of, state, number, fit_loss, choose_loss)
        state, loss, accuracy = _weights_moved(of, state, fit_loss)
    else:
        state, loss, accuracy = _weights_moved(of, state, fit_loss)
        state, chosen = _alpha_moved(of, state, number, fit_loss, choose_loss)
    return state, Seen(loss, accuracy, chosen)


_Loss = Callable[[Params, Any], tuple[jax.Array, jax.Array]]


def _weights_moved(of: Setup, state: State, loss: _Loss) -> tuple[State, jax.Array, jax.Array]:
    """State after an update of the weights, loss `[]` and accuracy `[]` before it."""
    (value, accuracy), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, state.alpha)
    params, moved = moved_by(of.optimizer, gradient, state.optimizer, state.params)
    return state._replace(params=params, optimizer=moved), value, accuracy


def moved_by(
    by: optax.GradientTransformation, gradient: Any, state: Any, params: Any
) -> tuple[Any, Any]:
    """Parameters and the state of an optimiser after an update."""
    # Optax mixes integers and floats.
    with jax.numpy_dtype_promotion("standard"):
        updates, after = by.update(gradient, state, params)
        return optax.apply_updates(params, updates), after


def _alpha_moved(
    of: Setup, state: State, number: jax.Array, fit_loss: _Loss, choose_loss: _Loss
) -> tuple[State, jax.Array]:
    """State after an update of the distribution, and its loss `[]` before it."""

    def move(state: State) -> tuple[State, jax.Array]:
        value, gradient = _alpha_gradient(of, state, fit_loss, choose_loss)
        # Added to the gradient and not to the loss, so that the curve shows the loss of the images
        # alone.
        if of.method.penalty is not None:
            gradient = jax.tree.map(jnp.add, gradient, jax.grad(of.method.penalty)(state.alpha))
        by = of.method.architecture.optimizer
        alpha, moved = moved_by(by, gradient, state.architecture, state.alpha)
        return state._replace(alpha=alpha, architecture=moved), value

    begin = of.method.architecture.begin
    if not begin:
        return move(state)
    # Adam rests too: its averages begin with the first gradient that counts.
    result: tuple[State, jax.Array] = lax.cond(
        number > begin, move, lambda state: (state, jnp.full((), jnp.nan)), state
    )
    return result


def _alpha_gradient(
    of: Setup, state: State, fit_loss: _Loss, choose_loss: _Loss
) -> tuple[jax.Array, Any]:
    """Loss `[]` of the distribution and its gradient, of the first or the second order."""
    if of.method.order == 1:
        (value, _), gradient = jax.value_and_grad(choose_loss, 1, has_aux=True)(
            state.params, state.alpha
        )
        return value, gradient
    # The step ahead is the optimiser's own next one but for two things, both as released: it has
    # the heavy ball's form, and its gradient is not clipped.
    momentum = jax.tree.map(
        lambda buffer: of.recipe.momentum * buffer, tree_utils.tree_get(state.optimizer, "trace")
    )
    # Optax mixes integers and floats.
    with jax.numpy_dtype_promotion("standard"):
        rate = of.rate(tree_utils.tree_get(state.optimizer, "count"))
    return unrolled(
        lambda params, alpha: fit_loss(params, alpha)[0],
        lambda params, alpha: choose_loss(params, alpha)[0],
        state.params,
        state.alpha,
        jnp.asarray(rate, jnp.float32),
        momentum,
        of.recipe.weight_decay,
    )


def unrolled(
    fit_loss: Callable[[Any, Any], jax.Array],
    choose_loss: Callable[[Any, Any], jax.Array],
    params: Any,
    alpha: Any,
    rate: jax.Array,
    momentum: Any,
    weight_decay: float,
) -> tuple[jax.Array, Any]:
    """Loss `[]` after one step of the weights, and its gradient with respect to `alpha`.

    DARTS, equations 6 to 8: w' = w - rate (momentum + dL_fit/dw + decay w), and the product with
    the second derivatives as the difference of two gradients .01 / |dL_choose/dw'| from w. The step
    has the form of heavy-ball momentum, as released, although the optimiser's is Nesterov's.

    Args:
        fit_loss: `(params, alpha) -> []`.
        choose_loss: the same, of the other images.
        params: weights before the step.
        alpha: parameters of the distribution.
        rate: `[]` of the step.
        momentum: what the buffer of the optimiser adds to the gradient, in the shape of `params`.
        weight_decay: of the weights.
    """

    def plus(one: Any, factor: jax.Array | float, other: Any) -> Any:
        return jax.tree.map(lambda x, y: x + factor * y, one, other)

    descent = plus(plus(momentum, 1.0, jax.grad(fit_loss)(params, alpha)), weight_decay, params)
    ahead = plus(params, -rate, descent)
    value, (direction, gradient) = jax.value_and_grad(choose_loss, (0, 1))(ahead, alpha)
    # One norm of all weights: the perturbation has the length .01, whatever the gradient's is.
    radius = 0.01 / optax.tree.norm(direction)
    # Two gradients in place of the product with second derivatives, which would be a backward pass
    # through another one, with the activations of both.
    of_alpha = jax.grad(fit_loss, 1)
    above = of_alpha(plus(params, radius, direction), alpha)
    below = of_alpha(plus(params, -radius, direction), alpha)
    return value, plus(gradient, -rate / (2 * radius), plus(above, -1.0, below))


# Kept by setup: a new function would be compiled anew, however equal it is.
@functools.lru_cache(64)
def trainer(of: Setup) -> Trainer:
    """Trainer of the engine whose jobs are keys, and whose `shared` is `Shared`."""

    def init(key: Key, shared: Shared) -> State:
        del shared
        # Epochs fold in their numbers, which begin with 1: 0 is free.
        return start(of, jax.random.fold_in(key, 0))

    def epoch(key: Key, number: jax.Array, state: State, shared: Shared) -> tuple[State, jax.Array]:
        state = _epoch(of, key, number, state, shared)
        return state, state.seen.loss

    def evaluate(key: Key, number: jax.Array, state: State, shared: Shared) -> dict[str, jax.Array]:
        del shared
        # A key that the epoch itself has not used, for methods that draw to tell their
        # probabilities.
        here = jax.random.fold_in(jax.random.fold_in(key, number), 1)
        probabilities = of.method.probabilities(of.network.space, here, state.alpha)
        return {"probabilities": probabilities, **state.seen._asdict()}

    return Trainer(of.recipe.epochs, init, epoch, lambda state: state, evaluate)


def _epoch(of: Setup, key: Key, number: jax.Array, state: State, shared: Shared) -> State:
    """State after an epoch, all of whose steps are one loop."""
    # From the number of the epoch: a search that was stopped goes on with what it would have drawn.
    order_key, step_key, after_key = jax.random.split(jax.random.fold_in(key, number), 3)
    alone = trainings.Setup(of.network, of.recipe, of.steps)
    rows = shared.fit[trainings.order(alone, order_key, len(shared.fit))]

    def one(state: State, at: tuple[jax.Array, jax.Array]) -> tuple[State, Seen]:
        place, rows = at
        return step(of, state, jax.random.fold_in(step_key, place), number, rows, shared)

    state, seen = lax.scan(one, state, (jnp.arange(of.steps, dtype=jnp.int32), rows))
    seen = jax.tree.map(jnp.mean, seen)
    failed = jnp.where((state.failed_at == 0) & ~jnp.isfinite(seen.loss), number, state.failed_at)
    state = state._replace(seen=seen, failed_at=failed)
    # After the failure is judged, by the loss of the weights: a controller has no say in it.
    if of.method.after is not None:
        state = of.method.after(of, state, after_key, number, shared)
    return state
