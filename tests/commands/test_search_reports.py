"""What searches leave behind, in the cases the command line does not reach."""

import csv
import dataclasses
import json

import numpy as np
import pytest

import jnas
from jnas.commands import search_reports, searches
from jnas.commands.search_settings import Settings
from jnas.commands.searches import Searches

SPACE = jnas.spaces.nasbench201()


@pytest.fixture
def partial(tmp_path) -> Searches:
    """Four searches for seconds, on a table that knows half of the space: some have no answer."""
    archs = SPACE.enumerate()
    known = np.where(np.arange(len(archs)) % 2 == 0, np.arange(len(archs)), np.nan)
    columns = {
        "top": known,
        "other": np.where(known > 8000, known, np.nan),
        "seconds": np.full(len(archs), 10.0),
    }
    jnas.benchmarks.save(jnas.benchmarks.make_table(SPACE, archs, columns), tmp_path / "half.npz")
    settings = Settings(
        estimator="table",
        table=str(tmp_path / "half.npz"),
        column="top",
        test_column="other",
        budget=1,
        seeds=8,
    )
    return searches.run(dataclasses.replace(settings, max_seconds=100.0), tmp_path / "run")


def test_searches_without_an_answer(partial, tmp_path, capsys) -> None:
    lost = int(np.isnan(partial.best[:, -1]).sum())
    assert 0 < lost < 8
    search_reports.write(tmp_path, partial)
    search_reports.show(partial, tmp_path)
    facts = json.loads((tmp_path / "result.json").read_text())
    assert facts["num_without_answer"] == lost
    assert facts["num_out_of_evaluations"] == 8
    assert facts["score"]["mean"] == pytest.approx(np.nanmean(partial.best[:, -1]))
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["architecture"] == "" == row["params"] for row in rows) == lost
    assert [row["score"] == "" for row in rows] == list(np.isnan(partial.best[:, -1]))
    for row in rows:
        assert (row["rank_other"] == "") == (row["score"] == "" or float(row["score"]) <= 8000)
    printed = capsys.readouterr().out
    assert f"{lost} of them found nothing that can be ranked" in printed
    assert "8 of them had seconds left" in printed


def test_one_search_has_no_deviation(tmp_path) -> None:
    result = searches.run(Settings(estimator="table", budget=3), tmp_path)
    search_reports.write(tmp_path, result)
    facts = json.loads((tmp_path / "result.json").read_text())
    assert facts["score"] == {"mean": pytest.approx(float(result.best[0, -1])), "std": None}
    assert "One search of 3 evaluations." in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "accuracy.png").exists()


def test_files_of_earlier_searches_do_not_stay(partial, tmp_path) -> None:
    (tmp_path / "accuracy.png").write_bytes(b"of an earlier run")
    search_reports.write(tmp_path, partial)
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    files = {"histories.npz", "results.csv", "cell.png", "curves.png", "report.html", "result.json"}
    assert names == files | {"half.npz"}
