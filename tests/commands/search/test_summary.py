"""The summary of searches, in the cases that commands do not reach."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas.commands import summary
from jnas.commands.search import searches
from jnas.commands.search.searches import Searches
from jnas.commands.search.settings import Settings
from jnas.commands.search.summary import summarise
from tests.commands.helpers import files, put, read_csv, read_json

SPACE = jnas.spaces.nasbench201()


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Searches:
    """Eight searches for seconds, on a table that knows half of the space: some have no answer."""
    folder = tmp_path_factory.mktemp("partial")
    archs = SPACE.enumerate()
    known = np.where(np.arange(len(archs)) % 2 == 0, np.arange(len(archs)), np.nan)
    columns = {
        "top": known,
        "other": np.where(known > 8000, known, np.nan),
        "seconds": np.full(len(archs), 10.0),
    }
    jnas.benchmarks.save(jnas.benchmarks.make_table(SPACE, archs, columns), folder / "half.npz")
    settings = Settings(
        estimator="table",
        table=str(folder / "half.npz"),
        column="top",
        test_column="other",
        budget=1,
        seeds=8,
    )
    return searches.run(dataclasses.replace(settings, max_seconds=100.0), folder / "run")


@pytest.mark.slow
def test_searches_without_an_answer(partial, tmp_path, capsys) -> None:
    lost = int(np.isnan(partial.best[:, -1]).sum())
    assert 0 < lost < 8
    told = summarise(partial)
    summary.write(tmp_path, told)
    summary.show(told, tmp_path)
    facts = read_json(tmp_path / "result.json")
    assert facts["num_without_answer"] == lost
    assert facts["num_out_of_evaluations"] == 8
    assert facts["score"]["mean"] == pytest.approx(np.nanmean(partial.best[:, -1]))
    rows = read_csv(tmp_path / "results.csv")
    assert sum(row["architecture"] == "" == row["params"] for row in rows) == lost
    assert [row["score"] == "" for row in rows] == list(np.isnan(partial.best[:, -1]))
    for row in rows:
        assert (row["rank_other"] == "") == (row["score"] == "" or float(row["score"]) <= 8000)
    printed = capsys.readouterr().out
    assert f"{lost} of them found nothing that can be ranked" in printed
    assert "8 of them had seconds left" in printed


def test_one_search_has_no_deviation(partial) -> None:
    place = int(np.argmax(np.isfinite(partial.best[:, -1])))
    one = slice(place, place + 1)
    first = partial._replace(
        settings=dataclasses.replace(partial.settings, seeds=1),
        histories=jax.tree.map(lambda leaf: leaf[one], partial.histories),
        chosen=0,
        checks=(),
        **{
            name: getattr(partial, name)[one]
            for name in ("distinct", "best", "archs", "params", "flops")
        },
    )
    told = summarise(first)
    assert told.facts["score"] == {"mean": pytest.approx(float(first.best[0, -1])), "std": None}
    assert "One search of 1 evaluations or 100 simulated seconds." in told.parts[1].text
    assert "accuracy" not in told.figures


def test_files_of_other_searches_do_not_stay(partial, tmp_path) -> None:
    (tmp_path / "scores_mine.png").write_bytes(b"somebody else's")
    for name in ("accuracy.png", "scores_cifar10.png", "scores.npz", "mine.png"):
        put(tmp_path / name, b"of an earlier run")
    (tmp_path / "histories.npz").write_bytes(b"of this run")
    summary.write(tmp_path, summarise(partial))
    names = {"results.csv", "cell.png", "curves.png", "report.html", "result.json"}
    assert set(files(tmp_path)) == names | {"histories.npz", "mine.png", "scores_mine.png"}


def test_a_batch_in_a_space_without_a_table(tmp_path) -> None:
    settings = Settings("nats_size", "params", num_images=2, candidates=3)
    result = searches.run(settings, tmp_path)
    assert result.checks == ()
    told = summarise(result)
    assert told.tables["scores.csv"][0] == ["architecture", "score"]
    assert set(told.figures) == {"cell", "search"}
    assert result.space.to_string(result.archs[0]) in told.parts[0].text
    assert "The best of 3 candidates" in told.parts[0].text


def weighed(folder: Path, table: Path | None = None) -> Searches:
    """Three generations of nsga2 within cells of few parameters, in which no cell is the best."""
    settings = Settings(
        strategy="nsga2",
        estimator="table",
        table=None if table is None else str(table),
        column=None if table is None else "top",
        budget=90,
        max_params=200_000,
        options={"population_size": 30},
    )
    return searches.run(settings, folder)


@pytest.mark.slow
def test_the_answer_of_nsga2_is_its_front_beside_the_true_one(tmp_path) -> None:
    result = weighed(tmp_path)
    told = summarise(result)
    assert told.parts[0].title == "The answer: val_accuracy against params"
    assert "\nAllowed: params at most 200,000.\n" in told.parts[2].text
    assert told.parts[0].figures == ["front"]
    assert [row[2] for row in told.parts[0].rows[1:]] == [
        SPACE.to_string(arch) for arch in result.front.archs
    ]
    # By brute force: what is allowed and nothing dominates, in accuracy and parameters.
    table = jnas.benchmarks.nasbench201("cifar10")
    params = np.asarray(jax.jit(jax.vmap(SPACE.params))(jnp.asarray(table.archs)))
    accuracy = table.column("val_accuracy")
    points = sorted({(int(p), -a) for p, a in zip(params, accuracy, strict=True) if p <= 200_000})
    front = [(p, a) for i, (p, a) in enumerate(points) if all(a < b for _, b in points[:i])]
    true = result.true_front
    found = {*zip(true.costs[:, 0].tolist(), (-true.scores).tolist(), strict=True)}
    assert {(float(p), float(a)) for p, a in front} == found
    mine = {*zip(result.front.costs[:, 0].tolist(), (-result.front.scores).tolist(), strict=True)}
    num = len(mine & found)
    assert told.facts["front"] == {"size": len(mine), "true_size": len(found), "found": num}
    assert told.parts[0].text.endswith(
        f"The true front has {len(found)} points; {num} of them were found."
    )
    labels = told.figures["front"][1].axes[0].get_legend_handles_labels()[1]
    assert labels == [f"front found: {len(mine)}", f"true front: {len(found)}"]
    assert told.parts[1].figures == ["cell"]


@pytest.mark.slow
def test_a_table_with_gaps_has_no_true_front(tmp_path) -> None:
    archs = SPACE.enumerate()
    values = np.where(np.arange(len(archs)) % 3 == 0, np.nan, np.arange(len(archs)))
    jnas.benchmarks.save(
        jnas.benchmarks.make_table(SPACE, archs, {"top": values}), tmp_path / "gaps.npz"
    )
    told = summarise(weighed(tmp_path / "run", tmp_path / "gaps.npz"))
    assert told.facts["front"]["true_size"] is None
    assert "true front" not in told.parts[0].text


def test_no_article_before_a_name(partial) -> None:
    assert "; its top is " in summarise(partial).parts[0].text
