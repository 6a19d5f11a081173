import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import spaces
from jnas.oneshot.close import gate as gates
from jnas.spaces.nasbench201 import EDGES

SPACE = spaces.nasbench201()
LOGITS = jax.random.normal(jax.random.key(0), (6, 4))


def test_the_likeliest_open_bank_is_chosen_without_a_key():
    for num in (1, 2, 4):
        chosen = gates.choose(LOGITS, jnp.int32(num), None)
        np.testing.assert_array_equal(np.argmax(chosen, 1), np.argmax(LOGITS[:, :num], 1))
        np.testing.assert_array_equal(np.sort(chosen, 1), [[0, 0, 0, 1]] * 6)


def test_banks_are_drawn_by_the_softmax_of_the_open_ones():
    keys = jax.random.split(jax.random.key(1), 2000)
    draw = jax.jit(jax.vmap(lambda key: gates.choose(LOGITS, jnp.int32(3), key)))
    drawn = np.asarray(draw(keys))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    shares = np.exp(LOGITS[:, :3]) / np.exp(LOGITS[:, :3]).sum(1, keepdims=True)
    np.testing.assert_allclose(drawn.mean(axis=0)[:, :3], shares, atol=0.05)
    np.testing.assert_array_equal(drawn[:, :, 3], 0)


def test_gradient_of_a_logit_is_that_of_the_softmax():
    key, num = jax.random.key(2), 3
    a = np.asarray(jax.random.normal(jax.random.key(3), LOGITS.shape))
    got = jax.grad(lambda x: jnp.sum(a * gates.choose(x, jnp.int32(num), key)))(LOGITS)
    noisy = (np.asarray(LOGITS) + np.asarray(jax.random.gumbel(key, LOGITS.shape))) / 5
    p = np.exp(noisy) * (np.arange(4) < num)
    p /= p.sum(axis=1, keepdims=True)
    want = p * (a - np.sum(p * a, axis=1, keepdims=True)) / 5
    np.testing.assert_allclose(got, want, atol=1e-6)
    np.testing.assert_array_equal(got[:, 3], 0)


@pytest.mark.slow
def test_gate_reads_the_whole_architecture_and_has_the_published_sizes():
    gate = gates.Gate(5, EDGES, 4)
    graph = jax.tree.map(lambda leaf: leaf[None], SPACE.graph(jnp.zeros(6, jnp.int32)))
    params = jax.jit(gate.init)(jax.random.key(0), graph)["params"]
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(p)) for name, p in params.items()}
    assert sum(sizes[name] for name in gates.HEAD) == 132_604
    assert sizes["embedding"] == 114_176
    of = jax.jit(lambda arch: gates.logits(gate, SPACE, params, arch, None))
    one, other = of(jnp.array([3, 2, 1, 0, 4, 3])), of(jnp.array([3, 2, 1, 0, 4, 2]))
    assert one.shape == (6, 4)
    # The last edge's operation changes what its end is, not what the others' ends are.
    assert np.all(np.abs(one - other)[3:] > 0)
    np.testing.assert_array_equal(one[:3], other[:3])
    drop = jax.jit(
        lambda key: gates.logits(gate, SPACE, params, jnp.array([3, 2, 1, 0, 4, 3]), key)
    )
    dropped = drop(jax.random.key(5))
    assert np.abs(dropped - one).max() > 1e-3
