"""The switch for populations against a loop: values, gradients, their derivatives, and what it computes."""

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
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


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
    return jax.tree.map(lambda leaf: leaf[number], tree)


def assert_rows_equal(found, of_row, num):
    for number in range(num):
        jax.tree.map(
            lambda got, expected: np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6),
            row(found, number),
            of_row(number),
        )


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("shared", [True, False])
def test_equals_a_loop_in_values_and_gradients(choices, shared):
    index, num = jnp.asarray(choices, jnp.int32), len(choices)
    x, w = normal(num, 2, 3), weights() if shared else weights(num)
    axes = (0, 0, None if shared else 0)
    values = jax.jit(jax.vmap(lambda i, x, w: control.switch(i, BRANCHES, x, w), axes))(index, x, w)
    gradients = jax.jit(jax.vmap(jax.grad(loss, (1, 2)), axes))(index, x, w)

    def own(number):
        return x[number], w if shared else row(w, number)

    assert_rows_equal(values, lambda number: BRANCHES[choices[number]](*own(number)), num)
    assert_rows_equal(
        gradients, lambda number: jax.grad(loss_of(choices[number]), (0, 1))(*own(number)), num
    )


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

    def of_row(number):
        gradient = jax.grad(loss_of(choices[number]), (0, 1))
        return slope(lambda t: gradient(x[number], moved(t)))(jnp.zeros(()))

    assert_rows_equal(found, of_row, 11)
    assert np.abs(found[1]["m"][0]).max() > 0.1  # branch 2: it does depend on what moves


@pytest.mark.parametrize("mapped", [(None, 0), (0, None)])
def test_either_the_choice_or_the_operand_may_be_shared(mapped):
    index = jnp.asarray(2 if mapped[0] is None else [2, 1, 0], jnp.int32)
    x, w = normal(*((3,) if mapped[1] == 0 else ()), 2, 3), weights()
    found = jax.vmap(lambda i, x: grouped.switch(i, BRANCHES, x, w), mapped)(index, x)
    assert_rows_equal(
        found,
        lambda n: BRANCHES[int(jnp.broadcast_to(index, 3)[n])](x[n] if mapped[1] == 0 else x, w),
        3,
    )


def test_choices_out_of_range_are_clamped_as_in_a_switch():
    x, w = normal(4, 2, 3), weights()
    found = jax.vmap(lambda i, x: grouped.switch(i, BRANCHES, x, w))(jnp.asarray([-3, 0, 3, 9]), x)
    assert_rows_equal(found, lambda n: BRANCHES[(0, 0, 3, 3)[n]](x[n], w), 4)


def test_within_two_vmaps():
    index, x, w = jnp.asarray([[2, 1, 0], [3, 3, 1]]), normal(2, 3, 2, 3), weights()
    found = jax.vmap(jax.vmap(lambda i, x: grouped.switch(i, BRANCHES, x, w)))(index, x)
    for outer in range(2):
        assert_rows_equal(
            row(found, outer), lambda n, o=outer: BRANCHES[int(index[o, n])](x[o, n], w), 3
        )


@pytest.mark.parametrize("num_rows", [1, 3, 10, 64, 333])
@pytest.mark.parametrize("num_branches", [2, 5])
def test_every_row_has_a_slot_in_a_block_of_its_branch(num_rows, num_branches):
    size = grouped.block_size(num_rows, num_branches)
    rng = np.random.default_rng(num_rows)
    worst = np.arange(num_rows) % num_branches  # and one row more than full blocks in each branch
    for index in (
        rng.integers(0, num_branches, num_rows),
        np.zeros(num_rows, int),
        worst,
        np.minimum(worst, 1),
    ):
        branch, rows, slots = (
            np.asarray(part) for part in grouped._blocks(jnp.asarray(index), num_branches)
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

    index = jnp.asarray([1] * 12 + [0], jnp.int32)
    branches = [counted(name) for name in ("zero", "one", "two")]
    jax.block_until_ready(
        jax.vmap(lambda i, x: grouped.switch(i, branches, x))(index, normal(13, 4))
    )
    jax.effects_barrier()
    size = grouped.block_size(13, 3)
    assert size == 2
    assert calls.count("zero") == 1 * size  # a callback for each slot
    assert calls.count("one") == 6 * size
    assert calls.count("two") == 0
