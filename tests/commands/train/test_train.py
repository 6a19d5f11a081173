"""`jnas train` as a practitioner uses it: from a folder of pictures to a network and a report."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

import jnas
from jnas.commands.train import choice, plan, runs
from jnas.commands.train.settings import Settings
from tests.commands.helpers import CELL, QUIET, TINY, files, invoke, put, read_csv, read_json
from tests.oracles.exports import HALF_FED, PAIRS, PNAS, RESNEXT_A

SPACE = jnas.spaces.nasbench201()


# The first run is told of the picture that cannot be read, as `trained` checks.
pytestmark = pytest.mark.filterwarnings("ignore:.*broken.*")


def test_the_run_folder_has_it_all(trained) -> None:
    folder, _, printed = trained
    names = {"confusion.csv", "result.json", "report.html", "trained.npz"}
    pictures = {"cell.png", "curves.png", "confused.png", "wrong.png"}
    assert names <= set(files(folder)) <= names | pictures
    assert {"model.py", "variables.npz", "about.json"} <= set(files(folder / "network"))
    page = (folder / "report.html").read_text()
    for text in ("What it confuses", "How it learnt", "broken.png", "1x1", "given"):
        assert text in page
    assert "from the 84 training images alone, not from the 18 of validation" in page
    assert str(folder / "trained.npz") in printed


def test_facts_agree_with_the_network(trained, pictures) -> None:
    folder, _, _ = trained
    facts, network = read_json(folder / "result.json"), jnas.training.load(folder / "trained.npz")
    assert facts["status"] == "trained"
    assert facts["images"] == {"train": 84, "validation": 18, "test": 18}
    assert "broken.png" in " ".join(facts["notes"])
    for part in ("train", "validation", "test"):
        curve = network.curves[f"{part}_accuracy"][0]
        assert facts["accuracy"][part] == pytest.approx(float(curve[-1]))
    counts = read_csv(folder / "confusion.csv")
    right = sum(int(row[row["class"]]) for row in counts)
    assert right / 18 == pytest.approx(facts["accuracy"]["test"])
    assert facts["params"] <= 250
    about = read_json(folder / "network" / "about.json")
    assert (about["params"], about["macs"]) == (facts["params"], facts["macs"])
    assert about["classes"] == ["columns", "rows"] == facts["classes"]
    assert facts["architecture"] == CELL
    assert SPACE.to_string(network.archs[0]) == CELL


@pytest.mark.slow
def test_the_best_candidate_is_trained(pictures, tmp_path) -> None:
    """The main job: scores of candidates, short trainings, the best one in full."""
    folder = tmp_path / "run"
    command = ["train", "--images", pictures, *TINY, *QUIET, "--epochs", 8, "--candidates", 6]
    command += ["--trained", 4, "--max-params", 250, "--out", folder]
    printed = invoke(*command)
    assert not (folder / "trainings").exists()
    facts, rows = read_json(folder / "result.json"), read_csv(folder / "candidates.csv")
    # A cell without a path from input to output is no candidate.
    assert 4 <= len(rows) <= 6
    short = {row["architecture"]: float(row["accuracy_4"]) for row in rows if row["accuracy_4"]}
    assert len(short) == 4
    assert short[facts["architecture"]] == max(short.values())
    # Those of the best votes were trained, and the vote is by all three scores.
    scores = np.array([[float(row[name]) for row in rows] for name in ("jacob_cov", "synflow")])
    assert np.isfinite(scores).all()
    network = jnas.training.load(folder / "trained.npz")
    assert SPACE.to_string(network.archs[0]) == facts["architecture"]
    assert {"params", "jacob_cov"} <= set(facts["kendall_tau_with_short_trainings"])
    assert "What was tried" in (folder / "report.html").read_text()
    before = files(folder)
    assert _told(invoke(*command)) == _told(printed)
    for name in ("trained.npz", "candidates.csv", "confusion.csv", "scores.npz"):
        assert files(folder)[name] == before[name]


def _told(printed: str) -> list[str]:
    """Lines that were printed, without the time that was measured anew."""
    return [line for line in printed.splitlines() if "ms for one image" not in line]


@pytest.mark.slow
def test_given_again_it_has_the_same_result(trained) -> None:
    folder, command, printed = trained
    before = files(folder)
    assert _told(invoke(*command)) == _told(printed)
    for name in ("trained.npz", "confusion.csv"):
        assert files(folder)[name] == before[name]
    with pytest.raises(ValueError, match="another job"):
        invoke(*command, "--seed", 1)
    with pytest.raises(ValueError, match="another job"):
        invoke(*command, "--learning-rate", 0.05)


def test_the_best_of_a_search_is_trained(pictures, tmp_path) -> None:
    run, cell = tmp_path / "search", SPACE.to_string(np.array([1, 0, 2, 0, 0, 3]))
    facts = {"best": {"architecture": cell}, "settings": {"space": "nasbench201"}}
    put(run / "result.json", json.dumps(facts).encode())
    assert choice.best_of(run, "nasbench201") == cell
    with pytest.raises(ValueError, match="nasbench201 as well"):
        choice.best_of(run, "nats_size")
    with pytest.raises(ValueError, match="no finished jnas search"):
        choice.best_of(tmp_path, "nasbench201")
    with pytest.raises(ValueError, match="over the limit of 10"):
        invoke(
            *["train", "--images", pictures, *TINY, *QUIET, "--from", run, "--max-params", 10],
            *["--out", tmp_path / "run"],
        )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--arch", "x", "--strategy", "random"], "do not go together"),
        (["--budget", 5], "needs a --strategy"),
        (["--population-size", 5], "needs a --strategy"),
        (["--strategy", "random", "--population-size", 5], "random has no population_size"),
        (["--trained", 5], "one of 1, 4, 16, 64"),
        (["--candidates", 5, "--strategy", "random"], "does not go with --strategy"),
        (["--space", "nasbench-201"], "Did you mean 'nasbench201'"),
        (["--recipe", "quik"], "Did you mean 'quick'"),
        (["--strategy", "randon"], "Did you mean 'random'"),
        (["--minutes", 0], "--minutes must be above 0"),
        (["--arch", "|x~0|"], "x"),
        (["--space", "nats_size", "--channels", 4], "choice of each architecture"),
        (["--validation", 0], "no validation images"),
        (["--max-params", 1, "--candidates", 3], "the smallest have"),
        (["--images", "digit"], "Did you mean 'digits'"),
    ],
)
def test_wrong_options_are_told(args, message, tmp_path) -> None:
    with pytest.raises(ValueError, match=message):
        invoke("train", *QUIET, *args, "--out", tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()


# -- Time ------------------------------------------------------------------------------------------


def clock(left: float) -> plan.Clock:
    """A clock with so many usable seconds left."""
    return plan.Clock(time.monotonic(), (left + 15) / 0.8)


def test_halving_trains_a_quarter_four_times_as_long() -> None:
    assert plan.Plan(16, 64).rungs == [(16, 8), (4, 32)]
    assert plan.Plan(1, 64).rungs == []
    # Each of 16 for 8 epochs, 4 of them for 24 more, one in full from the start.
    assert plan.num_epochs(16, 64) == 16 * 8 + 4 * 24 + 64


@pytest.mark.parametrize(
    ("left", "trained", "epochs", "num_cuts"),
    [(1e9, 16, 64, 0), (289, 16, 64, 0), (193, 4, 64, 1), (70, 1, 64, 1), (30, 1, 30, 2)],
)
def test_what_does_not_fit_is_cut(left, trained, epochs, num_cuts) -> None:
    found = plan.fitting(16, 64, clock(left), 1.0)
    assert (found.trained, len(found.cuts)) == (trained, num_cuts)
    assert abs(found.epochs - epochs) <= 1
    assert plan.num_epochs(found.trained, found.epochs) <= left


def test_a_few_epochs_have_no_room_for_many_rungs() -> None:
    assert plan.fitting(16, 6, plan.Clock(0, None), 0.0).trained == 4
    assert plan.fitting(16, 2, plan.Clock(0, None), 0.0).trained == 1


@pytest.mark.slow
def test_decisions_of_another_job_do_not_count(tmp_path) -> None:
    mine, other = plan.Decisions(tmp_path, "a"), plan.Decisions(tmp_path, "b")
    mine.keep(scored=3)
    mine.keep(plan=[1])
    assert mine.read() == {"scored": 3, "plan": [1]}
    assert other.read() == {}


@pytest.mark.slow
def test_a_budget_of_time_cuts_and_is_kept(pictures, tmp_path) -> None:
    settings = Settings(
        images=str(pictures), channels=2, stages=1, cells=1, size=8, epochs=3000, minutes=0.5
    )
    found = runs.run(settings, tmp_path)
    assert found.choice.cuts
    assert found.choice.epochs < 3000
    again = runs.run(settings, tmp_path)
    assert again.choice.cuts == found.choice.cuts
    np.testing.assert_array_equal(again.choice.arch, found.choice.arch)


# -- Strategies, limits, failures ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", "successive_halving", "nsga2"])
def test_strategies_search_by_real_trainings(strategy, pictures, tmp_path) -> None:
    sizes = {"channels": 2, "stages": 1, "cells": 1, "size": 8, "epochs": 9}
    options = {"population_size": 4} if strategy == "nsga2" else {}
    budget = 13 if strategy == "successive_halving" else 8
    settings = Settings(
        images=str(pictures), strategy=strategy, options=options, budget=budget, **sizes
    )
    found = runs.run(settings, tmp_path)
    tried = found.choice.tried
    assert tried is not None
    assert len(tried.archs) == budget
    longest = tried.accuracies[max(tried.accuracies)]
    assert longest[tried.chosen] == np.nanmax(longest)
    np.testing.assert_array_equal(found.choice.arch, tried.archs[tried.chosen])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "arch", "sizes"),
    [
        ("nb1shot1", HALF_FED, {"channels": 2, "stages": 2, "cells": 1}),
        ("darts", PAIRS, {"channels": 2, "cells": 3}),
        ("nasbench301", PAIRS.replace("none", "skip_connect"), {"channels": 2, "cells": 2}),
        ("pnas", PNAS, {"channels": 2, "cells": 2}),
        ("nasbench_macro", "02001020", {}),
        ("nds_resnext_a", RESNEXT_A, {}),
    ],
)
def test_networks_of_other_spaces_are_trained_and_exported(
    space, arch, sizes, pictures, tmp_path
) -> None:
    settings = Settings(images=str(pictures), space=space, arch=arch, size=8, epochs=2, **sizes)
    found = runs.run(settings, tmp_path)
    about = read_json(tmp_path / "network" / "about.json")
    assert (about["params"], about["macs"]) == found.size[:2]
    with np.load(tmp_path / "network" / "example.npz") as example:
        logits = found.trained.predict(example["images"])
        np.testing.assert_allclose(logits[0], example["logits"], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_sizes_are_ranked_by_their_parameters(pictures, tmp_path) -> None:
    limits = {"max_params": 30_000, "max_flops": 1e6, "max_latency_ms": 1e3}
    settings = Settings(
        images=str(pictures),
        space="nds_resnext_a",
        size=8,
        epochs=4,
        candidates=9,
        trained=4,
        **limits,
    )
    found = runs.run(settings, tmp_path)
    tried = found.choice.tried
    assert tried is not None
    params = [size.params for size in tried.sizes]
    assert sorted(params, reverse=True) == params
    assert params[0] <= 30_000
    short = tried.accuracies[min(tried.accuracies)]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(short)), range(4))
    assert short[tried.chosen] == np.nanmax(short)
    assert "ranked by their parameters" in found.choice.how


@pytest.mark.slow
def test_a_latency_is_measured_and_kept(pictures, tmp_path) -> None:
    sizes = {"channels": 2, "stages": 1, "cells": 1, "size": 8, "epochs": 1}
    settings = Settings(images=str(pictures), candidates=3, trained=1, max_latency_ms=1e3, **sizes)
    found = runs.run(settings, tmp_path / "run")
    tried = found.choice.tried
    assert tried is not None
    assert 0 < tried.sizes[tried.chosen].milliseconds <= 1e3
    tight = Settings(images=str(pictures), candidates=3, max_latency_ms=1e-9, **sizes)
    with pytest.raises(ValueError, match="the quickest takes"):
        runs.run(tight, tmp_path / "tight")


@pytest.mark.slow
def test_a_training_that_diverges_is_recorded_as_failed(pictures, tmp_path) -> None:
    folder = tmp_path / "run"
    cell = SPACE.to_string(jax.numpy.array([3, 3, 3, 3, 3, 3]))
    invoke(
        *["train", "--images", pictures, *TINY, *QUIET, "--arch", cell, "--epochs", 3],
        *["--recipe", "nasbench201", "--learning-rate", 1e30, "--out", folder],
    )
    facts = read_json(folder / "result.json")
    assert facts["failed_at"] in (1, 2, 3)
    assert facts["status"] == f"diverged in epoch {facts['failed_at']}"
    assert f"diverged in epoch {facts['failed_at']}" in (folder / "report.html").read_text()
    assert not (folder / "network").exists()
    with pytest.raises(ValueError, match="diverged"):
        invoke("predict", folder, Path(pictures) / "rows")


# -- Kills -----------------------------------------------------------------------------------------


def _killed_once(command: list[str], is_time: Callable[[], bool]) -> None:
    """A process of the command that is killed as soon as it is time, unless it ends before."""
    process = subprocess.Popen([sys.executable, "-m", "jnas", *command])
    while process.poll() is None and not is_time():
        time.sleep(0.05)
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(pictures, tmp_path) -> None:
    """Killed while scores are taken, while candidates are trained, and within the full training."""
    sizes = [*TINY, *QUIET, "--epochs", 40, "--candidates", 6, "--trained", 4]
    command = [*map(str, ["train", "--images", pictures, *sizes, "--out"])]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    times = (
        lambda: (killed / "scores.npz").exists(),
        lambda: (killed / "search" / "search.npz").exists(),
        lambda: (killed / "part-0000").exists(),
    )
    for is_time in times:
        _killed_once([*command, str(killed)], is_time)
        assert not (killed / "result.json").exists()
    for folder in (killed, whole):
        invoke(*command, folder)
    assert read_json(killed / "result.json")["resumed"]
    assert (killed / "candidates.csv").read_text() == (whole / "candidates.csv").read_text()
    one, other = (jnas.training.load(folder / "trained.npz") for folder in (killed, whole))
    np.testing.assert_array_equal(one.archs, other.archs)
    for name, curve in one.curves.items():
        np.testing.assert_allclose(curve, other.curves[name], rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        one.params,
        other.params,
    )
