"""Supernets that a search trains before it begins."""

import dataclasses
import json
import shutil

import chex
import jax
import numpy as np
import pytest
from scipy.stats import kendalltau

import jnas
from jnas import data, oneshot, population
from jnas.commands import folder as folders
from jnas.commands.search import quality, supernet
from jnas.commands.search.settings import Settings
from jnas.commands.search.supernet import Options
from jnas.engine import trainings
from jnas.engine.files import replacing
from tests.commands.helpers import SHARED, files, invoke, put, read_csv, read_json

SPACE = jnas.spaces.nasbench201()


def test_the_run_folder_has_the_supernet(shared) -> None:
    folder, _ = shared
    names = {"scores.csv", "scores.npz", "result.json", "report.html", "cell.png", "search.png"}
    names |= {f"scores_{name}.png" for name in jnas.benchmarks.DATASETS} | {"rank_cifar10.png"}
    names |= {f"supernet.{ending}" for ending in ("npz", "json", "csv", "png")}
    names |= {"ranking.json", "ranking.png"}
    assert set(files(folder)) == names
    assert not any((folder / name).exists() for name in ("training", "ranking"))
    made = oneshot.load(folder / "supernet.npz")
    result, curve = read_json(folder / "result.json"), read_csv(folder / "supernet.csv")
    np.testing.assert_allclose([float(row["loss"]) for row in curve], made.curves["loss"][0])
    assert made.recipe.sampler == "deiso"
    settings = result["settings"]
    assert {"images": "digits", "size": 8, "channels": 2, "epochs": 2}.items() <= settings.items()
    assert settings["num_images"] is None
    for told in ("--epochs 2", "--channels 2", "--estimator oneshot"):
        assert told in result["command"]


def test_the_report_ranks_beside_parameters(shared) -> None:
    folder, printed = shared
    rows, result = read_csv(folder / "scores.csv"), read_json(folder / "result.json")
    archs = np.stack([np.asarray(SPACE.from_string(row["architecture"])) for row in rows])
    archs, places = np.unique(archs, axis=0, return_index=True)
    params = np.array([int(SPACE.params(arch)) for arch in archs])
    for name, taus in result["supernet"]["kendall_tau"].items():
        truth = np.array([float(row[name.replace(" ", "_")]) for row in rows])[places]
        scores = np.array([float(row["score"]) for row in rows])[places]
        for told, values in (("one-shot", scores), ("#params", params)):
            tau = float(jnas.metrics.kendall_tau(values, truth))
            assert taus[told] == pytest.approx(tau, abs=1e-6)
            assert f"{tau:.3f}" in printed
        assert "FLOPs" in taus
    assert len(result["supernet"]["kendall_tau"]) == 3


def test_the_report_ranks_after_some_epochs(shared) -> None:
    """Of the same architectures, by the estimator of the file and by scipy; the costs likewise."""
    folder, printed = shared
    made, told = oneshot.load(folder / "supernet.npz"), read_json(folder / "result.json")
    kept = read_json(folder / "ranking.json")
    assert told["supernet"]["ranking"] == {x: kept[x] for x in kept if x != "fingerprint"}
    table = jnas.benchmarks.nasbench201("cifar10")
    known = quality.drawn({"val_accuracy cifar10": (table, "val_accuracy")})
    judge = oneshot.estimator(made, data.load("digits"), "loss")
    scores = population.score(judge, known.archs, jax.random.key(0), progress=False)
    params = [int(x) for x in jax.vmap(SPACE.params)(known.archs)]
    truth = table.look_up("val_accuracy", known.archs)
    for name, values in (("loss", scores), ("params", params)):
        tau = kendalltau(values, truth).statistic
        assert kept["kendall"][name][-1] == pytest.approx(tau, abs=1e-5)
        assert f"{tau:.3f}" in printed
    assert (kept["epochs"], kept["num"], kept["share"]) == ([1, 2], 200, 0.1)
    page = (folder / "report.html").read_text()
    for text in ("ranks worse than the number of parameters", "P@top 10 %", "epoch 2"):
        assert text in printed
        assert text in page
    assert "Published (Ning et al." in page


@pytest.mark.slow
def test_of_few_architectures_there_is_no_top(shared, tmp_path) -> None:
    made = oneshot.load(shared[0] / "supernet.npz")
    archs = SPACE.enumerate()[5000:5020]
    known = quality.Known("top", "", archs, np.arange(20.0))
    found = quality._measured(made, data.load("digits"), known, tmp_path / "x", True, False)
    assert (found.num, found.epochs, found.share, found.p_top) == (20, [2], None, {})
    params = [int(x) for x in jax.vmap(SPACE.params)(archs)]
    assert found.kendall["params"] == pytest.approx([kendalltau(params, known.truth).statistic])


def test_what_was_kept_on_the_way_is_not_in_the_file(shared) -> None:
    made = oneshot.load(shared[0] / "supernet.npz")
    assert made.epochs == ()
    assert all(leaf.shape[1] == 0 for leaf in jax.tree.leaves(made.state.kept))


def test_without_known_accuracies_nothing_is_kept_or_ranked(shared, tmp_path, monkeypatch) -> None:
    made = oneshot.load(shared[0] / "supernet.npz")
    monkeypatch.setattr(oneshot, "train", lambda *_, keep, **options: asked.append(keep) or made)
    asked: list[tuple[int, ...]] = []
    put(tmp_path / "ranking.json", b"{}", quality._KIND)
    plan = supernet.plan(Options(2, channels=2, cells=1, stages=1), SPACE, "digits", 0, False)
    assert supernet.train(plan, tmp_path, True, False, {})[1] is None
    assert asked == [()]
    assert not (tmp_path / "ranking.json").exists()


@pytest.mark.slow
def test_any_strategy_searches_with_the_same_supernet(shared, tmp_path) -> None:
    """And its file judges alike, wherever it is."""
    folder, _ = shared
    command = [*SHARED[:-2], "--strategy", "regularized_evolution", "--budget", 4]
    invoke(*command, "--population-size", 3, "--out", tmp_path / "run")
    one, other = (oneshot.load(place / "supernet.npz") for place in (folder, tmp_path / "run"))
    np.testing.assert_array_equal(one.curves["loss"], other.curves["loss"])
    rows = read_csv(folder / "scores.csv")
    cells = [row["architecture"] for row in rows[:2]]
    out = tmp_path / "scores.csv"
    invoke("score", *cells, "--estimator", folder / "supernet.npz", "--out", out)
    again = [float(row[column]) for row in read_csv(out) for column in row if column == "supernet"]
    np.testing.assert_allclose(again, [float(row["score"]) for row in rows[:2]], rtol=1e-5)
    invoke("search", "--estimator", folder / "supernet.npz", "--candidates", 2, "--out", out.parent)
    assert read_json(tmp_path / "result.json")["supernet"]["ranking"] is None
    assert not (tmp_path / "ranking.png").exists()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(shared, tmp_path, monkeypatch) -> None:
    """While it trains, ranks and scores; what is done is not done again."""
    folder, printed = shared
    done: list[int] = []
    add, score = trainings._Work.add, population.score

    def killed(work, block) -> None:
        if len(done) == 1:
            raise KeyboardInterrupt
        add(work, block)
        done.append(work.num_epochs)

    def unscored(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainings._Work, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        invoke(*SHARED, "--out", tmp_path)
    assert done == [1]
    assert not (tmp_path / "supernet.npz").exists()
    with pytest.raises(ValueError, match="another job"):
        invoke(*SHARED, "--seed", 1, "--out", tmp_path)
    monkeypatch.setattr(
        trainings._Work, "add", lambda work, block: (add(work, block), done.append(2))
    )
    with monkeypatch.context() as patch:
        patch.setattr(oneshot, "criteria", unscored)
        with pytest.raises(KeyboardInterrupt):
            invoke(*SHARED, "--out", tmp_path)
    assert sorted(files(tmp_path / "ranking")) == ["epoch1-0.npz", "epoch2-0.npz"]
    monkeypatch.setattr(population, "score", unscored)
    with pytest.raises(KeyboardInterrupt):
        invoke(*SHARED, "--out", tmp_path)
    assert done == [1, 2]
    monkeypatch.setattr(population, "score", score)
    monkeypatch.setattr(oneshot, "train", None)
    monkeypatch.setattr(oneshot, "study", None)
    again = invoke(*SHARED, "--out", tmp_path)
    assert again.replace(str(tmp_path), "") == printed.replace(str(folder), "")
    assert read_json(tmp_path / "result.json")["resumed"]


@pytest.mark.slow
def test_a_supernet_that_other_code_has_trained_is_taken_over_if_asked(
    shared, tmp_path, monkeypatch
) -> None:
    """A finished search that is read again anyway keeps the supernet that has judged."""
    folder = shutil.copytree(shared[0], tmp_path / "run")
    for name, kind in (("supernet.json", supernet._KIND), ("result.json", folders._FACTS)):
        facts = read_json(folder / name)
        facts.get("fingerprint", facts)["code"]["jax"] = "0.0.1"
        with replacing(folder / name, kind) as file:
            file.write(json.dumps(facts).encode())
    weights = (folder / "supernet.npz").read_bytes()
    monkeypatch.setattr(oneshot, "train", None)
    with pytest.raises(ValueError, match="begun by other code"):
        invoke(*SHARED, "--out", folder)
    invoke(*SHARED, "--resume-anyway", "--out", folder)
    assert (folder / "supernet.npz").read_bytes() == weights


@pytest.mark.slow
def test_a_diverged_supernet_is_kept_but_judges_nothing(tmp_path, monkeypatch) -> None:
    train = oneshot.train

    def diverging(network, dataset, *given, **options):
        # Images of infinite pixels go through the program of `shared`.
        broken = dataclasses.replace(dataset, std=np.zeros_like(dataset.std))
        return train(network, broken, *given, **options)

    monkeypatch.setattr(oneshot, "train", diverging)
    with pytest.raises(ValueError, match="no estimator: it diverged in epoch 1"):
        invoke(*SHARED, "--out", tmp_path)
    assert oneshot.load(tmp_path / "supernet.npz").failed_at.tolist() == [1]
    assert not (tmp_path / "result.json").exists()


def test_defaults_follow_from_the_images_and_the_space() -> None:
    plan = supernet.plan(Options(), SPACE, "digits", 0, progress=False)
    expected = Options(epochs=160, sampler="deiso", size=8, channels=8, cells=1, stages=3)
    assert plan.options == expected
    assert plan.recipe.training.augmentation.crop == 1
    assert plan.recipe.training.batch_size == 128
    assert data.load("digits").mean == plan.dataset.mean
    large = jnas.spaces.nasbench101()
    assert supernet.plan(Options(), large, "digits", 0, progress=False).options.sampler == "uniform"
    pairs = jnas.spaces.nasbench301()
    plan = supernet.plan(Options(epochs=1), pairs, "digits", 0, progress=False)
    assert plan.options == Options(epochs=1, sampler="uniform", size=8, channels=8, cells=3)
    assert plan.network == jnas.networks.nasbench301(
        channels=8, layers=3, in_channels=1, affine=False, pool_norm=True
    )


def test_of_many_images_the_rate_stays_and_nothing_is_moved(monkeypatch) -> None:
    monkeypatch.setattr(supernet, "_STEPS", 20 * (1257 // 128))
    recipe = supernet.plan(Options(), SPACE, "digits", 0, progress=False).recipe
    usual = oneshot.recipe("quick", sampler="deiso").training
    expected = {"learning_rate": 0.1, "final_learning_rate": 0.1}
    assert recipe.training == usual._replace(augmentation=data.Augmentation(), **expected)
    few = supernet.plan(Options(epochs=3), SPACE, "digits", 0, progress=False).recipe
    assert few.training == recipe.training._replace(epochs=3)
    assert supernet.late_epochs(recipe) == (16, 18)
    assert supernet.late_epochs(few) == ()
    assert supernet.late_epochs(oneshot.recipe("quick")) == ()


@pytest.mark.slow
def test_where_the_rate_stays_the_last_weights_are_averaged(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(supernet, "_STEPS", 20 * (1257 // 128))
    of = supernet.plan(Options(epochs=5, channels=2, cells=1), SPACE, "digits", 0, progress=False)
    assert supernet.late_epochs(of.recipe) == (4,)
    made, _ = supernet.train(of, tmp_path, True, False, {})
    alone = oneshot.train(of.network, of.dataset, of.recipe, of.key, keep=(4,))
    expected = oneshot.averaged(alone, (4, 5))
    for found in (made, oneshot.load(tmp_path / "supernet.npz")):
        chex.assert_trees_all_equal(found.params, expected.params)
        assert found.epochs == ()


@pytest.mark.slow
def test_a_supernet_of_pairs_of_cells(tmp_path) -> None:
    options = ("--images", "digits", "--epochs", 1, "--cells", 1, "--channels", 2)
    printed = invoke(
        *("search", "--estimator", "oneshot", "--space", "nasbench301", *options),
        *("--strategy", "regularized_evolution", "--budget", 12, "--population-size", 4),
        *("--sample-size", 2, "--out", tmp_path),
    )
    assert oneshot.load(tmp_path / "supernet.npz").network.space.name == "nasbench301"
    best = read_json(tmp_path / "result.json")["best"]
    assert "Genotype(normal=" in json.dumps(best)
    assert "7,468 weights" in printed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"supernet": Options(epochs=3)}, "epochs goes with the supernet of .*; naswot has no use"),
        ({"estimator": "oneshot", "supernet": Options(epochs=0)}, "epochs must be at least 1"),
        (
            {"estimator": "oneshot", "supernet": Options(sampler="fairnass")},
            "unknown sampler 'fairnass'. Did you mean 'fairnas'",
        ),
        ({"strategy": "area", "start": "oneshot"}, "start cannot be oneshot"),
    ],
)
def test_options_that_do_not_go(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**settings)


@pytest.mark.slow
def test_what_cannot_be_trained(tmp_path) -> None:
    for options, message in (
        (["--space", "spikenas_bench"], "no network for the space 'spikenas_bench'"),
        (["--space", "nats_size", "--channels", 4], "channels is a choice of each architecture"),
        (["--space", "nasbench301", "--stages", 2], "stages is fixed in the network"),
        (["--images", "noise"], "no data set is called 'noise'"),
        (["--space", "nasbench101", "--sampler", "fairnas"], "fair sampling needs free choices"),
    ):
        with pytest.raises(ValueError, match=message):
            invoke("search", "--estimator", "oneshot", *options, "--out", tmp_path)
    with pytest.raises(ValueError, match="supernet is trained by jnas search"):
        invoke("score", "--num", 1, "--estimator", "oneshot", "--out", tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_folder_names_tell_the_supernet() -> None:
    settings = Settings(estimator="oneshot", supernet=Options(epochs=3, sampler="strata"))
    assert settings.folder_name == "nasbench201-oneshot-epochs3-sampler-strata-100-seed0"
    assert settings.is_batch
    assert settings.uses_images
