"""Charts of searches: what their lines, bands and notes say, compared with the data they are of."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from jnas import plots


def curves(num: int, length: int = 60) -> np.ndarray:
    return np.maximum.accumulate(np.random.default_rng(0).uniform(0, 1, (num, length)), axis=1)


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_median_and_bands_of_one_label() -> None:
    rows = curves(40)
    figure = plots.search_curves({"random": rows}, limit=1.0, y_label="best accuracy so far", title="A space")
    (axes,) = figure.axes
    line = axes.lines[0]
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 61))
    np.testing.assert_allclose(line.get_ydata(), np.median(rows, axis=0))
    edges = [np.unique(band.get_paths()[0].vertices[:, 1]) for band in axes.collections]
    for edge, share in zip(edges, (0.25, 0.05), strict=True):
        assert edge.min() == pytest.approx(np.quantile(rows[:, 0], share))
        assert edge.max() == pytest.approx(np.quantile(rows[:, -1], 1 - share))
    for text in ("40 searches: median, and the middle 50 % and 90 %", "best of the table: 1", "A space", "random"):
        assert text in texts(figure)
    low, high = axes.get_ylim()
    assert np.quantile(rows[:, 0], 0.05) < low < np.quantile(rows[:, 1], 0.05) < 1 < high


def test_several_labels_have_a_band_each() -> None:
    figure = plots.search_curves({name: curves(9) + k for k, name in enumerate("abc")})
    (axes,) = figure.axes
    assert len(axes.collections) == len(axes.lines) == 3
    assert len({line.get_color() for line in axes.lines}) == 3
    assert "9 searches: median, and the middle 50 %" in texts(figure)
    assert "90 %" not in texts(figure)


def test_what_has_no_answer_is_left_out() -> None:
    rows = curves(5)
    rows[0] = np.nan
    rows[1, :3] = -np.inf
    figure = plots.search_curves({"random": rows})
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), np.arange(4, 61))
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.median(rows[1:, 3:], axis=0))
    assert "1 without an answer" in texts(figure)
    nothing = plots.search_curves({"random": np.full((2, 4), np.nan)})
    assert "2 without an answer" in texts(nothing)


def test_one_search_of_one_evaluation() -> None:
    figure = plots.search_curves({"random": [[0.5]]})
    assert "1 search" in texts(figure)
    figure.draw_without_rendering()


@pytest.mark.parametrize("values", [[0.1, 0.2], np.zeros((0, 3)), np.zeros((3, 0))])
def test_wrong_shapes(values) -> None:
    with pytest.raises(ValueError, match=r"'random' must be \[S, T\], S and T at least 1"):
        plots.search_curves({"random": values})
