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


def assert_readable(figure: Figure) -> None:
    """No text is small or leaves the page, and the legend covers no end of a curve."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert all(
        text.get_fontsize() >= 10 for text in figure.findobj(mpl.text.Text) if text.get_text()
    )
    legend = axes.get_legend()
    for text in (axes.xaxis.label, axes.yaxis.label, axes._left_title, legend):
        extent = text.get_window_extent()
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1
    ends = [axes.transData.transform(line.get_xydata()[-1]) for line in axes.lines]
    assert not any(legend.get_window_extent().contains(*end) for end in ends)


def test_median_and_bands_of_one_label() -> None:
    rows = curves(40)
    figure = plots.search_curves(
        {"random": rows},
        lines={"best of the table": 1.0},
        y_label="best accuracy so far",
        title="A space",
    )
    (axes,) = figure.axes
    line = axes.lines[0]
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 61))
    np.testing.assert_allclose(line.get_ydata(), np.median(rows, axis=0))
    edges = [np.unique(band.get_paths()[0].vertices[:, 1]) for band in axes.collections]
    for edge, share in zip(edges, (0.25, 0.05), strict=True):
        assert edge.min() == pytest.approx(np.quantile(rows[:, 0], share))
        assert edge.max() == pytest.approx(np.quantile(rows[:, -1], 1 - share))
    for text in (
        "40 searches: median, and the middle 50 % and 90 %",
        "best of the table: 1",
        "A space",
        "random",
    ):
        assert text in texts(figure)
    low, high = axes.get_ylim()
    assert np.quantile(rows[:, 0], 0.05) < low < np.quantile(rows[:, 1], 0.05) < 1 < high


def test_several_labels_have_a_band_each() -> None:
    seconds = np.linspace(0, 12_000, 60)
    runs = {name: curves(9) + k for k, name in enumerate("abc")}
    figure = plots.search_curves(
        runs, seconds, lines={"the best": 4.0}, x_label="simulated seconds", title="A"
    )
    (axes,) = figure.axes
    *drawn, line = axes.lines
    assert len(axes.collections) == len(drawn) == 3
    assert len({line.get_color() for line in drawn}) == 3
    np.testing.assert_array_equal(drawn[0].get_xdata(), seconds)
    assert (line.get_ydata()[0], line.get_linestyle(), line.get_label()) == (
        4.0,
        "--",
        "the best\n4",
    )
    for text in (
        "9 searches each: median, and the middle 50 %",
        "simulated seconds",
        "c\n",
        "at the end",
    ):
        assert text in texts(figure)
    assert "90 %" not in texts(figure)
    assert_readable(figure)


def test_labels_may_differ_in_runs_and_length() -> None:
    long, short = curves(40), curves(9)[:, :20]
    figure = plots.search_curves({"long": long, "short": short})
    (axes,) = figure.axes
    assert [len(line.get_xdata()) for line in axes.lines] == [60, 20]
    assert "9 to 40 searches each: median" in texts(figure)
    # A fiftieth of the longest curve is left out of both.
    assert axes.get_ylim()[0] > np.quantile(np.concatenate([long[:, 0], short[:, 0]]), 0.25)


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


def test_no_label() -> None:
    with pytest.raises(ValueError, match="curves must have at least one label"):
        plots.search_curves({})


def test_x_must_be_as_long_as_the_curves() -> None:
    with pytest.raises(ValueError, match=r"x must be \[T\], as long as every curve; got \(3,\)"):
        plots.search_curves({"random": np.zeros((2, 4))}, np.ones(3))
