"""`jnas predict`: what it names, in which rows, and what it says about files that are none."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import jnas
from jnas.commands import predict
from tests.commands.helpers import draw, invoke, read_csv


def test_classes_and_probabilities_are_those_of_the_network(trained, tmp_path) -> None:
    folder, _, _ = trained
    draw(tmp_path / "new", 4, seed=1)
    out = tmp_path / "predictions.csv"
    printed = invoke("predict", folder, tmp_path / "new", "--out", out)
    rows, network = read_csv(out), jnas.training.load(folder / "trained.npz")
    assert [row["image"] for row in rows] == sorted(str(p) for p in tmp_path.glob("new/*/*.png"))
    for row in rows:
        values = {name: float(row[f"p({name})"]) for name in ("columns", "rows")}
        assert sum(values.values()) == pytest.approx(1, abs=1e-5)
        assert row["class"] == max(values, key=values.get)
        assert float(row["probability"]) == max(values.values())
        assert row["class"] in printed
    # As the data set of the same files reads them.
    same = jnas.data.load(tmp_path / "new", 8, validation=0, test=0, cache=None)
    logits = network.predict(same.train.x)[0]
    odds = np.exp(logits[:, 0] - logits[:, 1])
    mine = [float(row["p(columns)"]) / float(row["p(rows)"]) for row in rows]
    np.testing.assert_allclose(sorted(odds), sorted(mine), rtol=1e-3)


def test_files_that_cannot_be_read_are_told_after_the_others(trained, tmp_path) -> None:
    folder, _, _ = trained
    draw(tmp_path / "new", 1)
    bad, out = tmp_path / "bad.png", tmp_path / "p.csv"
    bad.write_bytes(b"none")
    with pytest.raises(ValueError, match=r"1 of 3 files cannot be read: .*bad.png \(unreadable\)"):
        invoke("predict", folder, bad, tmp_path / "new", "--out", out)
    assert len(read_csv(out)) == 2
    with pytest.raises(FileNotFoundError, match="nothing"):
        invoke("predict", folder, tmp_path / "nothing.png")
    with pytest.raises(FileNotFoundError, match="jnas train has not finished"):
        invoke("predict", tmp_path, bad)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image files"):
        invoke("predict", folder, tmp_path / "empty")
    with pytest.raises(ValueError, match="after the run folder"):
        invoke("predict", folder)
    with pytest.raises(ValueError, match="--top must be at least 1"):
        invoke("predict", folder, bad, "--top", 0)


def test_pictures_are_stretched_where_the_training_stretched_them(trained, tmp_path) -> None:
    folder, _, _ = trained
    shutil.copy(folder / "trained.npz", tmp_path)
    facts = {"settings": {"stretch": True}}
    (tmp_path / "result.json").write_text(json.dumps(facts))
    assert predict.load(tmp_path)[1] is True
    assert predict.load(folder)[1] is False
    assert predict.load(folder / "trained.npz")[1] is False


def test_a_stretched_picture_loses_nothing(tmp_path) -> None:
    from jnas.data import files

    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 8:] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    cut, _ = files.read([tmp_path / "wide.png"], 8, 1)
    whole, _ = files.read([tmp_path / "wide.png"], 8, 1, stretch=True)
    assert cut.shape == whole.shape == (1, 8, 8, 1)
    np.testing.assert_array_equal(cut[0, 0, :, 0], [0] * 4 + [255] * 4)
    np.testing.assert_array_equal(whole[0, 0, :, 0], [0] * 4 + [255] * 4)
    # The middle square has the edge in its middle, too; a wider white part tells them apart.
    wide[:, 4:] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    cut, _ = files.read([tmp_path / "wide.png"], 8, 3)
    whole, _ = files.read([tmp_path / "wide.png"], 8, 3, stretch=True)
    assert cut.min() == 255
    np.testing.assert_array_equal(whole[0, 0, :, 0], [0] * 2 + [255] * 6)


def test_rows_name_the_most_probable_first() -> None:
    found = predict.Predictions(
        [predict.Path("a.png")], np.array([[0.2, 0.7, 0.1]]), ("x", "y", "z"), []
    )
    assert predict.rows(found, 2)[1] == ["y", "70.0 %", "x", "20.0 %", "a.png"]
    assert len(predict.rows(found, 9)[1]) == 1 + 2 * 3
