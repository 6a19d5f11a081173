"""Published curves against the criteria that their authors have stored."""

import os
from pathlib import Path

import numpy as np
import pytest

from experiments import common, oneshot_curves
from jnas.oneshot import published

pytestmark = pytest.mark.skipif(
    not (Path(os.environ.get("JNAS_DATA", "")) / "oneshot_curves.npz").is_file(),
    reason="needs oneshot_curves.npz in $JNAS_DATA",
)
SPACES = pytest.mark.parametrize(
    ("space", "stored"),
    [("nasbench201", "nb201"), ("nb1shot1", "nb1shot1_s3"), ("nasbench301", "nb301")],
)


@SPACES
def test_curves_are_means_of_what_is_stored(space: str, stored: str) -> None:
    curve = published.CURVES[space]
    both = {"nb1shot1": published.NB1SHOT1, "nasbench301": published.NASBENCH301}
    taus = {curve.score: curve.kendall} | both.get(space, {})
    told = [(score, "kendall", values) for score, values in taus.items()]
    top = f"p_top@{published.SHARE:g}"
    with np.load(common.data_file("oneshot_curves.npz")) as file:
        names, epochs = list(file[f"{stored}_criteria"]), list(file[f"{stored}_epochs"])
        for score, criterion, values in [*told, (curve.score, top, curve.p_top)]:
            seeds = file[f"{stored}_{score[:3] if score == 'accuracy' else score}"]
            means = seeds[..., names.index(criterion)].mean(axis=1)
            expected = [means[epochs.index(epoch)] for epoch in values]
            np.testing.assert_allclose(list(values.values()), expected, atol=6e-4)
    assert curve.num_epochs == epochs[-1]


@pytest.mark.slow
@SPACES
def test_taus_of_parameters(space: str, stored: str) -> None:
    found = oneshot_curves.published(stored).costs["params"]["kendall"]
    assert published.CURVES[space].params == pytest.approx(found, abs=6e-4)
