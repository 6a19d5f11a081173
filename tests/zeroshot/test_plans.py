"""Two plans of one function: architectures one after the other, or all at once by operation."""

import functools

import jax
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from jnas import networks, population
from jnas.zeroshot import NAMES, grad_norm, naswot, suite
from tests.oracles.nasbench201 import NAMED

STAGES = 2
NETWORK = networks.nasbench201(channels=4, stages=STAGES, cells=1)
SMALL = networks.nasbench201(channels=4, stages=1, cells=1)
IMAGES = np.random.default_rng(1).normal(size=(6, 8, 8, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
DISCONNECTED = [
    NAMED[name] for name in ("all none", "never leaves the input", "never reaches the output")
]
ARCHS = np.array(
    [*np.random.default_rng(0).integers(0, 5, (10, 6)), *DISCONNECTED], np.int32
)  # [13, 6]
EXACT = {"relu_count", "params", "flops", "linear_regions", "swap", "swap_published"}
FEW = ("naswot", "grad_norm", "grasp")
TRACES = []


@functools.cache
def program(names, shared_init, batching, network):
    """`(images, labels, key, archs)`; the estimator's own arrays are arguments."""
    estimator = suite(network, IMAGES, LABELS, names, shared_init=shared_init, batching=batching)

    @jax.jit
    def run(args, key, archs):
        TRACES.append(archs.shape)
        return estimator.func(*args, key, archs)

    return functools.partial(run, estimator.args)


def scores(names, shared_init, batching, archs=ARCHS, network=SMALL):
    found = program(names, shared_init, batching, network)(jax.random.key(0), archs)
    return {name: np.asarray(values) for name, values in found.items()}


def assert_agree(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        ranked = np.isfinite(values)
        np.testing.assert_array_equal(np.isfinite(found[name]), ranked, err_msg=name)
        if name in EXACT:
            np.testing.assert_array_equal(found[name], values, err_msg=name)
            continue
        scale = np.max(np.abs(values), where=ranked, initial=0)
        assert np.median(np.abs(found[name][ranked] - values[ranked])) <= 1e-4 * scale, name
        # Single weights of zico, whose two gradients nearly agree, can lose all their digits and
        # weigh the most.
        if name != "zico":
            rtol = 1e-3 if name == "grasp" else 1e-4
            np.testing.assert_allclose(found[name], values, rtol, 1e-5 * scale, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("shared_init", "network"), [(True, SMALL), (False, NETWORK)])
def test_all_scores_agree(shared_init, network):
    """Between stages, too, each architecture has the weights of its own."""
    found = scores(NAMES, shared_init, "vmap", network=network)
    assert_agree(found, scores(NAMES, shared_init, "map", network=network))
    assert all(np.sum(np.isfinite(values)) >= 8 for values in found.values())
    assert np.isneginf(found["naswot"][-3:]).all()


@pytest.mark.slow
def test_nothing_is_compiled_twice_and_equal_rows_have_equal_scores():
    """Whatever else is in the population: blocks of other sizes, or all rows in one branch."""
    found = scores(FEW, True, "vmap")
    before = len(TRACES)
    others = np.random.default_rng(1).integers(0, 5, ARCHS.shape, dtype=np.int32)
    others[:6] = ARCHS[3]
    repeated = scores(FEW, True, "vmap", others)
    assert_agree(
        {k: v[:6] for k, v in repeated.items()}, {k: np.repeat(v[3:4], 6) for k, v in found.items()}
    )
    one_branch = scores(FEW, True, "vmap", np.full(ARCHS.shape, 3, np.int32))
    assert_agree(
        one_branch, {name: np.repeat(values[:1], 13) for name, values in one_branch.items()}
    )
    assert len(TRACES) == before


@pytest.mark.slow
def test_codes_gradient_and_hessian_agree():
    assert_agree(scores(FEW, True, "vmap"), scores(FEW, True, "map"))


@pytest.mark.slow
def test_a_population_of_one():
    assert_agree(
        scores(("naswot",), False, "vmap", ARCHS[2:3]),
        {name: values[2:3] for name, values in scores(("naswot",), False, "map").items()},
    )


@pytest.mark.slow
def test_the_driver_takes_either_plan(key):
    """With a block between two stages, which is computed for all at once."""
    found = [
        np.asarray(
            population.score(
                naswot(NETWORK, IMAGES, batching=batching), ARCHS, key, 8, progress=False
            )
        )
        for batching in ("map", "vmap")
    ]
    assert_agree({"naswot": found[1]}, {"naswot": found[0]})


def equations(jaxpr, above=()):
    """All equations of a program, each with the names of those around it."""
    for equation in jaxpr.eqns:
        yield equation, above
        inner = jax.tree.leaves(
            equation.params, is_leaf=lambda leaf: isinstance(leaf, Jaxpr | ClosedJaxpr)
        )
        for part in inner:
            if isinstance(part, Jaxpr | ClosedJaxpr):
                part = part.jaxpr if isinstance(part, ClosedJaxpr) else part
                yield from equations(part, (*above, equation.primitive.name))


def convolutions(names, key):
    """Of a grouped program, whether each is within a conditional."""
    estimator = suite(NETWORK, IMAGES, LABELS, names, batching="vmap")
    within = []
    for equation, above in equations(
        jax.make_jaxpr(lambda archs: estimator(key, archs))(ARCHS).jaxpr
    ):
        if equation.primitive.name == "conv_general_dilated":
            assert (
                equation.params["feature_group_count"] == equation.params["batch_group_count"] == 1
            )
            within.append("cond" in above)
    return within


def test_convolutions_of_edges_are_ordinary_ones_within_a_real_conditional(key):
    """Both of all edges, once a stage; without are those of the stem and of the block."""
    within = convolutions(("naswot",), key)
    assert within.count(True) == STAGES * 6 * 2
    assert within.count(False) == 1 + 3 * (STAGES - 1)


def test_convolutions_of_gradients_are_ordinary_ones(key):
    assert len(convolutions(("grad_norm",), key)) > STAGES * 6 * 4


@pytest.mark.slow
def test_program_of_a_gpu_can_be_lowered(monkeypatch, key):
    """There is a rule for every primitive, as there is not for all that CPUs compute."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    # A shape of its own: what is traced here is for GPUs.
    images = np.random.default_rng(2).normal(size=(6, 12, 12, 3)).astype(np.float32)
    estimator = suite(SMALL, images, LABELS, (*FEW, "jacob_cov", "ntk_condition", "swap"))
    traced = jax.jit(estimator.func).trace(*estimator.args, key, ARCHS)
    assert "stablehlo.convolution" in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_plan_of_a_cpu_is_the_switch_and_unknown_plans_are_refused(monkeypatch):
    def made(**settings):
        return suite(NETWORK, IMAGES, LABELS, FEW, **settings).func

    assert made() is made(batching="map")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert made() is made(batching="vmap") is not made(batching="map")
    for make in (suite, grad_norm):
        with pytest.raises(
            ValueError, match=r"unknown batching 'vamp'\. Did you mean 'vmap'\? Valid names: map"
        ):
            make(NETWORK, IMAGES, LABELS, batching="vamp")
