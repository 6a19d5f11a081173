"""Selection by perturbation against plain loops."""

import dataclasses

import jax
import numpy as np
import pytest

from jnas import networks, oneshot
from jnas.oneshot import Searched, perturbation
from jnas.oneshot.alternating import halves, start
from jnas.types import Images
from tests.oracles.weight_sharing import setup_of


@pytest.fixture(scope="module")
def network():
    """Network of two cells: of one, ruined weights miss the same operations."""
    sizes = {"channels": 2, "cells": 2, "stages": 1, "num_classes": 2, "in_channels": 1}
    return networks.nasbench201(**sizes, affine=False, bias=False)


@pytest.fixture(scope="module")
def searched(network, stripes):
    """As after a search whose weights have not moved."""
    of, keys = setup_of(network, stripes, "darts"), jax.random.split(jax.random.key(0), 2)
    state = jax.vmap(lambda key: start(of, key))(keys)
    weights = np.random.default_rng(0).dirichlet(np.ones(5), (2, 1, 6)).astype(np.float32)
    archs = weights[:, -1].argmax(axis=-1).astype(np.int32)
    archs[1] = -1
    return Searched(archs, weights, state, {}, (None, None), of, stripes)


@pytest.mark.slow
def test_the_operation_that_is_missed_most_stays(searched, network, stripes):
    found = oneshot.perturbed(searched, stripes, 7, tune_epochs=0)
    np.testing.assert_array_equal(found[1], searched.archs[1])  # it diverged
    params = jax.tree.map(lambda leaf: leaf[0], searched.params)
    rows = np.asarray(halves(stripes).choose)
    unit = (stripes.train.x[rows] / stripes.scale - stripes.mean) / stripes.std
    images, labels = unit.astype(np.float32), stripes.train.y[rows]
    mix, weights = jax.jit(network.mix), searched.probabilities[0, -1].copy()
    order_key, _ = jax.random.split(jax.random.split(jax.random.key(7), 2)[0])
    for edge in np.asarray(jax.random.permutation(order_key, 6)):
        right = []
        for op in range(5):
            without = weights.copy()
            without[edge, op] = 0
            without[edge] /= without[edge].sum()
            right.append(np.sum(np.argmax(mix(params, without, images), axis=1) == labels))
        worst = min(range(5), key=lambda op: (right[op], -weights[edge, op]))
        weights[edge] = np.eye(5)[worst]
    np.testing.assert_array_equal(found[0], weights.argmax(axis=1))


def test_batches_are_of_all_classes_where_images_come_class_by_class(stripes, monkeypatch):
    monkeypatch.setattr(perturbation, "_BATCH", 8)
    labels = np.sort(stripes.train.y)
    shared = halves(dataclasses.replace(stripes, train=Images(stripes.train.x, labels)))
    rows = np.asarray(perturbation._rows(shared, None))
    assert rows.shape == (3, 8)
    assert np.isin(rows, shared.choose).all()
    assert len(np.unique(rows)) == rows.size
    assert all(set(labels[batch]) == {0, 1} for batch in rows)
    np.testing.assert_array_equal(perturbation._rows(shared, 1), rows[:1])


@pytest.mark.slow
def test_weights_are_tuned_between_edges(searched, stripes):
    """At a rate at which a step ruins them, another cell is found."""
    fast = searched.setup.recipe._replace(learning_rate=500.0, clip_norm=None)
    ruined = searched._replace(setup=searched.setup._replace(recipe=fast))
    assert oneshot.perturbed(ruined, stripes, 7, tune_epochs=1).shape == (2, 6)
    assert np.any(
        oneshot.perturbed(ruined, stripes, 7, tune_epochs=1)[0]
        != oneshot.perturbed(searched, stripes, 7, tune_epochs=0)[0]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [({"tune_epochs": -1}, "0 or more"), ({"batches": 2}, "batches must be in 1 … 1")],
)
def test_bad_input_is_named(searched, stripes, options, message):
    with pytest.raises(ValueError, match=message):
        oneshot.perturbed(searched, stripes, **options)


def test_partial_channels_are_refused(searched, network, stripes):
    partial = searched._replace(setup=setup_of(network, stripes, "pc_darts"))
    with pytest.raises(ValueError, match="partial channels"):
        oneshot.perturbed(partial, stripes)
