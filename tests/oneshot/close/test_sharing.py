import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.oneshot.close import close
from jnas.oneshot.close import gate as gates
from jnas.oneshot.close.gate import HEAD
from jnas.spaces.nasbench201 import EDGES
from jnas.training.recipes import Recipe, optimizer

BASE = networks.nasbench201(affine=False, bias=False, channels=4, stages=1, cells=1, num_classes=5)
make = functools.partial(close, BASE, dropout=0.0)
CLOSE = make(schedule=(1, 2, 3))
IMAGES = jax.random.normal(jax.random.key(1), (4, 4, 4, 3))
ARCHS = jnp.array([[3, 2, 3, 1, 4, 3], [2, 3, 0, 2, 3, 1], [3, 3, 3, 3, 3, 3]], jnp.int32)

gate_logits = jax.jit(
    jax.vmap(functools.partial(gates.logits, gates.Gate(5, EDGES, 3), BASE.space), (None, 0, None)),
    static_argnums=2,
)
apply = jax.jit(CLOSE.network.apply)
init = jax.jit(CLOSE.network.init)
grow = jax.jit(CLOSE.grow)


@functools.cache
def weights(num):
    """Weights with a number of open banks, whose gate tells edges apart."""
    params = init(jax.random.key(0))
    for number in range(2, num + 1):
        params = grow(jax.random.key(number), number, params)
    last = params["gate"]["last"]
    # As drawn, one bank is the likeliest on all edges: their mean logits are taken away.
    mean = jnp.mean(gate_logits(params["gate"], ARCHS, None), axis=(0, 1))
    moved = {"bias": last["bias"] - mean, "kernel": last["kernel"]}
    return params | {"gate": params["gate"] | {"last": moved}}


@functools.partial(jax.jit, static_argnames="mode")
def gradient(params, arch, key, mode="all"):
    """Loss of a training step, and its gradient."""
    logits = make(schedule=(1, 2, 3), gate_gradient=mode).logits

    def loss(params):
        return jnp.sum(logits(params, arch, IMAGES, key, jnp.int32(3)) ** 2)

    return jax.value_and_grad(loss)(params)


def plain(params, choices):
    """Weights of the plain network whose edge `e` has bank `choices[e]`."""
    stages = jax.tree.map(lambda leaf: leaf[:, np.asarray(choices)], params["stages"])
    return {name: part for name, part in params.items() if name != "gate"} | {"stages": stages}


def test_weights_have_the_published_sizes():
    shapes = jax.eval_shape(close().network.init, jax.random.key(0))
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(p)) for name, p in shapes.items()}
    assert sizes["stages"] == 4 * 268_800
    assert sum(leaf.size for name in HEAD for leaf in jax.tree.leaves(shapes["gate"][name])) == (
        132_604
    )
    assert sizes["stem"] + sizes["blocks"] + sizes["norm"] + sizes["dense"] == 73_306
    alone = jax.eval_shape(close(schedule=(1,)).network.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(alone["stages"])) == 268_800


@pytest.mark.slow
def test_isomorphic_cells_are_one_with_a_single_bank_and_not_without():
    cells = BASE.space.enumerate()
    codes = np.asarray(jax.jit(jax.vmap(BASE.space.identity))(cells))[:, 1]
    of = np.array([1, 3, 2, 0, 2, 3])
    members = cells[codes == codes[np.all(cells == of, axis=1)]]
    assert len(members) > 3
    shared = [apply(weights(1), arch, IMAGES) for arch in members]
    spread = lambda values: np.ptp(np.array(values), axis=0).max()  # noqa: E731
    assert spread(shared) < 1e-5
    drawn = jax.jit(BASE.init)(jax.random.key(0))
    own = jax.jit(BASE.apply)
    assert spread([own(drawn, arch, IMAGES) for arch in members]) > 0.05


def test_scores_are_those_of_the_banks_that_the_gate_chooses():
    params, own = weights(3), jax.jit(BASE.apply)
    all_choices = np.array(np.meshgrid(*[range(3)] * 6)).reshape(6, -1).T
    found = set()
    for arch in ARCHS[:2]:
        logits = apply(params, arch, IMAGES)
        edges = np.isin(np.asarray(arch), (2, 3))
        candidates = np.unique(np.where(edges, all_choices, 0), axis=0)
        errors = [
            np.abs(own(plain(params, choices), arch, IMAGES) - logits).max()
            for choices in candidates
        ]
        assert np.sort(errors)[0] < 1e-5 < np.sort(errors)[1]
        found |= set(candidates[np.argmin(errors)][edges].tolist())
    assert len(found) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode",
    [
        "all",
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param("selected", marks=pytest.mark.slow),
        pytest.param("weights", marks=pytest.mark.slow),
    ],
)
def test_a_step_trains_the_chosen_banks_and_the_gate(mode):
    _, moved = gradient(weights(2), ARCHS[0], jax.random.key(2), mode)
    last, stage = moved["gate"]["last"], moved["stages"][0]["conv3x3"]["conv"]
    assert np.abs(stage[:, :2]).max() > 0
    # The third bank is closed.
    np.testing.assert_array_equal(stage[:, 2], 0)
    np.testing.assert_array_equal(last["kernel"][:, 2], 0)
    of_gate = [float(np.abs(leaf).max()) for leaf in jax.tree.leaves(moved["gate"])]
    if mode is None:
        assert max(of_gate) == 0
    else:
        assert np.all(np.abs(last["bias"][:2]) > 0)
        np.testing.assert_allclose(np.sum(last["bias"]), 0, atol=1e-4)
        assert np.abs(moved["gate"]["embedding"]["operations"]).max() > 0


@pytest.mark.slow
def test_noise_draws_banks_and_drops_values():
    losses = [
        float(gradient(weights(2), ARCHS[0], jax.random.key(seed), None)[0]) for seed in range(8)
    ]
    assert len(set(losses)) > 2
    alone = {float(gradient(weights(1), ARCHS[0], jax.random.key(s), None)[0]) for s in range(3)}
    assert len(alone) == 1
    logits = jax.jit(close(BASE, schedule=(1, 2, 3), dropout=0.5, gate_gradient=None).logits)
    kept = [
        logits(weights(1), ARCHS[0], IMAGES, jax.random.key(seed), jnp.int32(3)) for seed in (0, 1)
    ]
    assert np.abs(kept[0] - kept[1]).max() > 1e-3


@pytest.mark.slow
def test_closed_banks_stay_zeros_whatever_the_optimiser_does():
    params = weights(2)
    move = optimizer(Recipe(weight_decay=0.1, clip_norm=5.0, learning_rate=0.1), 1)
    state, update = jax.jit(move.init)(params), jax.jit(move.update)
    for seed in range(2):
        _, moved = gradient(params, ARCHS[seed], jax.random.key(seed))
        with jax.numpy_dtype_promotion("standard"):
            updates, state = update(moved, state, params)
        params = jax.tree.map(lambda leaf, step: np.asarray(leaf) + step, params, updates)
    for name in ("conv1x1", "conv3x3"):
        np.testing.assert_array_equal(params["stages"][0][name]["conv"][:, 2], 0)
    np.testing.assert_array_equal(params["gate"]["last"]["kernel"][:, 2], 0)
    assert np.all(np.any(params["gate"]["last"]["kernel"][:, :2] != 0, axis=0))


@pytest.mark.slow
def test_released_scores_are_a_draw_of_each_architecture():
    released = jax.jit(make(schedule=(1, 2, 3), released=True).network.apply)
    differ = 0
    for arch in ARCHS:
        drawn, likeliest = released(weights(3), arch, IMAGES), apply(weights(3), arch, IMAGES)
        np.testing.assert_array_equal(drawn, released(weights(3), arch, IMAGES))
        differ += np.abs(drawn - likeliest).max() > 1e-4
        # There is nothing to draw where one bank is open.
        np.testing.assert_allclose(
            released(weights(1), arch, IMAGES), apply(weights(1), arch, IMAGES), atol=1e-6
        )
    assert differ > 0


@pytest.mark.slow
def test_populations_and_single_architectures_agree():
    params = weights(3)
    of_all = jax.jit(jax.vmap(CLOSE.network.apply, (None, 0, None)))(params, ARCHS, IMAGES)
    for arch, logits in zip(ARCHS, of_all, strict=True):
        np.testing.assert_allclose(logits, apply(params, arch, IMAGES), atol=1e-5)
    own = CLOSE.network.own(np.asarray(ARCHS[0]))
    np.testing.assert_allclose(jax.jit(own.apply)(params, ARCHS[1], IMAGES), of_all[0], atol=1e-5)
    assert own is CLOSE.network.own(np.asarray(ARCHS[0]))
    np.testing.assert_allclose(CLOSE.network.apply(params, ARCHS[0], IMAGES), of_all[0], atol=1e-5)


@pytest.mark.slow
def test_one_program_serves_all_epochs_and_architectures():
    num = 0

    @jax.jit
    def epoch(key, number, params, arch):
        nonlocal num
        num += 1
        params = CLOSE.grow(key, number, params)
        return CLOSE.logits(params, arch, IMAGES, key, number)

    for number, arch in enumerate(ARCHS, 1):
        assert np.all(np.isfinite(epoch(jax.random.key(0), number, weights(1), arch)))
    assert num == 1


def test_masks_tell_the_operations_of_an_architecture():
    shapes = jax.eval_shape(CLOSE.network.init, jax.random.key(0))
    kernels = networks.kernels(shapes)
    masks = CLOSE.network.present(jnp.array([2, 2, 1, 0, 4, 2]))
    spread = [np.broadcast_to(mask, leaf.shape) for mask, leaf in zip(masks, kernels, strict=True)]
    sums = {leaf.shape: int(mask.sum()) for mask, leaf in zip(spread, kernels, strict=True)}
    assert sums[1, 3, 3, 3, 4, 4] == 0
    assert sums[1, 3, 1, 1, 4, 4] == 3 * 16
    assert sums[200, 3] == 600


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="takes a network of nasbench201"):
        close(networks.nats_size())
    with pytest.raises(ValueError, match="Did you mean 'selected'"):
        make(gate_gradient="select")
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\); got 1"):
        close(BASE, dropout=1.0)
    with pytest.raises(ValueError, match="ascending epochs"):
        make(schedule=(1, 1))
    with pytest.raises(ValueError, match="Did you mean 'cl-24'"):
        make(schedule="cl24")
    assert make(schedule="cl-24", epochs=20).restarts == (9,)
    assert make(schedule=(1, 2, 3)) is CLOSE


@pytest.mark.slow
def test_released_gates_lose_their_last_layer_until_a_restart():
    """Banks come at epochs 1, 3, 5 and 8; the optimiser begins anew at 5, after the bank."""
    moves = make(schedule=(1, 3, 5, 8), restarts=(5,), released=True).moves
    params = weights(3)
    for number in range(1, 10):
        factors = moves(params, jnp.int32(number))
        is_lost = number in (3, 4, 8, 9)
        assert float(factors["gate"]["last"]["bias"][0]) == (not is_lost)
        others = [factors["stages"], factors["stem"], factors["gate"]["layer_0"]]
        assert all(np.all(np.asarray(leaf) == 1) for leaf in jax.tree.leaves(others))
        jax.tree.map(lambda factor, leaf: np.broadcast_to(factor, leaf.shape), factors, params)
    assert CLOSE.moves is None
