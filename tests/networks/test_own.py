"""Networks of one architecture against the general one: logits, gradients, moments, drop path."""

import functools
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from jnas import networks, spaces
from jnas.types import Hooks, Network
from tests.oracles.nasbench201 import random_params

SMALL = {"num_classes": 3, "in_channels": 1}
# Two cells in a row, and two stages with a block between: one of each, whose programs are small.
NETWORKS = {
    "nasbench201": networks.nasbench201(channels=2, stages=1, cells=2, **SMALL),
    "without scales": networks.nasbench201(channels=2, stages=2, cells=1, affine=False, **SMALL),
    "nasbench101": networks.nasbench101(channels=5, stacks=2, cells=1, **SMALL),
    "nats_size": networks.nats_size(**SMALL),
    "nb1shot1": networks.nb1shot1(channels=2, stacks=2, cells=1, **SMALL),
    "darts": networks.darts(channels=2, layers=1, **SMALL),
    "enas": networks.enas(nodes=4, channels=2, layers=2, **SMALL),
}
CELLS_101 = (
    "maxpool3x3:0|maxpool3x3:0,1|maxpool3x3:1,2|output:2,3",
    "output:0",
    "conv3x3:0|conv3x3:0|conv1x1:|maxpool3x3:1,3|conv1x1:0|output:0,4",  # dead ends
    "conv1x1:0|conv3x3:0,1|maxpool3x3:2|conv1x1:2|output:1,3,4",
)
ARCHS = {
    "nasbench201": [
        (1, 1, 1, 1, 1, 1),  # all skip
        (3, 2, 3, 0, 0, 0),  # never reaches the output
        (0, 0, 0, 0, 0, 0),  # all none
        (0, 0, 3, 0, 2, 3),  # convolutions of zeros
        (3, 2, 3, 1, 3, 0),  # a dead end
        (4, 2, 3, 1, 4, 3),
    ],
    "without scales": [(2, 0, 3, 1, 3, 2)],
    "nasbench101": [tuple(spaces.nasbench101().from_string(text).tolist()) for text in CELLS_101],
    "nats_size": [(0, 0, 0, 1, 1), (2, 0, 1, 0, 3)],  # cells that keep their width, and widen
    "nb1shot1": [
        (0, 0, 0, 0, 0, 0, 1, 2, 0, 1),  # the output has an edge from the input
        (1, 2, 5, 8, 13, 2, 0, 1, 0, 2),
    ],
    "darts": [
        (*[0] * 11, 1, 5, 9, 0, 0, 4, 6, 3, 4, 2, 6),  # a node of nothing, which is read
        (*[0] * 11, 0, 2, 3, 5, 1, 3, 7, 4, 2, 3, 6),
    ],
    "enas": [
        (*[0] * 16, 0, 1, 0, 1, 1, 0, 1, 0, 3, 3, 0, 4, 4, 2, 2, 0),  # outputs of one node
        (*[0] * 16, 1, 0, 0, 2, 2, 3, 0, 1, 2, 1, 2, 4, 0, 2, 2, 0),  # of three
    ],
}
# So many first; an export of `tests/networks/export` has the logits of NAS-Bench-101 as well, and
# `test_nb1shot1` and `test_nats_size` those of their networks.
DEAR = {
    "nasbench201": 3,
    "without scales": 1,
    "nasbench101": 4,
    "nats_size": 2,
    "nb1shot1": 2,
    "darts": 2,
    "enas": 2,
}
CASES = [
    pytest.param(name, arch, marks=[pytest.mark.slow] * (number < DEAR[name]))
    for name, archs in ARCHS.items()
    for number, arch in enumerate(archs)
]
IMAGES = np.random.default_rng(0).normal(size=(5, 4, 8, 1)).astype(np.float32)
# Norms over one pixel of five images turn the rounding of 16 bits into noise.
MANY = np.random.default_rng(0).normal(size=(64, 4, 8, 1)).astype(np.float32)


def drop_path(state: Any, value: jax.Array, can_drop: jax.Array) -> tuple[Any, jax.Array]:
    """Values of whole images dropped with a probability of one minus `keep`."""
    key, part = jax.random.split(state["key"])
    kept = jax.random.bernoulli(part, state["keep"], (len(value), 1, 1, 1))
    dropped = jnp.where(kept, value / state["keep"].astype(value.dtype), 0)
    return {**state, "key": key}, jnp.where(can_drop, dropped, value)


def dropout(state: Any, features: jax.Array) -> jax.Array:
    kept = jax.random.bernoulli(state["key"], state["keep"], features.shape)
    return jnp.where(kept, features / state["keep"].astype(features.dtype), 0)


DROPS = Hooks(on_edge=drop_path, on_features=dropout)


def start(keep: float) -> dict[str, jax.Array]:
    return {"key": jax.random.key(1), "keep": jnp.float32(keep)}


def answers(
    params: Any, arch: Any, state: Any, *, network: Network, hooks: Hooks, pixels: Any = IMAGES
) -> tuple[jax.Array, Any, Any]:
    """Logits, state, and the gradient of a loss of them with the moments of the batch."""

    def loss(params: Any) -> tuple[jax.Array, Any]:
        images = pixels.astype(params["stem"]["conv"].dtype)
        seen = network.forward(params, arch, images, hooks, state)
        return jnp.sum(jnp.sin(seen.logits)), (seen.logits, seen.state)

    gradient, (logits, state) = jax.grad(loss, has_aux=True)(networks.with_moments(params))
    return logits, state, gradient


@functools.cache
def program(network: Network, hooks: Hooks) -> Any:
    return jax.jit(functools.partial(answers, network=network, hooks=hooks))


@functools.cache
def weights_of(name: str, arch: tuple[int, ...]) -> Any:
    params = random_params(NETWORKS[name], 0)
    return jax.jit(NETWORKS[name].instantiate)(params, np.array(arch, np.int32))


def general(name: str, arch: tuple[int, ...], keep: float) -> tuple[jax.Array, Any, Any]:
    """Answers of the general network, all with the hooks, which change nothing at 1."""
    of_all = program(NETWORKS[name], DROPS)
    return of_all(weights_of(name, arch), np.array(arch, np.int32), start(keep))


def assert_close(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for got, want in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        scale = max(1.0, np.abs(want).max())
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize(("name", "arch"), CASES)
def test_own_network_answers_as_the_general_one(name: str, arch: tuple[int, ...]) -> None:
    own = NETWORKS[name].own(np.array(arch))
    logits, _, gradient = program(own, Hooks())(weights_of(name, arch), None, ())
    expected, _, wanted = general(name, arch, keep=1.0)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert_close(networks.without_moments(gradient), networks.without_moments(wanted))
    pairs = zip(networks.moments(gradient), networks.moments(wanted), strict=True)
    for got, want in pairs:
        # What it does not hand out is of norms that its logits do not read.
        is_read = np.asarray(got.var) != 0
        np.testing.assert_allclose(got.var[is_read], want.var[is_read], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(got.mean[is_read], want.mean[is_read], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["nasbench201", pytest.param("nasbench101", marks=pytest.mark.slow)]
)
def test_own_network_reads_only_the_statistics_that_it_hands_out(name: str) -> None:
    """Here of a cell with dead ends, whose norms hand out nothing."""
    arch = ARCHS[name][-2]
    own, params = NETWORKS[name].own(np.array(arch)), weights_of(name, arch)
    logits, _, gradient = program(own, Hooks())(params, None, ())
    found = networks.moments(gradient)
    assert not all(np.asarray(moments.var).all() for moments in found)
    by_moments = jax.jit(own.apply)(networks.with_statistics(params, found), None, IMAGES)
    np.testing.assert_allclose(by_moments, logits, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "nasbench201",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("nasbench101", "nats_size", "nb1shot1", "darts", "enas")
        ),
    ],
)
def test_drop_path_and_dropout_draw_the_same_in_both(name: str) -> None:
    """And the gradient drops what the forward pass has dropped, where it is computed again."""
    arch = ARCHS[name][-1]
    own = NETWORKS[name].own(np.array(arch))
    logits, state, gradient = program(own, DROPS)(weights_of(name, arch), None, start(0.6))
    expected, wanted_state, wanted = general(name, arch, keep=0.6)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert_close(networks.without_moments(gradient), networks.without_moments(wanted))
    keys = [jax.random.key_data(s["key"]) for s in (state, wanted_state, start(0.6))]
    assert np.array_equal(keys[0], keys[1])
    assert not np.array_equal(keys[0], keys[2])
    assert not np.allclose(logits, general(name, arch, keep=1.0)[0], rtol=0.05)


def narrow_of(name: str, arch: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), weights_of(name, arch))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["nasbench201", *(pytest.param(n, marks=pytest.mark.slow) for n in list(NETWORKS)[1:])]
)
def test_16_bits_are_32_bits_roughly(name: str) -> None:
    arch = ARCHS[name][-1]
    network = NETWORKS[name].own(np.array(arch))
    own = jax.jit(functools.partial(answers, network=network, hooks=Hooks(), pixels=MANY))
    logits, _, gradient = own(narrow_of(name, arch), None, ())
    expected, _, wanted = own(weights_of(name, arch), None, ())
    np.testing.assert_allclose(logits.astype(jnp.float32), expected, atol=0.2)
    pairs = zip(networks.moments(gradient), networks.moments(wanted), strict=True)
    for got, want in pairs:
        np.testing.assert_allclose(got.var, want.var, rtol=0.1, atol=0.05)
    one, other = (
        np.concatenate([np.ravel(x.astype(jnp.float32)) for x in jax.tree.leaves(tree)])
        for tree in map(networks.without_moments, (gradient, wanted))
    )
    assert one @ other > 0.95 * np.linalg.norm(one) * np.linalg.norm(other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            n, marks=[pytest.mark.slow] * (n in ("nasbench101", "nb1shot1", "darts", "enas"))
        )
        for n in NETWORKS
    ],
)
def test_types_of_16_bits(name: str) -> None:
    """Logits and gradients are of 16 bits, moments and statistics of 32."""
    arch = np.array(ARCHS[name][-1])
    narrow = narrow_of(name, tuple(arch.tolist()))
    wanted = jax.tree.map(lambda leaf: leaf.dtype, networks.with_moments(narrow))
    of_one = (program(NETWORKS[name].own(arch), Hooks()), None, ())
    of_all = (program(NETWORKS[name], DROPS), arch, start(1.0))
    for function, given, state in (of_one, of_all):
        logits, _, gradient = jax.eval_shape(function, narrow, given, state)
        assert logits.dtype == jnp.bfloat16
        assert jax.tree.map(lambda leaf: leaf.dtype, gradient) == wanted
        moments = jax.eval_shape(networks.moments, gradient)
        assert all(of_one_norm.var.dtype == jnp.float32 for of_one_norm in moments)
    fixed = networks.with_statistics(narrow, networks.initial_statistics(narrow))
    images = IMAGES.astype(jnp.bfloat16)
    assert jax.eval_shape(NETWORKS[name].apply, fixed, arch, images).dtype == jnp.bfloat16


def primitives(jaxpr: Any) -> list[str]:
    """Names of all operations in a program, those of inner programs too."""
    names = []
    for equation in jaxpr.eqns:
        names.append(equation.primitive.name)
        for inner in core.jaxprs_in_params(equation.params):
            names.extend(primitives(inner))
    return names


def operations(name: str, arch: tuple[int, ...]) -> list[str]:
    """Primitives of the program of `answers` of an own network."""
    traced = program(NETWORKS[name].own(np.array(arch)), Hooks()).trace(
        weights_of(name, arch), None, ()
    )
    return primitives(traced.jaxpr)


@pytest.mark.slow
def test_program_has_the_operations_of_its_architecture_alone() -> None:
    """A root for each of its norms: no branch besides, and none computed again for the gradient."""
    num_around = 1 + 1  # stem, before the classifier
    for arch, num_convs in (((1, 1, 1, 1, 1, 1), 0), ((3, 1, 1, 1, 0, 2), 2)):
        assert operations("nasbench201", arch).count("rsqrt") == num_around + 2 * num_convs
    assert not {"cond", "scan", "while"} & set(operations("nasbench201", ARCHS["nasbench201"][-1]))
    for name, archs in ARCHS.items():  # a gradient has the branches and loops of its values
        own = NETWORKS[name].own(np.array(archs[-1]))
        traced = jax.make_jaxpr(own.apply)(weights_of(name, archs[-1]), None, IMAGES)
        assert not {"cond", "scan", "while"} & set(primitives(traced.jaxpr))


@pytest.mark.slow
def test_equal_architectures_are_one_network_and_may_go_to_another_process() -> None:
    for name, network in NETWORKS.items():
        arch = np.array(ARCHS[name][-1])
        own = network.own(arch)
        assert own is network.own(jnp.asarray(arch)) is own.own(list(arch))
        assert all(own is not network.own(np.array(other)) for other in ARCHS[name][:-1])
        assert hash(own) != hash(network)
        copy = pickle.loads(pickle.dumps(own))
        assert jax.tree.structure(jax.eval_shape(copy.init, jax.random.key(0)))
        masks = network.present(jnp.asarray(arch))
        assert all(map(np.array_equal, own.present(None), masks))


@pytest.mark.parametrize("arch", [(1, 2, 3), (0.0,) * 6, (0, 1, 2, 3, 4, 5)])
def test_what_is_no_architecture_is_refused(arch: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"arch must be \[6\] integers|no architecture"):
        NETWORKS["nasbench201"].own(np.array(arch))
