"""Main programs, exported for CPUs, GPUs and TPUs; none needs float64 on a TPU.

Exporting traces and lowers, and compiles nothing. What is exported is what a machine with that
accelerator would run: the tests say which backend there is while a program is traced.
"""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax import export

from jnas import metrics, networks, predictors, search, spaces
from jnas.engine.devices import each
from jnas.engine.trainings import Block, run_block
from jnas.predictors import fit
from jnas.zeroshot import NAMES, suite

PLATFORMS = ("cpu", "cuda", "tpu")
BACKENDS = {"cpu": "cpu", "cuda": "gpu", "tpu": "tpu"}
SMALL = {
    "nasbench101": networks.nasbench101(channels=4, stacks=1, cells=1),
    "nasbench201": networks.nasbench201(channels=2, cells=1, stages=1),
    "nats_size": networks.nats_size(),
    "nb1shot1": networks.nb1shot1(channels=4, stacks=1, cells=1),
}


def others_slow(names, *quick):
    """Parameters of a test: only these names are in the quick suite."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


LIGHT = ("naswot", "swap", "params", "flops", "relu_count", "jacob_cov", "epe_nas")
"""Scores with no gradient with respect to the weights: quick to trace."""


def check_exports(monkeypatch, make, platforms=PLATFORMS):
    """Export what `make()` gives, a function and its arguments, for each platform."""
    made = {}
    for platform in platforms:
        monkeypatch.setattr(jax, "default_backend", lambda platform=platform: BACKENDS[platform])
        # What GPUs and TPUs run is traced once.
        kind = "cpu" if platform == "cpu" else "accelerator"
        if kind not in made:
            function, *args = make()
            made[kind] = jax.jit(lambda *args, function=function: function(*args)), args
        function, args = made[kind]
        exported = export.export(function, platforms=[platform])(*args)
        assert exported.platforms == (platform,)
        if platform == "tpu":
            assert "f64" not in exported.mlir_module()


def scores(name, names, num_archs=2):
    """A suite of scores, images, labels, key and architectures."""
    network = SMALL[name]
    # A shape for each kind of backend, so that nothing traced for one is taken for the other.
    num = 4 if jax.default_backend() == "cpu" else 6
    images, labels = jnp.ones((num, 4, 4, 3)), jnp.arange(num) % 2
    key = jax.random.key(0)
    archs = jax.vmap(network.space.sample)(jax.random.split(key, num_archs))
    estimator = suite(network, images, labels, names)
    return estimator.func, *estimator.args, key, archs


@pytest.mark.parametrize("name", others_slow(SMALL, "nats_size"))
def test_scores_without_gradients_of_weights(monkeypatch, name):
    names = LIGHT if name == "nasbench201" else ("naswot",)
    check_exports(monkeypatch, functools.partial(scores, name, names))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_all_scores(monkeypatch, name):
    check_exports(monkeypatch, functools.partial(scores, name, NAMES))


OWN = {
    "nasbench101": spaces.nasbench101().from_string("conv3x3:0|maxpool3x3:0,1|output:0,2"),
    "nasbench201": jnp.array([3, 2, 4, 1, 0, 3]),
    "nats_size": jnp.array([0, 1, 0, 0, 0]),
    "nb1shot1": jnp.array([1, 0, 5, 3, 13, 2, 0, 1, 0, 2]),
}


@pytest.mark.parametrize("name", others_slow(SMALL, "nasbench201"))
def test_gradients_of_networks_of_one_architecture(monkeypatch, name):
    """Of any number of images."""
    network = SMALL[name].own(OWN[name])
    params = networks.with_moments(jax.eval_shape(network.init, jax.random.key(0)))
    (num,) = export.symbolic_shape("n")
    images = jax.ShapeDtypeStruct((num, 4, 4, 3), jnp.float32)

    def loss(params, images):
        return jnp.sum(network.apply(params, None, images))

    check_exports(monkeypatch, lambda: (jax.value_and_grad(loss), params, images))


# Searches


def count_of_operations(key, archs):
    del key
    return jnp.sum(archs, axis=1).astype(jnp.float32)


@pytest.mark.parametrize("name", others_slow(search.NAMES, "random", "genetic", "local_search"))
def test_searches(monkeypatch, name):
    space = spaces.nasbench201()
    needed = {
        "area": {"estimator": count_of_operations},
        "genetic": {"population_size": 50},
        "nsga2": {"costs": [space.params]},
    }

    def make():
        searcher = search.by_name(name, space, **needed.get(name, {}))
        objective = search.objective(count_of_operations, seconds=1.0)

        def run(key):
            return search.run(searcher, objective, key, num_evaluations=200, max_seconds=150.0)

        return jax.vmap(run), jax.random.split(jax.random.key(0), 2)

    check_exports(monkeypatch, make)


def test_pareto_front(monkeypatch):
    space = spaces.nasbench201()
    searcher = search.random_search(space)
    objective = search.objective(count_of_operations)

    def run(key):
        history = search.run(searcher, objective, key, num_evaluations=20)
        return search.is_on_front(history, [space.params, space.flops])

    check_exports(monkeypatch, lambda: (run, jax.random.key(0)))


# Predictors

SPACE = spaces.nasbench201()
PREDICTORS = {
    "gates": predictors.gates(SPACE, layers=(8, 8), hidden=(8,)),
    "mlp": predictors.mlp(SPACE, hidden=(8,)),
    "comparator": predictors.gates(SPACE, layers=(8, 8), hidden=(8,), pairing="diff"),
}


@pytest.mark.parametrize("name", others_slow(PREDICTORS, "mlp"))
def test_fits_and_predictions(monkeypatch, name):
    """Two trainings from initial weights through two epochs, each evaluated, then predictions."""
    recipe = PREDICTORS[name].fit_many.args[1]
    keys = jax.random.split(jax.random.key(0), 2)
    archs = jax.vmap(jax.vmap(SPACE.sample))(jax.vmap(lambda key: jax.random.split(key, 8))(keys))
    targets = jnp.arange(16.0).reshape(2, 8)
    jobs = fit.Job(fit.Data(keys, archs, targets, jnp.ones((2, 8), bool)), (None, None))
    block = Block(jnp.asarray([1, 2]), jnp.ones(2, bool), jnp.ones(2, bool))
    trainer = fit.trainer(recipe, (("kendall_tau", metrics.kendall_tau),))

    def make():
        batching = "map" if jax.default_backend() == "cpu" else "vmap"
        start = each(trainer.init, batching)
        advance = each(functools.partial(run_block, trainer), batching)

        def trained(jobs, block, test):
            states, *curves = advance((jobs, start(jobs, test)), block, test)
            results = jax.vmap(trainer.result)(states)
            return curves, PREDICTORS[name].predict_many(results, test[0])

        return trained, jobs, block, (archs[0], targets[0])

    check_exports(monkeypatch, make)
