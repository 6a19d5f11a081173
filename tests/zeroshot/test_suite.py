"""The contract of `suite` and of the estimators of one score, the same for every network."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import zeroshot
from jnas.types import Network
from jnas.zeroshot import NAMES, suite
from jnas.zeroshot.suite import SCORES, by_name
from tests.oracles import zeroshot as of_cells
from tests.oracles.zeroshot import KEY, PASSES, score

OTHER_KEY = jax.random.key(5)
QUICK = ("naswot", "relu_count", "l2_norm", "linear_regions", "params")
"""Without a backward pass: compiled soon."""
FROM_ONE_PASS = ("grad_norm", "snip", "plain", "fisher", "naswot", "relu_count")


class Case(NamedTuple):
    """A network and what it is scored with; row `disconnected` is of one that sees no image."""

    network: Network
    images: np.ndarray
    labels: np.ndarray
    archs: np.ndarray
    disconnected: int


NETWORKS = {
    "nasbench201": Case(of_cells.NETWORK, of_cells.IMAGES, of_cells.LABELS, of_cells.ARCHS, 0),
}


@pytest.fixture(params=NETWORKS)
def case(request):
    return NETWORKS[request.param]


def estimator_of(case, names=NAMES, images=None, labels=None, **settings):
    images = case.images if images is None else images
    return suite(case.network, images, case.labels if labels is None else labels, names, **settings)


def of_names(estimator, key, archs):
    return {name: np.asarray(values) for name, values in score(estimator, key, archs).items()}


def of_all(case, key, archs, **batch):
    """All scores, from two programs."""
    parts = [of_names(estimator_of(case, names, **batch), key, archs) for names in PASSES]
    return {name: values for part in parts for name, values in part.items()}


@functools.cache
def all_scores(name):
    return of_all(NETWORKS[name], KEY, NETWORKS[name].archs)


def assert_same(got, expected, names=None, rtol=0.0):
    for name in names or expected:
        np.testing.assert_allclose(got[name], expected[name], rtol, err_msg=name)


def scores_of(case):
    return all_scores(next(name for name, other in NETWORKS.items() if other is case))


# All scores


def test_each_score_is_float32_and_never_nan(case):
    assert set(scores_of(case)) == set(NAMES)
    for name, values in scores_of(case).items():
        assert values.shape == (len(case.archs),), name
        assert values.dtype == np.float32, name
        assert np.all(np.isfinite(values) | np.isneginf(values)), name
        assert len(np.unique(values)) >= (2 if name == "linear_regions" else 5), name


def test_row_depends_on_the_key_and_its_architecture_only(case):
    """Not on its place nor its neighbours: shuffled, some left out and others repeated."""
    order = np.random.default_rng(0).permutation(len(case.archs))
    rows = np.resize(order[: 2 * len(order) // 3], len(order))
    got = of_all(case, KEY, case.archs[rows])
    assert_same(got, {name: values[rows] for name, values in scores_of(case).items()})


def test_one_program_serves_populations_keys_and_batches(case):
    scores_of(case)
    before = score._cache_size()
    other = of_all(case, OTHER_KEY, case.archs[::-1], images=case.images[::-1] + 0.5)
    assert score._cache_size() == before
    for name in set(NAMES) - {"relu_count", "params", "flops", "linear_regions"}:
        assert np.any(other[name][::-1] != scores_of(case)[name]), name


@pytest.mark.parametrize("batch", ["constant images", "twins of one class"])
def test_odd_batches_are_scored_or_come_last(case, batch):
    images, labels = case.images, case.labels
    if batch == "constant images":
        images = np.ones_like(images)
    else:
        images, labels = np.concatenate([images[:1], images[:-1]]), np.zeros_like(labels)
    scores = of_all(case, KEY, case.archs, images=images, labels=labels)
    for name, values in scores.items():
        assert np.all(np.isfinite(values) | np.isneginf(values)), name
    assert np.all(scores["ntk_condition"] <= -1)
    if batch == "constant images":
        assert np.all(scores["linear_regions"] == 1)
        assert np.all(scores["swap"] <= 2)
    assert np.all(scores["naswot"] == -np.inf)


def test_disconnected_cells_come_last(case):
    names = (
        "naswot",
        "relu_logdet",
        "jacob_cov",
        "epe_nas",
        "synflow",
        "synflow_bn",
        "zen",
        "ntk_condition",
    )
    for name in names:
        assert scores_of(case)[name][case.disconnected] == -np.inf, name


@pytest.mark.slow
def test_all_scores_of_one_program(case):
    """Each is what it is in either of two programs."""
    together = of_names(estimator_of(case), KEY, case.archs)
    assert_same(together, scores_of(case), rtol=1e-5)


@pytest.mark.slow
def test_one_image(case):
    names = [name for name in NAMES if SCORES[name].min_images == 1]
    scores = of_names(estimator_of(case, names, case.images[:1], case.labels[:1]), KEY, case.archs)
    for name, values in scores.items():
        assert np.all(np.isfinite(values) | np.isneginf(values)), name


# Settings


@functools.cache
def quick_scores(name):
    return of_names(estimator_of(NETWORKS[name], QUICK), KEY, NETWORKS[name].archs)


def test_some_scores_are_those_of_all(case):
    assert_same(
        quick_scores(next(n for n, c in NETWORKS.items() if c is case)),
        scores_of(case),
        QUICK,
        rtol=1e-5,
    )


def test_jit_changes_nothing(case):
    eager = estimator_of(case, QUICK)(KEY, case.archs)
    assert_same(eager, scores_of(case), QUICK, rtol=1e-5)


@pytest.mark.parametrize("name", ["naswot", "synflow"])
def test_a_single_score_is_that_of_the_suite(case, name):
    estimator = getattr(zeroshot, name)(case.network, case.images)
    np.testing.assert_allclose(score(estimator, KEY, case.archs), scores_of(case)[name], rtol=1e-5)


def test_each_function_is_the_score_of_its_name(case):
    """The same function object as `by_name` has: no program needs to run."""
    forms = {"synflow_bn", "relu_logdet", "zen_published", "swap_published"}
    for name in set(NAMES) - forms - {"params", "flops"}:
        data = (case.images, case.labels) if SCORES[name].needs_labels else (case.images,)
        estimator = getattr(zeroshot, name)(case.network, *data)
        assert estimator.func is by_name(name, case.network, *data).func, name
    with_norm = zeroshot.synflow(case.network, case.images, batch_norm=True)
    assert with_norm.func is by_name("synflow_bn", case.network, case.images).func
    every = zeroshot.naswot(case.network, case.images, relus="all")
    assert every.func is by_name("relu_logdet", case.network, case.images).func
    for name in ("zen", "swap"):
        published = getattr(zeroshot, name)(case.network, case.images, published=True)
        assert published.func is by_name(f"{name}_published", case.network, case.images).func


@pytest.mark.parametrize("name", ["params", "flops"])
def test_counts_of_the_space(case, name):
    counts = score(getattr(zeroshot, name)(case.network.space), KEY, case.archs)
    np.testing.assert_array_equal(counts, scores_of(case)[name])


def test_plain_with_the_other_sign():
    def three(images, labels, key, archs):
        return {"plain": jnp.asarray([1.0, -2.0, -jnp.inf])}

    case = NETWORKS["nasbench201"]
    negative = zeroshot.plain(case.network, case.images, case.labels, sign=-1)
    inner = negative.args[0]
    assert inner.func is zeroshot.plain(case.network, case.images, case.labels).func
    stub = jax.tree_util.Partial(lambda *args: three(*args)["plain"], *inner.args)
    np.testing.assert_array_equal(negative.func(stub, KEY, case.archs), [-1, 2, -np.inf])
    with pytest.raises(ValueError, match="sign must be 1 or -1; got 0"):
        zeroshot.plain(case.network, case.images, case.labels, sign=0)


def test_weights_of_its_own_for_each_architecture(case):
    """They differ from the shared ones, and are the same in every population."""
    estimator = estimator_of(case, QUICK, shared_init=False)
    own = of_names(estimator, KEY, case.archs)
    assert np.all(own["l2_norm"] != scores_of(case)["l2_norm"])
    assert_same(own, scores_of(case), ("relu_count", "params"))
    assert_same(
        of_names(estimator, KEY, np.roll(case.archs, 3, axis=0)),
        {n: np.roll(v, 3) for n, v in own.items()},
    )
    alone = of_names(estimator, KEY, case.archs[4:5])
    assert_same(alone, {name: values[4:5] for name, values in own.items()}, rtol=1e-5)


@pytest.mark.parametrize("num_batches", [1, 2])
def test_repeats_are_the_mean_and_deviation_of_separate_keys(case, num_batches):
    batches = np.stack([case.images, case.images[::-1] ** 2])[:num_batches]
    images = batches if num_batches > 1 else batches[0]
    labels = np.stack([case.labels] * num_batches) if num_batches > 1 else case.labels
    got = of_names(estimator_of(case, QUICK, images, labels, repeats=2), KEY, case.archs)
    keys = jax.random.split(KEY, 2)
    once = [
        of_names(estimator_of(case, QUICK, batches[r % num_batches]), keys[r], case.archs)
        for r in range(2)
    ]
    assert set(got) == {*QUICK, *(f"{name}_std" for name in QUICK)}
    for name in QUICK:
        values = np.array([scores[name] for scores in once], np.float64)
        ranked = np.isfinite(values).all(axis=0)
        np.testing.assert_allclose(got[name], values.mean(axis=0), rtol=1e-4)
        expected = np.std(np.where(ranked, values, 0), axis=0)
        np.testing.assert_allclose(
            got[f"{name}_std"], expected, rtol=1e-2, atol=1e-4 * np.abs(values[:, ranked]).max()
        )
    assert np.all(got["l2_norm_std"] > 0)
    assert got["naswot"][case.disconnected] == -np.inf


# What is shared


def jaxprs_within(value):
    for part in value if isinstance(value, tuple | list) else (value,):
        inner = getattr(part, "jaxpr", part)
        if hasattr(inner, "eqns"):
            yield inner


def num_forward_passes(jaxpr, stem):
    """Convolutions with the shape of the stem's kernel `[k, k, C, C']`."""
    total = 0
    for equation in jaxpr.eqns:
        if (
            equation.primitive.name == "conv_general_dilated"
            and equation.invars[1].aval.shape == stem
        ):
            total += 1
        inner = [found for value in equation.params.values() for found in jaxprs_within(value)]
        total += sum(num_forward_passes(found, stem) for found in inner)
    return total


def test_one_forward_pass_serves_all_scores_of_the_loss_and_the_codes(case):
    stem = jax.eval_shape(case.network.init, KEY)["stem"]["conv"].shape

    def count(names):
        return num_forward_passes(
            jax.make_jaxpr(estimator_of(case, names))(KEY, case.archs).jaxpr, stem
        )

    of_one = count(("grad_norm",))
    singles = of_one + count(("naswot",)) + count(("fisher",))
    assert of_one == 1
    assert count(FROM_ONE_PASS) == of_one < singles == 3
    assert count(("jacob_cov", "epe_nas")) == 1


# Refusals

CASE = NETWORKS["nasbench201"]
NEEDING = [name for name in NAMES if SCORES[name].needs_labels]


@pytest.mark.parametrize(
    ("name", "nearest"), [("grad_nrom", "grad_norm"), ("synflw", "synflow"), ("Zen", "zen")]
)
def test_unknown_names_suggest_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=f"unknown score '{name}'.*'{nearest}'"):
        estimator_of(CASE, ("snip", name))


def test_no_names():
    with pytest.raises(ValueError, match="names must have at least one"):
        estimator_of(CASE, ())


@pytest.mark.parametrize("name", NEEDING)
def test_missing_labels(name):
    with pytest.raises(ValueError, match=f"{name} needs labels"):
        suite(CASE.network, CASE.images, None, (name,))


@pytest.mark.parametrize(
    "labels", [CASE.labels[:-1], CASE.labels[None], CASE.labels.astype(np.float32)]
)
def test_labels_that_do_not_fit(labels):
    with pytest.raises(ValueError, match="labels must be integers"):
        estimator_of(CASE, ("snip",), labels=labels)


@pytest.mark.parametrize("name", NEEDING)
@pytest.mark.parametrize("wrong", [3, -1, 2**32])
def test_labels_that_are_no_classes_of_the_network(name, wrong):
    """Of three; none may vanish, or wrap around to a class."""
    labels = CASE.labels.astype(np.int64)
    labels[4] = wrong
    with pytest.raises(ValueError, match=rf"from 0 to 2, .*num_classes=3; got .*{wrong}"):
        suite(CASE.network, CASE.images, labels, ("l2_norm", name))
    with pytest.raises(ValueError, match="labels must be integers"):
        suite(CASE.network, CASE.images, CASE.labels / 2, (name,))
    suite(CASE.network, CASE.images, labels, ("l2_norm",))  # which has no use for them


def test_labels_may_be_a_list_or_of_any_integer_type():
    expected = estimator_of(CASE, ("snip",)).args[1]
    for labels in (CASE.labels.tolist(), CASE.labels.astype(np.uint8), jnp.asarray(CASE.labels)):
        given = estimator_of(CASE, ("snip",), labels=labels).args[1]
        assert given.dtype == expected.dtype == jnp.int32
        np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64", "list"])
def test_images_of_any_precision_are_those_of_float32(kind):
    images = CASE.images.astype(np.float16).astype(np.float32)  # what half precision can hold
    images = np.round(images * 4) / 4  # bfloat16, too
    given = images.tolist() if kind == "list" else images.astype(jnp.dtype(kind))
    found, expected = (
        estimator_of(CASE, ("synflow", "naswot"), images=x).args[0] for x in (given, images)
    )
    assert found.dtype == expected.dtype == jnp.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool])
def test_images_that_were_not_normalised(kind):
    images = np.ones_like(CASE.images).astype(kind)
    for given in (images, images.tolist()):
        with pytest.raises(ValueError, match="images must be normalised floats"):
            estimator_of(CASE, ("synflow",), images=given)


@pytest.mark.parametrize("shape", [(8, 8, 3), (6, 8), (2, 6, 8, 8, 3), (1, 1, 6, 8, 8, 3)])
def test_images_of_another_rank(shape):
    with pytest.raises(ValueError, match=r"images must be \[N, H, W, C\]"):
        estimator_of(CASE, ("l2_norm",), images=np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite(value):
    images = CASE.images.copy()
    images[2, 1, 0, 1] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        estimator_of(CASE, ("l2_norm",), images=images)


@pytest.mark.parametrize("name", [name for name in NAMES if SCORES[name].min_images == 2])
def test_too_few_images(name):
    with pytest.raises(ValueError, match=f"{name} needs at least 2 images; got"):
        estimator_of(CASE, (name,), images=CASE.images[:1], labels=CASE.labels[:1])


@pytest.mark.parametrize("repeats", [0, -1])
def test_repeats_below_one(repeats):
    with pytest.raises(ValueError, match=f"repeats must be at least 1; got {repeats}"):
        estimator_of(CASE, ("l2_norm",), repeats=repeats)
