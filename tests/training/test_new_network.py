"""A network that is not jnas' own, of a space of choices, is trained as those of jnas are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import training, zeroshot
from jnas.data import normalise
from jnas.types import Dataset
from tests.oracles.widths import ARCHS, NETWORK, WIDTHS


@pytest.fixture(scope="module")
def trained(stripes: Dataset, recipe: training.Recipe) -> training.Trained:
    return training.train(NETWORK, ARCHS, stripes, recipe, 1)


def logits_by_numpy(trained: training.Trained, number: int, images: np.ndarray) -> np.ndarray:
    """Logits of one of the networks, from its weights and statistics."""
    width = WIDTHS[int(trained.archs[number, 0])]
    weights = jax.tree.map(lambda leaf: np.asarray(leaf[number], np.float64), trained.params)
    (known,) = [jax.tree.map(lambda leaf: leaf[number], found) for found in trained.statistics]
    x = np.asarray(normalise(images, trained.dataset), np.float64)[..., 0]
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2)
    )
    y = np.einsum("nhwij,ijc->nhwc", windows, weights["first"]["conv"][:, :, 0])
    norm = weights["first"]["norm"]
    y = (y - known.mean) / np.sqrt(known.var + 1e-5) * norm["scale"] + norm["bias"]
    features = np.maximum(y, 0).mean((1, 2))[:, :width]
    return features @ weights["dense"]["kernel"][:width] + weights["dense"]["bias"]


def test_learns_and_predicts(trained: training.Trained, stripes: Dataset) -> None:
    assert trained.curves["test_accuracy"][1, -1] > 0.9
    logits = trained.predict(stripes.test.x)
    assert logits.shape == (2, 16, 2)
    for number in range(2):
        wanted = logits_by_numpy(trained, number, stripes.test.x)
        np.testing.assert_allclose(logits[number], wanted, rtol=1e-3, atol=1e-4)
    alone = trained.select(1).predict(stripes.test.x[3:4])
    np.testing.assert_allclose(alone[0, 0], logits[1, 3], rtol=1e-4, atol=1e-5)


def test_weights_that_a_width_lacks_are_not_moved(
    trained: training.Trained, recipe: training.Recipe
) -> None:
    # Weight decay alone: they shrink by one factor, whatever the images are.
    begun = NETWORK.init(jax.random.fold_in(jax.random.key(1), 0))["first"]["conv"]
    ratio = trained.params["first"]["conv"][0][..., WIDTHS[0] :] / begun[..., WIDTHS[0] :]
    assert recipe.weight_decay > 0
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)
    assert 0.9 < ratio.mean() < 1


@pytest.mark.slow
def test_own_program_objective_and_score_agree(
    trained: training.Trained, stripes: Dataset, recipe: training.Recipe
) -> None:
    own = training.train(NETWORK, ARCHS[1:], stripes, recipe, 1)
    for name, curve in own.curves.items():
        np.testing.assert_allclose(curve[0, 0], trained.curves[name][1, 0], rtol=1e-3, atol=1e-6)
    objective = training.objective(NETWORK, stripes, recipe, 1, own=True)
    scores = [objective(ARCHS[1], epochs)[0] for epochs in (1, recipe.epochs)]
    np.testing.assert_allclose(scores, own.curves["validation_accuracy"][0, [0, -1]], rtol=1e-6)
    # NASWOT of trained weights, over the channels of the width alone.
    images = normalise(stripes.train.x[:16], stripes)
    for k, width in enumerate(WIDTHS):
        params = jax.tree.map(lambda leaf, k=k: leaf[k], trained.params)
        kernel = zeroshot.hamming_kernel(NETWORK, params, jnp.asarray(ARCHS[k]), images)
        np.testing.assert_array_equal(np.diagonal(kernel), 64 * width)
        assert np.isfinite(zeroshot.log_determinant(kernel))


def test_files_cannot_name_it(
    trained: training.Trained, stripes: Dataset, recipe: training.Recipe, tmp_path
) -> None:
    with pytest.raises(ValueError, match=r"not made by jnas\.networks; files can only name"):
        training.save(trained, tmp_path / "trained.npz")
    # Told before anything is trained.
    with pytest.raises(ValueError, match=r"not made by jnas\.networks"):
        training.train(NETWORK, ARCHS, stripes, recipe._replace(epochs=10**6), out=tmp_path / "run")
    assert not list(tmp_path.iterdir())
