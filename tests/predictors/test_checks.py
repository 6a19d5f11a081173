"""Training sets and test sets that no predictor can be fitted to."""

import pickle

import numpy as np
import pytest

from jnas.predictors import Evaluation
from tests.predictors.helpers import NB201, P, drawn, keys, make


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (
            "not finite: rows 3, 5$",
            lambda a, t: (a, np.where(np.isin(np.arange(12), (3, 5)), np.nan, t)),
        ),
        ("two architectures with different targets", lambda a, t: (a, np.full(12, 0.9))),
        ("targets, as float32 tells", lambda a, t: (a, t.astype(float) * 1e-40)),
        (
            r"beyond 8.5e\+37, which must be rescaled: rows 0, 1, 2, 3, 4 and 7 more",
            lambda a, t: (a, t.astype(float) * 1e43),
        ),
        ("two architectures with different targets", lambda a, t: (a[:1], t[:1])),
        (
            "not valid in nasbench201: rows 2$",
            lambda a, t: (np.where(np.arange(12)[:, None] == 2, 7, a), t),
        ),
        (
            "occur twice in a training set: rows 11$",
            lambda a, t: (np.concatenate([a[:11], a[:1]]), t),
        ),
        (r"archs must be \[B, D\] integers; got .* archs\[None\]", lambda a, t: (a[0], t[0])),
        ("archs must be", lambda a, t: (a[:, :5], t)),
        ("archs must be", lambda a, t: (a.astype(float), t)),
        ("targets must be", lambda a, t: (a, t[:5])),
    ],
)
def test_bad_training_sets(message: str, change) -> None:
    with pytest.raises(ValueError, match=message):
        make("mlp", NB201).fit(keys(1)[0], *change(*drawn(NB201, 12)))


@pytest.mark.parametrize("name", ["mlp", "e2epp", pytest.param("ensemble", marks=pytest.mark.slow)])
def test_bad_test_sets(name: str) -> None:
    """Those measured on the way, and those at the end."""
    predictor = P.ensemble(make("mlp", NB201), 2) if name == "ensemble" else make(name, NB201)
    archs, targets = drawn(NB201, 12)
    for wrong in (
        Evaluation(archs, targets[:5]),
        Evaluation(archs[None].repeat(2, 0), targets[None].repeat(2, 0)),
        Evaluation(archs[0], targets[0]),
    ):
        with pytest.raises(ValueError, match=r"evaluation needs archs \[M, D\] or \[S, M, D\]"):
            predictor.fit_many(keys(1), archs[None], targets[None], evaluation=wrong)
    large = Evaluation(archs, targets.astype(float) * 1e43)
    with pytest.raises(ValueError, match=r"targets beyond 8.5e\+37, .* rescaled: rows 0"):
        predictor.fit_many(keys(1), archs[None], targets[None], evaluation=large)


@pytest.mark.parametrize("num_members", [1, 2])
def test_a_classification_needs_two_classes(num_members: int) -> None:
    archs, targets = drawn(NB201, 12)
    one = make("rnn_classifier", NB201)
    predictor = one if num_members == 1 else P.ensemble(one, num_members)
    message = r"all 12 training architectures are above the threshold 0\.9 .* choose another"
    with pytest.raises(ValueError, match=message) as raised:
        predictor.fit(keys(1)[0], archs, 100 * targets)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    with pytest.raises(ValueError, match=r"are at or below the threshold 0\.9"):
        predictor.fit(keys(1)[0], archs, targets / 10)
