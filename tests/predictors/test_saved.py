"""Files of predictors; the protocol of all of them is in `test_predictors`."""

from pathlib import Path

import numpy as np
import pytest

import jnas
from tests.predictors.helpers import (
    NB101,
    NB201,
    P,
    assert_equal,
    drawn,
    keys,
    make,
)


@pytest.mark.slow
def test_a_saved_ensemble(tmp_path: Path) -> None:
    ensemble = P.ensemble(make("mlp", NB201), 2)
    archs, targets = drawn(NB201, 12)
    state = ensemble.fit(keys(1)[0], archs, targets)
    P.save(tmp_path / "x.npz", ensemble, state)
    again, kept = P.load(tmp_path / "x.npz")
    assert_equal(again.predict(kept, archs), ensemble.predict(state, archs))


def test_a_predictor_of_an_own_space_needs_it(tmp_path: Path) -> None:
    own = jnas.spaces.product({"kernel": (3, 5), "width": (16, 32)})
    mine = make("mlp", own)
    fitted = mine.fit(keys(1)[0], own.enumerate(), np.arange(4.0))
    P.save(tmp_path / "own.npz", mine, fitted)
    with pytest.raises(ValueError, match="predictor of product, which is no space of jnas"):
        P.load(tmp_path / "own.npz")
    again, kept = P.load(tmp_path / "own.npz", own)
    assert_equal(again.predict(kept, own.enumerate()), mine.predict(fitted, own.enumerate()))


def test_files_that_are_refused(tmp_path: Path) -> None:
    predictor = make("mlp", NB201)
    archs, targets = drawn(NB201, 12)
    state = predictor.fit(keys(1)[0], archs, targets)
    with pytest.raises(ValueError, match=r"\.npz"):
        P.save(tmp_path / "x.pkl", predictor, state)
    P.save(tmp_path / "x.npz", predictor, state)
    with pytest.raises(ValueError, match="cannot judge nasbench101"):
        P.load(tmp_path / "x.npz", NB101)
    (tmp_path / "y.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match="not a saved predictor"):
        P.load(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", about="{}")
    with pytest.raises(ValueError, match="not a saved predictor"):
        P.load(tmp_path / "z.npz")
