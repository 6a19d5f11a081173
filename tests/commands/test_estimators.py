"""What judges, by name."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jnas
from jnas.commands import estimators, score
from jnas.commands.estimators import Materials
from tests.oracles.nasbench301 import random_network

SPACE = jnas.spaces.nasbench201()
ARCHS = SPACE.enumerate()[100:103]


def judged(name: str, **materials: object) -> np.ndarray:
    judge = estimators.estimator(name, SPACE, Materials(**materials), jax.random.key(1))  # type: ignore[arg-type]
    return np.asarray(judge(jax.random.key(0), ARCHS))


def test_a_table(tmp_path) -> None:
    packaged = jnas.benchmarks.nasbench201("cifar10")
    usual = packaged.estimator("val_accuracy")(jax.random.key(0), ARCHS)
    np.testing.assert_array_equal(judged("table"), usual)
    columns = {"top": np.arange(3.0), "other": np.ones(3)}
    jnas.benchmarks.save(jnas.benchmarks.make_table(SPACE, ARCHS, columns), tmp_path / "mine.npz")
    np.testing.assert_array_equal(judged("table", table=str(tmp_path / "mine.npz")), [0, 1, 2])
    np.testing.assert_array_equal(
        judged("table", table=str(tmp_path / "mine.npz"), column="other"), [1, 1, 1]
    )


def test_a_direction_that_is_given(tmp_path) -> None:
    columns = {"top": np.arange(3.0), "other": np.ones(3), "third": np.ones(3)}
    path = str(tmp_path / "t.npz")
    jnas.benchmarks.save(jnas.benchmarks.make_table(SPACE, ARCHS, columns), path)
    table, column = Materials(table=path, minimize=True).read(SPACE, "other", None)
    assert column == "top"
    assert [table.minimizes(name) for name in columns] == [True, True, False]
    table, column = Materials(table=path, column="other").read(SPACE)
    assert column == "other"
    assert not table.minimizes("top")


def test_a_surrogate(tmp_path, monkeypatch) -> None:
    np.savez(tmp_path / "nasbench301_net.npz", **random_network(0))
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    space = jnas.spaces.nasbench301()
    archs = np.asarray(jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 4)))
    judge = estimators.estimator("surrogate", space, Materials(), jax.random.key(0))
    expected = jnas.benchmarks.nasbench301_surrogate().predict(archs, 98).accuracy
    np.testing.assert_array_equal(judge(jax.random.key(1), archs), expected)
    assert "no trainings" in estimators.caveat("surrogate")
    assert not estimators.caveat("table")
    with pytest.raises(ValueError, match="no surrogate of nasbench201; there is one of nasbench3"):
        judged("surrogate")


def test_materials_of_settings() -> None:
    """Settings have some of the fields, and None where the default is not theirs to choose."""
    settings = SimpleNamespace(images=None, num_images=7, table="t.npz", minimize=False, seed=1)
    expected = Materials(num_images=7, table="t.npz", minimize=False)
    assert Materials.of(settings) == expected
    assert Materials.of(score.Settings(column="top", duplicates="mean")) == Materials(
        column="top", duplicates="mean"
    )


def test_images_follow_the_key() -> None:
    one, two = (
        estimators.estimator("naswot", SPACE, Materials(num_images=2), jax.random.key(seed)).args[0]
        for seed in (1, 2)
    )
    assert one.shape == two.shape == (2, 32, 32, 3)
    assert not np.array_equal(one, two)


def test_scores_of_untrained_networks_by_name() -> None:
    """One without labels, one with; digits have some, noise has none."""
    for name in ("params", "flops"):
        expected = getattr(jnas.zeroshot, name)(SPACE)(jax.random.key(0), ARCHS)
        np.testing.assert_array_equal(judged(name, num_images=2), expected)
    snip = estimators.estimator("snip", SPACE, Materials(num_images=2), jax.random.key(0))
    assert [leaf.shape for leaf in jax.tree.leaves(snip)] == [(2, 32, 32, 3), (2,)]
    with pytest.raises(ValueError, match="noise has no labels"):
        estimators.estimator(
            "snip", SPACE, Materials(images="noise", num_images=2), jax.random.key(0)
        )
    assert estimators.sees_images("snip")
    assert not estimators.sees_images("table")


def test_networks_have_the_classes_of_the_images(tmp_path) -> None:
    """Those of the whole file, whichever images are drawn, and whether the score looks or not."""
    labels = np.arange(20, 100, 10)
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1))
    np.savez(tmp_path / "mine.npz", x=x, y=labels)
    np.savez(tmp_path / "bare.npz", x=x)
    for name, source, classes in (
        ("snip", str(tmp_path / "mine.npz"), {"num_classes": 91}),
        ("naswot", str(tmp_path / "mine.npz"), {"num_classes": 91}),
        ("naswot", str(tmp_path / "bare.npz"), {}),
        ("snip", "digits", {"num_classes": 10}),
        ("naswot", "noise", {}),
    ):
        materials = Materials(images=source, num_images=2)
        judge = estimators.estimator(name, SPACE, materials, jax.random.key(0))
        made = jnas.networks.nasbench201(in_channels=3, **classes)
        # Equal settings are one network, and its estimators of one name are one function.
        assert judge.func is jnas.zeroshot.by_name(name, made, *jax.tree.leaves(judge)).func


def test_labels() -> None:
    assert (estimators.is_saved("a/gates.npz"), estimators.label("a/gates.npz")) == (True, "gates")
    assert (estimators.is_saved("naswot"), estimators.label("naswot")) == (False, "naswot")


def test_unknown_names() -> None:
    for name, message in (
        ("tabel", r"unknown estimator 'tabel'. Did you mean 'table'\? Valid names: naswot, table"),
        ("absent.npz", "absent.npz"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            judged(name)
    with pytest.raises(ValueError, match="Did you mean 'val_accuracy'"):
        judged("table", column="val_acuracy")
    with pytest.raises(ValueError, match="no image network for the space 'spikenas_bench'"):
        estimators.estimator("naswot", jnas.spaces.spikenas_bench(), Materials(), jax.random.key(0))
