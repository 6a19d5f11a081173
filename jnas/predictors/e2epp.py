"""E2EPP: a random forest on features of architectures.

Sun, Wang, Xue, Jin, Yen and Zhang, "Surrogate-Assisted Evolutionary Deep Learning Using an
End-to-End Random Forest-based Performance Predictor", IEEE Transactions on Evolutionary Computation
2019: 1000 trees of unrestricted depth, each on a random subset of the `F` features whose size is
uniform in 1 … F; the prediction is their mean. `forest` has the trees.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas import encodings
from jnas.engine.inputs import as_archs, as_keys
from jnas.engine.pickles import pickled_by_call
from jnas.predictors import checks, many
from jnas.predictors.forest import MaxFeatures, Trees, fit_trees, pad_trees, predict_trees
from jnas.predictors.many import Evaluation, Fitted
from jnas.types import Key, Predictor, Space

_Features = Callable[[jax.Array], jax.Array]  # archs `[B, D]` -> `[B, F]`


@functools.cache
@pickled_by_call
def e2epp(
    space: Space,
    *,
    num_trees: int = 1000,
    max_features: MaxFeatures = "random",
    bootstrap: bool = False,
) -> Predictor:
    """E2EPP on the ReNAS tensor, as ReNAS compares itself with it (Xu et al., CVPR 2021, table 2).

    Forests are fitted on the host; scores are in the unit of the targets.

    `max_features="all"` with `bootstrap=True` and 100 trees is scikit-learn's default forest.

    Args:
        space: of any kind; the paper's tensor is that of nasbench101.
        num_trees: of each forest.
        max_features: as for `forest.fit_trees`.
        bootstrap: likewise.
    """
    settings: dict[str, Any] = {
        "num_trees": num_trees,
        "max_features": max_features,
        "bootstrap": bootstrap,
    }
    features = functools.partial(_features, encodings.renas(space))
    forest_of = functools.partial(fit_trees, **settings)
    each = functools.partial(_predict, features)
    predict = jax.jit(each)
    fit_many = functools.partial(_fit_many, space, jax.jit(features), forest_of, predict)
    fit = functools.partial(many.fit_one, fit_many)
    return Predictor("e2epp", space, settings, fit, predict, fit_many, many.predict_each(each))


def _features(encode: _Features, archs: jax.Array) -> jax.Array:
    """Encoded architectures, flat, `[B, F]`."""
    encoded = encode(as_archs(archs))
    # Not -1 for F, which has no answer where B is 0.
    return encoded.reshape(len(archs), math.prod(encoded.shape[1:]))


def _predict(features: _Features, state: Trees, archs: jax.Array) -> jax.Array:
    """Scores `[B]` of a forest."""
    scores: jax.Array = predict_trees(state, features(archs))
    return scores


def _fit_many(
    space: Space,
    features: _Features,
    forest_of: Callable[[Key, np.ndarray, np.ndarray], Trees],
    predict: Callable[[Trees, jax.Array], jax.Array],
    keys: Key,
    archs: Any,
    targets: Any,
    *,
    where: Any = None,
    evaluation: Evaluation | None = None,
    checkpoint: Any = None,
    resume: Any = True,
    progress: bool = False,
) -> Fitted:
    """Forests of `S` training sets, one after the other, and their evaluation at the end.

    Raises:
        ValueError: as for `checks.training_sets`; or keys that do not fit.
    """
    # A forest has no epochs to stop between; the options are there for the sake of the protocol.
    del checkpoint, resume, progress
    checked = checks.training_sets(space, archs, targets, where)
    rows, values, exists = map(np.asarray, checked)
    keys, forests = as_keys(keys, values.shape[:1]), []
    for key, row, value, keep in zip(keys, rows, values, exists, strict=True):
        # Encoded with its padding, so that sets of all sizes share a program, then without it.
        known = np.asarray(features(jnp.asarray(row)))[keep]
        forests.append(forest_of(key, known, value[keep]))
    states = pad_trees(forests)
    measured, epochs = many.measure_by(predict, states, evaluation)
    # No epochs, so no losses.
    return Fitted(states, np.zeros((len(forests), 0), np.float32), measured, epochs)
