"""The surrogate of NAS-Bench-301 against a NumPy one, stored outputs, and published agreements."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import benchmarks, search, spaces
from jnas.benchmarks import Surrogate
from jnas.types import Query
from tests.oracles import nasbench301 as oracle

SPACE = spaces.nasbench301()
ARRAYS = oracle.random_network(0)
ARCHS = jax.jit(jax.vmap(SPACE.sample))(jax.random.split(jax.random.key(0), 1003))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    path = tmp_path_factory.mktemp("surrogate") / "small.npz"
    np.savez(path, **ARRAYS)
    return benchmarks.nasbench301_surrogate(path)


@pytest.fixture(scope="module")
def real(data_folder: Path) -> Surrogate:
    return benchmarks.nasbench301_surrogate(data_folder / "nasbench301_net.npz")


def test_predictions_are_those_of_the_network(small: Surrogate) -> None:
    """More cells than are computed side by side; the NumPy ones of some of them."""
    found = {epochs: small.predict(ARCHS, epochs) for epochs in (1, 98)}
    for place in (0, 1, 500, 999, 1000, 1002):
        cells = oracle.genotype(SPACE.to_string(ARCHS[place]))
        for epochs, (accuracy, seconds) in found.items():
            expected = oracle.predict(ARRAYS, oracle.categories(cells), epochs)
            assert (accuracy[place], seconds[place]) == pytest.approx(expected, rel=2e-5)
    assert len(set(np.asarray(found[98].accuracy).tolist())) > 990
    estimator = small.estimator(1)
    np.testing.assert_array_equal(estimator(jax.random.key(1), ARCHS), found[1].accuracy)
    wrong = ARCHS[:2].at[0, 21].set(7)
    np.testing.assert_array_equal(np.isnan(small.predict(wrong).accuracy), [True, False])


@pytest.mark.slow
def test_the_objective_answers_for_every_number_of_epochs(small: Surrogate) -> None:
    whole, short = small.predict(ARCHS), small.predict(ARCHS, 1)
    asked = jnp.full(len(ARCHS), 1).at[:6].set(jnp.asarray([98, 0, 49, 99, -1, 98]))
    objective = small.objective()
    query = Query(jnp.arange(len(ARCHS)), ARCHS.at[5, 0].set(3), asked)
    outcome = objective(jax.random.key(0), query)
    np.testing.assert_allclose(outcome.scores[6:], short.accuracy[6:], rtol=1e-6)
    np.testing.assert_allclose(outcome.seconds[6:], whole.seconds[6:] / 98, rtol=1e-6)
    np.testing.assert_allclose(outcome.scores[:2], whole.accuracy[:2], rtol=1e-6)
    np.testing.assert_allclose(outcome.seconds[:2], whole.seconds[:2], rtol=1e-6)
    assert outcome.seconds[2] == pytest.approx(float(whole.seconds[2]) / 2, rel=1e-6)
    # The wrong epochs, and what is no architecture.
    assert np.isnan(outcome.scores[3:6]).all()
    np.testing.assert_array_equal(outcome.seconds[3:6], 0)
    assert objective.epochs == tuple(range(1, 99))
    assert "Objective of a surrogate" in repr(objective)


@pytest.mark.slow
def test_a_search_runs_on_the_surrogate(small: Surrogate) -> None:
    history = search.run(
        search.successive_halving(SPACE, min_epochs=2, max_epochs=98, eta=7),
        small.objective(),
        jax.random.key(0),
        num_evaluations=57,
    )
    for arch, epochs, score in zip(history.archs, history.epochs, history.scores, strict=True):
        expected = small.predict(arch[None], epochs).accuracy[0]
        assert score == pytest.approx(float(expected), rel=1e-6)


def test_what_it_says_of_itself_and_refuses(
    small: Surrogate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repr(small).startswith("Surrogate of nasbench301, small.npz\n  Predictions of a network")
    assert "cannot be judged" in small.about
    assert repr(small.estimator(4)).startswith(
        "Estimator by the surrogate of nasbench301, small.npz, epoch 4\n"
    )
    for epochs in (0, 99):
        with pytest.raises(ValueError, match=rf"epochs must be in 1 … 98; got {epochs}"):
            small.estimator(epochs)
    path = tmp_path / "nasbench301_net.npz"
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no nasbench301_net surrogate at .*Put nasbench3"):
        benchmarks.nasbench301_surrogate()
    np.savez(path, **{name: values for name, values in ARRAYS.items() if name != "deep_1_w"})
    with pytest.raises(ValueError, match=r"nasbench301_net\.npz .*deep_1_w"):
        benchmarks.nasbench301_surrogate()
    np.savez(path, **(ARRAYS | {"deep_1_w": ARRAYS["deep_1_w"][:, :-1]}))
    with pytest.raises(ValueError, match=r"layers .* do not lead from 337 inputs to 2 outputs"):
        benchmarks.nasbench301_surrogate()


# --------------------------------------------------------------------------------------------------
# The network itself.


def test_stored_outputs(real: Surrogate, data_folder: Path) -> None:
    """Fifty cells after four numbers of epochs, as another program computed them."""
    with np.load(data_folder / "nasbench301_net.npz") as file:
        found, epochs, expected = (file[f"test_{x}"] for x in ("categories", "epochs", "output"))
    cells = [oracle.cells_of(row) for row in found]
    for row, each in zip(found, cells, strict=True):
        np.testing.assert_array_equal(oracle.categories(each), row)
    archs = jnp.stack([SPACE.from_string(oracle.text(*each)) for each in cells])
    said = jax.vmap(real.predict, (None, 0))(archs, jnp.asarray(epochs, jnp.int32))
    np.testing.assert_allclose(said.accuracy.T, expected[..., 0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(said.seconds.T, expected[..., 1], rtol=0, atol=0.02)


@pytest.mark.slow
def test_sixty_thousand_cells(real: Surrogate, data_folder: Path) -> None:
    table = benchmarks.load(data_folder / "nasbench301_surrogate.npz")
    # The longest training comes last.
    for epochs, column in sorted(table.learning_curve("val98").items()):
        said = real.predict(jnp.asarray(table.archs), epochs)
        np.testing.assert_allclose(said.accuracy, table.column(column), rtol=0, atol=1e-4)
    np.testing.assert_allclose(said.seconds, table.column("seconds"), rtol=0, atol=0.02)
