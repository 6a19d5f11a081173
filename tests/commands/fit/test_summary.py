"""The summary of a fit, in the cases that the command does not reach."""

import numpy as np
import pytest

import jnas
from jnas.commands import summary
from jnas.commands.fit import fits
from jnas.commands.fit.settings import Settings
from jnas.commands.fit.summary import summarise
from tests.commands.helpers import put

SPACE = jnas.spaces.nasbench201()


@pytest.mark.slow
def test_forests_have_no_curves_and_ensembles_one_measurement(tmp_path) -> None:
    short = {"num_train": 30, "num_test": 20, "seeds": 1}
    for predictor, members in (("e2epp", 1), ("mlp", 2)):
        folder = tmp_path / predictor
        put(folder / "curves.png", b"of an earlier fit", "figure")
        epochs = None if predictor == "e2epp" else 1
        settings = Settings(
            "nasbench201", predictor=predictor, members=members, epochs=epochs, **short
        )
        result = fits.run(settings, folder)
        summary.write(folder, summarise(result))
        assert (folder / "curves.png").exists() == (predictor == "mlp")
        assert (folder / "ranks.png").exists()
        assert result.fitted.epochs == (0,)
        assert result.scores.shape == (1, 20)
        state = jnas.predictors.state(result.fitted.states, 0)
        jnas.predictors.save(folder / "predictor.npz", result.predictor, state)
        saved, state = jnas.predictors.load(folder / "predictor.npz", SPACE)
        archs = jnas.benchmarks.nasbench201("cifar10").archs[-20:]
        np.testing.assert_array_equal(saved.predict(state, archs), result.scores[0])
