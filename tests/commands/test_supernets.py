"""Saved supernets as estimators of the command line."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas import data, oneshot
from jnas.commands import supernets
from jnas.commands.search.settings import Settings, filled
from tests.commands.helpers import files, invoke, put, read_csv, read_json

SPACE = jnas.spaces.nasbench201()
CELLS = [SPACE.to_string(arch) for arch in ([3, 3, 3, 1, 3, 3], [2, 0, 1, 3, 4, 2], [0] * 6)]


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


def test_a_search_by_a_supernet(supernet, tmp_path) -> None:
    command = ["search", "--estimator", supernet, "--candidates", 4, "--no-progress"]
    invoke(*command, "--out", tmp_path)
    result = read_json(tmp_path / "result.json")
    assert result["settings"]["images"] == "digits"
    assert result["settings"]["num_images"] is None
    assert "--images" not in result["command"]
    scores = [float(row["score"]) for row in read_csv(tmp_path / "scores.csv")]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == 4
    assert "did not see them" in (tmp_path / "report.html").read_text()
    with pytest.raises(ValueError, match="another job"):
        invoke(*command, "--seed", 1, "--out", tmp_path)


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
