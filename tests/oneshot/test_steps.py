"""Steps of a supernet: whose weights move, by which gradient, at which rate."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import oneshot
from jnas.data import normalise
from jnas.oneshot import samplers, steps
from jnas.oneshot.steps import Rate, Setup, next_rate, start, step
from jnas.training import steps as trainings
from jnas.types import Dataset, Images, Network

# A path by node 1; an edge whose end leads nowhere; a pool.
ARCH = np.array([3, 2, 4, 1, 3, 0], np.int32)
NUMBER = jnp.int32(1)


@functools.partial(jax.jit, static_argnums=0)
def stepped(of: Setup, archs: Any, used: Any, state: Any, data: Dataset) -> Any:
    batch = Images(data.train.x[:16], data.train.y[:16])
    return step(of, lambda *_: (archs, used), state, jax.random.key(1), NUMBER, batch, data)[0]


def one_step(of: Setup, archs: Any, data: Dataset, state: Any = None, used: Any = None) -> Any:
    """State before and after a step that trains the architectures of a list."""
    before = start(of, jax.random.key(0), 0) if state is None else state
    counts = jnp.ones(len(archs), bool) if used is None else jnp.asarray(used)
    return before, stepped(of, jnp.asarray(archs), counts, before, data)


@functools.partial(jax.jit, static_argnums=0)
def gradient_of(of: Setup, params: Any, arch: Any, data: Dataset) -> Any:
    """Gradient of the loss of one architecture on the batch of `one_step`."""
    batch = Images(data.train.x[:16], data.train.y[:16])

    def loss(params: Any) -> jax.Array:
        logits = of.sharing.network.apply(params, arch, normalise(batch.x, data))
        targets = jax.nn.one_hot(batch.y, len(data.classes))
        return trainings.loss(of.recipe.training, logits, targets)[0]

    return jax.grad(loss)(params)


@pytest.fixture
def plain(network: Network, recipe: oneshot.Recipe) -> Setup:
    """Setup without decay, momentum and clipping: a step is the gradient times the rate."""
    made = recipe.training._replace(weight_decay=0.0, momentum=0.0, clip_norm=None)
    return Setup(oneshot.Sharing(network), recipe._replace(training=made), 3)


def moved(before: Any, after: Any) -> Any:
    return jax.tree.map(lambda b, a: np.asarray(b - a) / 0.05, before.params, after.params)


def test_only_what_is_sampled_and_used_moves(plain: Setup, stripes: Dataset) -> None:
    before, after = one_step(plain, ARCH[None], stripes)
    change = moved(before, after)
    stage = change["stages"][0]
    for name, op in (("conv1x1", 2), ("conv3x3", 3)):
        is_moved = np.any(stage[name]["conv"] != 0, axis=(2, 3, 4, 5))
        # Edge 1 is a 1x1 convolution into node 2, from which nothing leads on.
        used = (op == ARCH) & (np.arange(6) != 1)
        np.testing.assert_array_equal(is_moved, used[None])
    gradient = gradient_of(plain, before.params, ARCH, stripes)
    for one, other in zip(jax.tree.leaves(change), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("average", ["use", "samples"])
def test_gradients_are_averaged_by_use(plain: Setup, stripes: Dataset, average: Any) -> None:
    archs = np.array([[3, 3, 3, 3, 3, 3], [2, 2, 2, 3, 2, 2], [1, 1, 1, 1, 2, 1]], np.int32)
    of = plain._replace(recipe=plain.recipe._replace(average=average))
    before, after = one_step(of, archs, stripes)
    each = [gradient_of(plain, before.params, arch, stripes) for arch in archs]
    total = jax.tree.map(lambda *leaves: sum(np.asarray(leaf) for leaf in leaves), *each)
    change = moved(before, after)

    def close(one: Any, other: Any) -> None:
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)

    close(change["stem"]["conv"], total["stem"]["conv"] / 3)
    close(change["dense"]["kernel"], total["dense"]["kernel"] / 3)
    by_edge = total["stages"][0]["conv3x3"]["conv"]
    # Edge 3 is a 3x3 convolution in two of the three, the others in one.
    divisor = np.array([1, 1, 1, 2, 1, 1]) if average == "use" else np.full(6, 3)
    close(
        change["stages"][0]["conv3x3"]["conv"], by_edge / divisor[None, :, None, None, None, None]
    )


def test_rejected_architectures_count_for_nothing(plain: Setup, stripes: Dataset) -> None:
    archs = np.stack([ARCH, np.full(6, 3, np.int32)])
    _, after = one_step(plain, archs, stripes, used=[True, False])
    _, alone = one_step(plain, ARCH[None], stripes)
    for one, other in zip(
        jax.tree.leaves(after.params), jax.tree.leaves(alone.params), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_masked", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_is_not_sampled_decays_unless_it_is_masked(
    network: Network, recipe: oneshot.Recipe, stripes: Dataset, is_masked: bool
) -> None:
    made = recipe.training._replace(weight_decay=0.01, clip_norm=None)
    of = Setup(oneshot.Sharing(network), recipe._replace(training=made, is_masked=is_masked), 3)
    _, first = one_step(of, np.full((1, 6), 3, np.int32), stripes)
    _, second = one_step(of, np.full((1, 6), 2, np.int32), stripes, first)
    kernel = lambda state: np.asarray(state.params["stages"][0]["conv3x3"]["conv"])  # noqa: E731
    momentum = np.asarray(first.optimizer[1].trace["stages"][0]["conv3x3"]["conv"])
    wanted = 0 if is_masked else 0.05 * (0.01 * kernel(first) + 0.9 * momentum)
    np.testing.assert_allclose(kernel(first) - kernel(second), wanted, rtol=1e-3, atol=1e-6)
    kept = np.asarray(second.optimizer[1].trace["stages"][0]["conv3x3"]["conv"])
    wanted = momentum if is_masked else 0.01 * kernel(first) + 0.9 * momentum
    np.testing.assert_allclose(kept, wanted, rtol=1e-4, atol=1e-6)


def test_steps_that_train_nothing_have_no_loss(network: Network, recipe: oneshot.Recipe) -> None:
    of = Setup(oneshot.Sharing(network), recipe._replace(plateau=oneshot.Plateau()), 3)
    state = start(of, jax.random.key(0), 0)

    def after(losses: list[float], num: list[float]) -> Any:
        values = jnp.array(losses)
        seen = steps.Seen(values, values / 2, jnp.array(num))
        return steps.after_epoch(of, state, NUMBER, seen, ())

    found = after([2.0, 0.0, 4.0], [5.0, 0.0, 1.0])
    assert (float(found.loss), float(found.accuracy), float(found.rate.best)) == (3.0, 1.5, 3.0)
    assert int(after([2.0, float("nan"), 4.0], [5.0, 1.0, 1.0]).failed_at) == 1
    nothing = after([0.0] * 3, [0.0] * 3)
    assert np.isnan(float(nothing.loss))
    assert int(nothing.failed_at) == 0
    assert (float(nothing.rate.best), int(nothing.rate.num_bad)) == (np.inf, 1)


def test_the_plateau_is_that_of_pytorch() -> None:
    plateau = oneshot.Plateau()
    move = jax.jit(lambda rate, loss: next_rate(plateau, rate, loss))
    rate, cuts = steps.first_rate(), []
    for epoch in range(1, 95):
        scale = float(rate.scale)
        rate = move(rate, jnp.float32(1.0))
        cuts += [epoch] if float(rate.scale) < scale else []
    # The first epoch is the best one; then the 31st that is no better cuts.
    assert cuts == [32, 63, 94]
    assert float(rate.scale) == 0.125
    # Random losses, against PyTorch's rule written out.
    losses = np.random.default_rng(0).exponential(size=300).astype(np.float32)
    made = oneshot.Plateau(0.5, 4, 1e-2)
    rate, best, num_bad, scale = Rate(*steps.first_rate()), np.inf, 0, 1.0
    for loss in losses:
        rate = next_rate(made, rate, jnp.asarray(loss))
        best, num_bad = (loss, 0) if loss < best * (1 - 1e-2) else (best, num_bad + 1)
        if num_bad > 4:
            scale, num_bad = scale * 0.5, 0
        assert float(rate.scale) == pytest.approx(scale)


def test_restarts_empty_momentum_and_begin_the_rate_anew(
    network: Network, recipe: oneshot.Recipe
) -> None:
    def grow(key: Any, number: Any, params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf + number.astype(jnp.float32), params)

    of = Setup(oneshot.Sharing(network, grow=grow, restarts=(3,)), recipe, 3)
    state = start(of, jax.random.key(0), 0)
    trace = jax.tree.map(jnp.ones_like, state.params)
    chain = list(state.optimizer)
    place = next(n for n, part in enumerate(chain) if hasattr(part, "trace"))
    chain[place] = chain[place]._replace(trace=trace)
    rate = Rate(jnp.float32(0.25), jnp.float32(1), jnp.int32(2))
    state = state._replace(optimizer=tuple(chain), rate=rate)
    for number, kept in ((2, 1.0), (3, 0.0)):
        found = steps.before_epoch(of, state, jax.random.key(0), jnp.int32(number))
        for leaf in jax.tree.leaves(found.optimizer[place].trace):
            np.testing.assert_array_equal(leaf, kept)
        assert float(found.rate.scale) == (0.25 if kept else 1.0)
        difference = found.params["stem"]["conv"] - state.params["stem"]["conv"]
        np.testing.assert_allclose(difference, number, rtol=1e-6)


@pytest.mark.slow
def test_samplers_are_arguments(plain: Setup) -> None:
    one, other = (samplers.listed(np.full((4, 6), op, np.int32)) for op in (1, 2))
    assert jax.tree.structure(one) == jax.tree.structure(other)
