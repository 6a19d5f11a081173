"""The one-shot study on stored scores: its numbers, its curves and its verdicts."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from configs import oneshot_published as config
from experiments import (
    common,
    oneshot_curves,
    oneshot_spaces,
    oneshot_study,
    oneshot_verdicts,
    oneshot_verdicts_spaces,
    oneshot_verdicts_trained,
    pages,
)
from experiments.oneshot_verdicts import Verdict

needs_data = pytest.mark.skipif(
    not (Path(os.environ.get("JNAS_DATA", "")) / "oneshot_curves.npz").is_file(),
    reason="needs oneshot_curves.npz in $JNAS_DATA",
)


def test_every_published_number_is_met() -> None:
    rows = [row for rows in pages.read("oneshot_published")["rows"].values() for row in rows]
    published = (config.NASBENCH301, config.NB1SHOT1_S3, config.RESNEXTA, config.NASBENCH201)
    assert {row.what for part in published for row in part} <= {row["what"] for row in rows}
    for row in rows:
        differences = np.subtract(row["found"], row["published"])
        assert np.abs(differences).max() <= config.TOLERANCE, row["what"]
        assert row["difference"] == pytest.approx(np.abs(differences).max(), abs=1e-4)


def test_a_statement_without_results_is_left(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    page = oneshot_study.page()
    assert page.sources == ()
    assert {row[2] for row in page.tables[0][1:]} == {"left"}


def test_a_verdict_turns_with_the_numbers(tmp_path, monkeypatch) -> None:
    content = json.loads((common.RESULTS / "oneshot_published.json").read_text())
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    (tmp_path / "oneshot_published.json").write_text(json.dumps(content))
    assert oneshot_verdicts.loss_or_accuracy().holds
    found = content["summary"]["nb301"]
    found["acc"], found["loss"] = found["loss"], found["acc"]
    (tmp_path / "oneshot_published.json").write_text(json.dumps(content))
    assert not oneshot_verdicts.loss_or_accuracy().holds


def test_verdicts_of_stored_spaces_turn_with_the_numbers(tmp_path, monkeypatch) -> None:
    names = ("oneshot_spaces", "oneshot_published")
    contents = {name: json.loads((common.RESULTS / f"{name}.json").read_text()) for name in names}
    judges = (
        oneshot_verdicts_spaces.choices_of_resnexta,
        oneshot_verdicts_spaces.steadier_means,
        oneshot_verdicts_spaces.relus_on_nasbench301,
    )
    monkeypatch.setattr(common, "RESULTS", tmp_path)

    def answers() -> list[bool | None]:
        for name, content in contents.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return [judge().holds for judge in judges]

    assert answers() == [True] * 3
    found = contents["oneshot_spaces"]
    for row in found["resnexta"]["decisions"]:
        row["bias"] = 0.0
    for one in found["ensembles"].values():
        one["1"], one["3"] = one["3"], one["1"]
    found["relus"]["NAS-Bench-301"]["relus"] = 0.3
    assert answers() == [False] * 3


def test_relu_layers_of_cells_are_those_of_the_network() -> None:
    """The cell with separable convolutions alone, and that with skips of the inputs alone."""
    inputs = np.tile([0, 1], (2, 2, 4))
    ops = np.stack([np.full((2, 8), 3), np.full((2, 8), 2)])
    found = oneshot_spaces.relus_of_cells({"inputs": inputs, "ops": ops})
    # Two inputs of eight cells; six normal and two reduction cells of eight slots.
    np.testing.assert_array_equal(found, [16 + 8 * 8 * 2, 16 + 2 * 8])


def test_verdicts_of_several_judges_are_one() -> None:
    yes, no = Verdict(True, "a 1"), Verdict(False, "b 2")
    summary = oneshot_study.summary
    assert summary([yes, yes], "") == ("reproduced", "a 1; a 1")
    assert summary([no], "c") == ("contradicted", "b 2 (left: c)")
    assert summary([yes, no], "")[0] == "reproduced in part"
    assert summary([], "c") == ("left", "needs c")
    assert summary([Verdict(None, "d 3")], "") == ("undecided", "d 3")
    assert summary([Verdict(None, "d 3"), no], "")[0] == "contradicted"


def supernets(**settings: list[dict]) -> str:
    """A file of results of one scale, whose settings have these runs."""
    named = {label.replace("_", " "): dict(enumerate(runs)) for label, runs in settings.items()}
    named["de-isomorphic"] = named.pop("base")
    return json.dumps({"scales": {"small": {"settings": named}}})


def run(tau: float, **more: float) -> dict:
    return {"loss": {"kendall": [0.1, tau], "p_top@0.05": [0.0, tau]}, "ensembles": {}} | more


def test_settings_are_judged_by_paired_differences(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    path = tmp_path / "oneshot_supernets.json"
    base = [run(0.5), run(0.6), run(0.7)]
    worse = [run(0.4), run(0.52), run(0.59)]
    noisy = [run(0.4), run(0.75), run(0.7)]
    trained = oneshot_verdicts_trained
    for runs, expected in ((worse, True), (noisy, None), ([*map(run, (0.6, 0.69, 0.8))], False)):
        path.write_text(supernets(base=base, affine_batch_norms=runs))
        verdict = trained.no_scales()
        assert verdict.holds is expected
        assert verdict.numbers.startswith("small, affine batch norms: tau ")
    with pytest.raises(FileNotFoundError):
        trained.classes_sampled()
    pruned = {"best 50 % from 60 % on": [run(t, whole=t - 0.1) for t in (0.3, 0.4)]}
    path.write_text(supernets(base=base, **pruned))
    assert trained.pruned().holds


def closes(**labels: list[list[float]]) -> str:
    """A file of results of CLOSE: for each label taus of two seeds by epoch."""
    runs = {
        label.replace("_", " "): {
            str(seed): {"epochs": [10, 20], "loss": {"kendall": taus}}
            for seed, taus in enumerate(rows)
        }
        for label, rows in labels.items()
    }
    runs["CLOSE, all"] = runs.pop("close")
    return json.dumps({"scales": {"small": {"supernets": runs}}})


def test_close_and_sharing_extents_are_judged_epoch_by_epoch(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    path = tmp_path / "oneshot_close.json"
    plain = [[0.1, 0.5], [0.2, 0.6]]
    better = [[0.2, 0.51], [0.31, 0.62]]
    falls = [[0.3, 0.4], [0.41, 0.49]]
    trained = oneshot_verdicts_trained
    path.write_text(closes(plain=plain, close=better, one_bank=falls))
    assert trained.close().holds is True
    extents = trained.sharing_extents()
    assert extents.holds is True
    assert "+0.205 ± 0.005 after epoch 10, -0.105 ± 0.005 after epoch 20" in extents.numbers
    path.write_text(closes(plain=plain, close=falls, one_bank=better))
    assert trained.close().holds is False
    assert trained.sharing_extents().holds is False
    path.write_text(closes(plain=plain, close=[[0.05, 0.5], [0.22, 0.7]], one_bank=falls))
    assert trained.close().holds is None  # below on the mean of one epoch, not beyond its error


def test_batches_are_judged_at_the_end_and_before(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)

    def taus(early: list[float], late: list[float]) -> dict:
        return {"kendall": [early, late]}

    for early, expected in (([0.1, 0.3], True), ([0.3, 0.41], False)):
        rows = {"1": taus([0.2, 0.3], [0.4, 0.5]), "10": taus(early, [0.5, 0.62])}
        content = {"epochs": [5, 50], "criteria": {"accuracy": rows}}
        (tmp_path / "oneshot_batches.json").write_text(json.dumps(content))
        assert oneshot_verdicts_trained.more_batches().holds is expected


@pytest.mark.slow
@needs_data
def test_published_curves_have_rows_of_costs() -> None:
    found = oneshot_curves.published("nb301")
    assert found.criteria["acc"]["kendall"].shape == (len(found.epochs), len(found.seeds))
    assert found.criteria["loss"]["kendall"][-1].mean() == pytest.approx(0.495, abs=5e-4)
    # Of the 5,468 different cells; .515 and .487 are of all rows.
    assert found.costs["params"]["kendall"] == pytest.approx(0.508, abs=5e-4)
    assert found.costs["flops"]["kendall"] == pytest.approx(0.480, abs=5e-4)
    with pytest.raises(ValueError, match="Did you mean 'nb301'"):
        oneshot_curves.published("nb302")


@needs_data
def test_new_curves_are_laid_over_the_published_ones() -> None:
    mine = {"here": ([100, 200], {"kendall": [0.1, 0.2]})}
    figure = oneshot_curves.over("nb301", mine, names=("kendall",))
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[:3] == ["accuracy, published", "−loss, published", "here"]
    assert labels[3].startswith("#params: 0.508")
