"""The switch for populations against a loop: values, two orders of gradients, what it computes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.networks import control, grouped

BRANCHES = (
    lambda x, w: (jnp.zeros_like(x), jnp.zeros(())),
    lambda x, w: (x * w["a"][None], jnp.sum(w["a"])),
    lambda x, w: (jnp.sin(x @ w["m"]), jnp.max(x)),
    lambda x, w: (x, jnp.ones(())),
)
CHOICES = {
    "mixed": [2, 0, 3, 1, 2, 2, 1, 0, 3, 2, 1],
    "one branch": [1] * 11,
    "two branches": [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "one row": [2],
    "two blocks each": list(np.random.default_rng(0).integers(0, 4, 50)),
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def weights(*batch):
    return {"a": normal(*batch, 3, seed=1), "m": normal(*batch, 3, 3, seed=2)}


def loss(index, x, w):
    value, extra = control.switch(index, BRANCHES, x, w)
    return jnp.sum(jnp.cos(value)) + extra**2


def loss_of(choice):
    """`loss` without a switch."""

    def own(x, w):
        value, extra = BRANCHES[choice](x, w)
        return jnp.sum(jnp.cos(value)) + extra**2

    return own


def row(tree, number):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[number], tree)


def assert_rows_equal(found, of_row, num):
    for number in range(num):
        jax.tree.map(
            lambda got, expected: np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6),
            row(found, number),
            of_row(number),
        )


@functools.cache
def of_population(shared):
    """`(index, x, w) -> (values, gradients of the loss)`, weights shared by all rows or not."""

    def of_one(index, x, w):
        values = control.switch(index, BRANCHES, x, w)
        return values, jax.grad(loss, (1, 2))(index, x, w)

    return jax.jit(jax.vmap(of_one, (0, 0, None if shared else 0)))


@functools.cache
def of_branch(choice):
    """`of_population` of one row, without a switch."""

    def of_one(x, w):
        return BRANCHES[choice](x, w), jax.grad(loss_of(choice), (0, 1))(x, w)

    return jax.jit(of_one)


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("shared", [True, False])
def test_equals_a_loop_in_values_and_gradients(choices, shared):
    num = len(choices)
    x, w = normal(num, 2, 3), weights() if shared else weights(num)
    found = of_population(shared)(np.asarray(choices, np.int32), x, w)

    def of_row(number):
        return of_branch(choices[number])(x[number], w if shared else row(w, number))

    assert_rows_equal(found, of_row, num)


def test_forward_derivative_of_the_gradient_equals_a_loop():
    """As grasp has it: shared weights, of which one moves."""
    choices = CHOICES["mixed"]
    x, w = normal(11, 2, 3), weights()

    def slope(gradient):
        return lambda shift: jax.jvp(gradient, (shift,), (jnp.ones(()),))[1]

    def moved(t):
        return w | {"m": (1 + t) * w["m"]}

    def of_population(index, x):
        return slope(lambda t: jax.grad(loss, (1, 2))(index, x, moved(t)))(jnp.zeros(()))

    found = jax.jit(jax.vmap(of_population))(jnp.asarray(choices), x)

    @functools.cache
    def slope_of(choice):
        gradient = jax.grad(loss_of(choice), (0, 1))
        return jax.jit(lambda x: slope(lambda t: gradient(x, moved(t)))(jnp.zeros(())))

    assert_rows_equal(found, lambda number: slope_of(choices[number])(x[number]), 11)
    assert np.abs(found[1]["m"][0]).max() > 0.1  # branch 2: it does depend on what moves


@pytest.mark.parametrize("mapped", [(None, 0), (0, None)])
def test_either_the_choice_or_the_operand_may_be_shared(mapped):
    index = np.asarray(2 if mapped[0] is None else [2, 1, 0], np.int32)
    x, w = normal(*((3,) if mapped[1] == 0 else ()), 2, 3), weights()
    found = jax.jit(jax.vmap(lambda i, x: grouped.switch(i, BRANCHES, x, w), mapped))(index, x)

    def of_row(n):
        choice = int(np.broadcast_to(index, 3)[n])
        return of_branch(choice)(x[n] if mapped[1] == 0 else x, w)[0]

    assert_rows_equal(found, of_row, 3)


def test_choices_out_of_range_are_clamped_as_in_a_switch():
    x, w = normal(4, 2, 3), weights()
    switch = jax.jit(jax.vmap(lambda i, x: grouped.switch(i, BRANCHES, x, w)))
    found = switch(np.array([-3, 0, 3, 9], np.int32), x)
    assert_rows_equal(found, lambda n: of_branch((0, 0, 3, 3)[n])(x[n], w)[0], 4)


def test_within_two_vmaps():
    index, x, w = np.array([[2, 1, 0], [3, 3, 1]], np.int32), normal(2, 3, 2, 3), weights()
    switch = jax.vmap(jax.vmap(lambda i, x: grouped.switch(i, BRANCHES, x, w)))
    found = jax.jit(switch)(index, x)
    for outer in range(2):
        assert_rows_equal(
            row(found, outer), lambda n, o=outer: of_branch(int(index[o, n]))(x[o, n], w)[0], 3
        )


@pytest.mark.parametrize("num_rows", [1, 3, 10, 64, 333])
@pytest.mark.parametrize("num_branches", [2, 5])
def test_every_row_has_a_slot_in_a_block_of_its_branch(num_rows, num_branches):
    size = grouped.block_size(num_rows, num_branches)
    rng = np.random.default_rng(num_rows)
    worst = np.arange(num_rows) % num_branches  # and one row more than full blocks in each branch
    blocks_of = jax.jit(grouped._blocks, static_argnums=1)
    for index in (
        rng.integers(0, num_branches, num_rows),
        np.zeros(num_rows, int),
        worst,
        np.minimum(worst, 1),
    ):
        branch, rows, slots = (
            np.asarray(part) for part in blocks_of(index.astype(np.int32), num_branches)
        )
        assert rows.shape == (len(branch), size)
        assert len(np.unique(slots)) == num_rows
        np.testing.assert_array_equal(rows.ravel()[slots], np.arange(num_rows))
        np.testing.assert_array_equal(branch[slots // size], index)
        needed = sum(-(-count // size) for count in np.bincount(index, minlength=num_branches))
        assert np.sum(branch < num_branches) == needed <= len(branch)


def test_blocks_that_no_row_needs_compute_nothing():
    """A branch runs once a block of its own rows, and for no other."""
    calls = []

    def counted(name):
        def branch(x):
            jax.debug.callback(lambda _: calls.append(name), x[0])
            return x

        return branch

    index = np.array([1] * 12 + [0], np.int32)
    branches = [counted(name) for name in ("zero", "one", "two")]
    switch = jax.jit(jax.vmap(lambda i, x: grouped.switch(i, branches, x)))
    jax.block_until_ready(switch(index, normal(13, 4)))
    jax.effects_barrier()
    size = grouped.block_size(13, 3)
    assert size == 2
    assert calls.count("zero") == 1 * size  # a callback for each slot
    assert calls.count("one") == 6 * size
    assert calls.count("two") == 0
