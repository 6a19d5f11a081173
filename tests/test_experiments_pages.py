"""The pages of results say what the JSON files beside them hold."""

import json
import re
from pathlib import Path

import pytest

from experiments import common, pages

SCRIPTS = Path(pages.__file__).parent


def test_pages_are_what_the_command_would_write() -> None:
    assert pages.stale() == [], "run `python -m experiments.pages`"


def test_every_result_stands_on_a_page_and_every_page_is_listed() -> None:
    used = {
        source
        for path in common.RESULTS.glob("*.md")
        for source in re.findall(r"`(\w+)\.json`", path.read_text())
    }
    assert used == {path.stem for path in common.RESULTS.glob("*.json")}
    assert {path.stem for path in common.RESULTS.glob("*.md")} == {"README", *pages.NAMES}


def test_every_script_that_has_a_page_is_listed() -> None:
    with_page = {path.stem for path in SCRIPTS.glob("*.py") if "\ndef page(" in path.read_text()}
    assert with_page == {*pages.NAMES}


@pytest.mark.parametrize("name", pages.NAMES)
def test_plots_of_a_page_exist(name: str) -> None:
    text = (common.RESULTS / f"{name}.md").read_text()
    assert all((common.RESULTS / plot).exists() for plot in re.findall(r"\]\((\S+)\)", text))


def test_an_edited_number_is_noticed(tmp_path, monkeypatch) -> None:
    content = json.loads((common.RESULTS / "rnn_classifier.json").read_text())
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(pages, "NAMES", ("rnn_classifier",))
    (tmp_path / "rnn_classifier.json").write_text(json.dumps(content))
    assert pages.stale() == ["README.md", "rnn_classifier.md"]
    pages.main([])
    assert pages.stale() == []
    content["jobs"]["1 x 100"]["auc"] += 0.01
    (tmp_path / "rnn_classifier.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r"not up to date: rnn_classifier\.md"):
        pages.main(["--check"])


def test_values_beside_those_of_a_paper() -> None:
    assert pages.beside({"kendall_tau": 0.5}, 0.25) == "0.500 (0.250)"
    assert pages.beside(None, 0.25) == "– (0.250)"
    assert pages.beside({"auc": 0.0625}, key="auc") == "0.063"
    assert pages.beside({"auc": float("nan")}, key="auc") == "–"
