"""Saved supernets as estimators of the command line."""

import dataclasses
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas import data, oneshot
from jnas.commands import supernets
from jnas.commands.search import searches
from jnas.commands.search.settings import Settings, filled
from jnas.commands.search.summary import summarise
from jnas.commands.search.texts import legend
from tests.commands.helpers import files, invoke, put, read_csv

SPACE = jnas.spaces.nasbench201()
CELLS = [SPACE.to_string(arch) for arch in ([3, 3, 3, 1, 3, 3], [2, 0, 1, 3, 4, 2], [0] * 6)]


@pytest.fixture
def supernet(shared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a supernet of the digits, by a name of its own."""
    path = tmp_path_factory.mktemp("supernet") / "shared.npz"
    shutil.copy(shared[0] / "supernet.npz", path)
    return path


def test_scores_are_negated_losses_on_validation_images(supernet, tmp_path) -> None:
    out = tmp_path / "scores.csv"
    command = ["score", *CELLS, "--estimator", supernet, "--out", out, "--no-progress"]
    printed = invoke(*command)
    found = [float(row["shared"]) for row in read_csv(out)]
    archs = np.stack([np.asarray(SPACE.from_string(cell)) for cell in CELLS])
    loaded = oneshot.load(supernet)
    images, params = data.load("digits"), jax.tree.map(lambda leaf: leaf[0], loaded.params)
    for score, arch in zip(found, archs, strict=True):
        x = data.normalise(images.validation.x, images)
        logits = jax.nn.log_softmax(loaded.network.apply(params, jnp.asarray(arch), x))
        expected = np.mean(np.asarray(logits)[np.arange(len(x)), images.validation.y])
        assert score == pytest.approx(expected, rel=1e-4)
    before = files(tmp_path)
    assert invoke(*command, "--images", "digits") == printed
    assert files(tmp_path) == before


def test_a_search_by_a_supernet(shared, supernet, tmp_path) -> None:
    """From the seed of the run that trained it the same candidates have the same scores."""
    settings = Settings(estimator=str(supernet), candidates=6)
    result = searches.run(settings, tmp_path)
    told = result.settings
    assert (told.images, told.num_images) == ("digits", None)
    assert "--images" not in told.command_line()
    scores = [float(row["score"]) for row in read_csv(shared[0] / "scores.csv")]
    np.testing.assert_allclose(result.scores[0], scores, rtol=1e-5)
    assert summarise(result).facts["supernet"]["epochs"] == 2
    assert "did not see them" in legend(result, {"num_unranked": 0})


def test_networks_of_a_supernet_are_computed_one_by_one(supernet) -> None:
    """Side by side a program would compute all operations, and scores would differ in rounding."""
    settings = Settings(estimator=str(supernet), strategy="local_search")
    assert settings.uses_images
    assert not settings.uses_untrained
    assert filled(settings, None).images == "digits"
    assert filled(Settings(strategy="area"), None).num_images == 128


def test_a_supernet_is_told_from_other_files(supernet, tmp_path) -> None:
    archs = SPACE.enumerate()[:20]
    predictor = jnas.predictors.mlp(SPACE, training=jnas.predictors.Training(epochs=1))
    state = predictor.fit(jax.random.key(0), archs, np.arange(20.0))
    jnas.predictors.save(tmp_path / "mlp.npz", predictor, state)
    put(tmp_path / "broken.npz", b"no archive")
    assert supernets.is_saved(str(supernet))
    for name in (str(tmp_path / "mlp.npz"), str(tmp_path / "broken.npz"), "absent.npz", "naswot"):
        assert not supernets.is_saved(name)
    invoke("score", CELLS[0], "--estimator", tmp_path / "mlp.npz", "--out", tmp_path / "s.csv")
    with pytest.raises(ValueError, match=r"broken.npz is not"):
        invoke("score", CELLS[0], "--estimator", tmp_path / "broken.npz")


@pytest.mark.slow
def test_supernets_that_cannot_judge(supernet, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = oneshot.load(supernet)

    def saved(name: str, changed: oneshot.Supernet) -> Path:
        oneshot.save(changed, tmp_path / name)
        return tmp_path / name

    state = loaded.state._replace(failed_at=np.ones(1, np.int32))
    diverged = saved("diverged.npz", loaded._replace(state=state))
    mine = dataclasses.replace(loaded.dataset, name="mine")
    unknown = saved("mine.npz", loaded._replace(dataset=mine))
    cases: list[tuple[list[object], str]] = [
        (["--estimator", supernet, "--space", "nats_size"], "of nasbench201; it cannot judge nats"),
        (
            ["--estimator", supernet, "--images", "digits201"],
            r"trained on digits \(8 x 8 x 1, 10 classes, .*images of digits201 .*parted in another",
        ),
        (["--estimator", diverged], "no estimator: it diverged in epoch 1"),
        (["--estimator", unknown], "trained on mine, which is no data set .* with --images"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            invoke("score", "--num", 2, *options, "--no-progress")
    invoke("score", "--num", 2, "--estimator", unknown, "--images", "digits", "--no-progress")
    assert (tmp_path / "scores-nasbench201-mine-digits-2-seed0.csv").exists()
