"""A ledger runs each job once and says by which code."""

import json

from experiments import common, ledger
from jnas.engine import fingerprints


def test_jobs_are_run_once_and_rows_say_by_which_code(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    calls = []

    def job() -> dict[str, float]:
        calls.append(1)
        return {"tau": 0.5}

    first = ledger.Ledger("mine", "config").once("a", {"rate": 1}, job)
    assert first["code"] == fingerprints.code()
    monkeypatch.setattr(fingerprints, "code", lambda: {"jnas": "9"})
    book = ledger.Ledger("mine", "config")
    assert book.once("a", {"rate": 1}, job) == first  # finished rows outlive a commit
    book.once("b", {"rate": 1}, job)
    assert len(calls) == 2
    book.once("a", {"rate": 2}, job)
    assert len(calls) == 3
    kept = json.loads((tmp_path / "mine.json").read_text())["jobs"]
    assert {name: row["code"] for name, row in kept.items()} == {
        "a": {"jnas": "9"},
        "b": {"jnas": "9"},
    }
