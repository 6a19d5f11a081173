"""Strategies that train the weights that they judge by."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas import data, oneshot
from jnas.commands.search import ranking
from jnas.commands.search.settings import Settings
from jnas.commands.search.supernet import Options
from jnas.engine import trainings
from tests.commands.helpers import WEIGHTS, files, invoke, read_csv, read_json

SPACE = jnas.spaces.nasbench201()
COMMAND = ["search", "--strategy", "gdas", "--seeds", 2, *WEIGHTS]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run folder of two searches by GDAS, killed on the way, and what was printed."""
    folder = tmp_path_factory.mktemp("gdas") / "run"
    add = trainings._Work.add

    def killed(work, block) -> None:
        if work.num_blocks == 1:
            raise KeyboardInterrupt
        add(work, block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainings._Work, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            invoke(*COMMAND, "--out", folder)
    return folder, invoke(*COMMAND, "--out", folder)


@pytest.mark.slow
def test_the_run_folder(searched) -> None:
    folder, printed = searched
    names = {"results.csv", "histories.npz", "result.json", "report.html", "cell.png"}
    names |= {"distribution.csv", "distribution.png"}
    assert set(files(folder)) == names | {f"supernet.{x}" for x in ("npz", "csv", "png")}
    result = read_json(folder / "result.json")
    assert result["resumed"]
    assert result["settings"]["estimator"] == "oneshot"
    assert result["settings"]["budget"] is None
    assert "--strategy gdas" in result["command"]
    assert result["best"]["architecture"] in printed
    assert "2 searches of 2 epochs on digits" in printed.replace("\n", " ")


@pytest.mark.slow
def test_answers_are_those_of_the_library(searched) -> None:
    folder, _ = searched
    network = jnas.networks.nasbench201(
        channels=2, cells=1, stages=1, in_channels=1, affine=False, bias=False
    )
    augmentation = data.Augmentation(flip=True, crop=1)
    method = oneshot.method("gdas", epochs=2, augmentation=augmentation)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), 2**31 - 1), 2)
    images = data.load("digits")
    found = oneshot.search(network, images, method, keys)
    rows = read_csv(folder / "results.csv")
    assert [row["architecture"] for row in rows] == [SPACE.to_string(a) for a in found.archs]
    for row, arch, place in zip(rows, found.archs, range(2), strict=True):
        judge = oneshot.estimator(found.supernet.select(place), images, "loss")
        score = judge(jax.random.key(0), jnp.asarray(arch[None]))[0]
        assert float(row["score"]) == pytest.approx(float(score), rel=1e-4)
    probabilities = [
        [float(row[name]) for name in SPACE.edge_operations]
        for row in read_csv(folder / "distribution.csv")
    ]
    np.testing.assert_allclose(
        np.reshape(probabilities, found.probabilities.shape), found.probabilities, rtol=1e-5
    )


@pytest.mark.slow
def test_means_are_those_of_the_searches_that_have_not_diverged(searched) -> None:
    supernet = oneshot.load(searched[0] / "supernet.npz")
    curves = {name: np.array(values) for name, values in supernet.curves.items()}
    for values in curves.values():
        values[0] = np.nan
    state = supernet.state._replace(failed_at=jnp.array([1, 0], jnp.int32))
    header, *rows = ranking.curve(supernet._replace(curves=curves, state=state))
    assert [header, *rows] == ranking.curve(supernet.select(1))
    assert np.isfinite(rows).all()


@pytest.mark.slow
def test_the_supernet_judges_elsewhere(searched, tmp_path) -> None:
    folder, _ = searched
    out = tmp_path / "scores.csv"
    invoke("score", "--num", 3, "--estimator", folder / "supernet.npz", "--out", out)
    assert np.isfinite([float(row["supernet"]) for row in read_csv(out)]).all()


@pytest.mark.slow
def test_given_again_nothing_is_searched(searched, monkeypatch) -> None:
    folder, printed = searched
    before = files(folder)
    monkeypatch.setattr(trainings._Work, "add", None)
    assert invoke(*COMMAND, "--out", folder) == printed
    after = files(folder)
    assert {name: after[name] for name in after if name != "supernet.npz"} == {
        name: before[name] for name in before if name != "supernet.npz"
    }
    with pytest.raises(ValueError, match="another job"):
        invoke(*COMMAND, "--seed", 1, "--out", folder)


@pytest.mark.slow
def test_other_methods_and_their_options(tmp_path) -> None:
    for strategy, options in (
        ("darts", ["--order", 2]),
        ("setn", ["--num-archs", 5]),
        ("rsps", ["--num-archs", 5]),
        ("enas", ["--num-updates", 1, "--num-archs", 5]),
    ):
        invoke("search", "--strategy", strategy, *options, *WEIGHTS, "--out", tmp_path / strategy)
        result = read_json(tmp_path / strategy / "result.json")
        assert result["settings"][str(options[0])[2:].replace("-", "_")] == options[1]
    invoke("report", tmp_path / "setn", tmp_path / "rsps", "--out", tmp_path / "report")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"estimator": "params"}, "trains the weights that it judges by, .* --estimator params"),
        ({"budget": 9}, "budget does not go with gdas"),
        ({"max_params": 10**6}, "max_params does not go with gdas"),
        ({"candidates": 9}, "--candidates does not go with searches"),
        ({"supernet": Options(sampler="deiso")}, "sampler does not go with gdas"),
        ({"options": {"order": 2}}, "gdas has no order. It has no options"),
        ({"strategy": "darts", "options": {"orders": 2}}, "darts has no orders. Did you mean 'or"),
        ({"strategy": "gdsa"}, "unknown strategy 'gdsa'. Did you mean 'gdas'"),
    ],
)
def test_what_does_not_go(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**{"strategy": "gdas"} | settings)


@pytest.mark.slow
def test_spaces_whose_operations_do_not_mix(tmp_path) -> None:
    with pytest.raises(ValueError, match="network of nats_size has no mixed operations"):
        invoke("search", "--strategy", "gdas", "--space", "nats_size", "--out", tmp_path)
    assert not list(tmp_path.iterdir())
