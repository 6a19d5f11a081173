"""Charts of many runs: what their lines and bands say, compared with the quantiles of the data."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from jnas import plots


def runs(num: int = 40, steps: int = 200, seed: int = 0) -> np.ndarray:
    """`[S, T]` best so far of made-up searches."""
    return np.maximum.accumulate(np.random.default_rng(seed).uniform(80, 95, (num, steps)), axis=1)


def assert_readable(figure: Figure) -> None:
    """No text is small or leaves the page, and the legend covers no curve."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert all(text.get_fontsize() >= 10 for text in figure.findobj(mpl.text.Text) if text.get_text())  # type: ignore
    legend = axes.get_legend()
    for text in (axes.xaxis.label, axes.yaxis.label, axes._left_title, legend):  # type: ignore[attr-defined]
        extent = text.get_window_extent()
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1
    ends = [axes.transData.transform(line.get_xydata()[-1]) for line in axes.lines]  # type: ignore[index]
    assert not any(legend.get_window_extent().contains(*end) for end in ends)


def test_lines_and_bands_are_quantiles_of_the_runs() -> None:
    curves = {"random": runs(), "evolution": 1 + runs(seed=1)}
    figure = plots.quantile_curves(curves, y_label="accuracy (%)", title="Searches")
    (axes,) = figure.axes
    colours = set()
    for label, lines, band in zip(curves, np.reshape(axes.lines, (2, 3)), axes.collections, strict=True):
        low, first, median, third, high = np.quantile(curves[label], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        for line, expected in zip(lines, (median, low, high), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 201))
            np.testing.assert_allclose(line.get_ydata(), expected)
        inside = band.get_paths()[0].vertices[:, 1]
        assert set(np.round(inside, 9)) == set(np.round(np.concatenate([first, third]), 9))
        assert lines[0].get_label() == f"{label}\n{median[-1]:.4g} at the end"
        colours |= {mpl.colors.to_hex(line.get_color()) for line in lines}
    assert len(colours) == 2
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("evaluations", "accuracy (%)")
    assert axes.get_title("left") == "Searches"
    assert figure.get_supxlabel().startswith("40 runs each: median")
    assert_readable(figure)


def test_axis_begins_late_and_ends_above_the_lines() -> None:
    values = runs()
    values[:, :4] = 10.0
    (axes,) = plots.quantile_curves({"a": values}, lines={"the best there is": 96.0}).axes
    low, high = axes.get_ylim()
    assert 60 < low < np.quantile(values[:, 10], 0.05)
    assert 96 < high < 97
    line = axes.lines[-1]
    assert (line.get_ydata()[0], line.get_linestyle(), line.get_label()) == (96.0, "--", "the best there is\n96")


def test_what_is_unknown_belongs_to_no_quantile() -> None:
    values, seconds = runs(), np.linspace(0, 12_000, 200)
    values[:, :10], values[:5, 10:20], values[5, 15] = np.nan, np.nan, -np.inf
    figure = plots.quantile_curves({"a": values}, seconds, x_label="seconds")
    median = figure.axes[0].lines[0]
    np.testing.assert_array_equal(median.get_xdata(), seconds)
    assert np.isnan(median.get_ydata()[:10]).all()
    np.testing.assert_allclose(median.get_ydata()[10:15], np.median(values[5:, 10:15], axis=0))
    np.testing.assert_allclose(median.get_ydata()[15], np.median(values[6:, 15]))
    assert plots.figure_png(figure)


def test_equal_and_unknown_runs_can_be_drawn() -> None:
    assert plots.figure_png(plots.quantile_curves({"a": np.full((3, 4), 90.0)}))
    assert plots.figure_png(plots.quantile_curves({"a": np.full((1, 1), np.nan)}))


@pytest.mark.parametrize(
    ("curves", "x"),
    [
        ({}, None),
        ({"a": np.ones(3)}, None),
        ({"a": np.ones((2, 0))}, None),
        ({"a": np.ones((2, 3)), "b": np.ones((2, 4))}, None),
        ({"a": np.ones((2, 3))}, np.ones(2)),
    ],
)
def test_other_shapes_are_refused(curves: dict, x: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match=r"curves must be \[S, T\] of one shape"):
        plots.quantile_curves(curves, x)
