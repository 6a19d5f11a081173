import numpy as np
import pytest

from jnas import plots

EPOCHS = np.array([1, 10, 100])
SEEDS = np.array([[0.1, 0.3], [0.2, 0.4], [0.5, 0.9]])


def test_curves_are_means_within_the_seeds() -> None:
    alone = EPOCHS, np.array([0.3, 0.2, 0.1])
    figure = plots.criterion_curves(
        {"tau": {"mine": alone, "published": (EPOCHS, SEEDS)}, "P@top": {"published": alone}},
        {"tau": {"#params": 0.6, "FLOPs": 0.55}},
        log=True,
        title="curves",
    )
    tau, top = figure.axes
    drawn = {line.get_label(): line for line in tau.lines}
    np.testing.assert_array_equal(drawn["mine"].get_ydata(), alone[1])
    np.testing.assert_allclose(drawn["published"].get_ydata(), [0.2, 0.3, 0.7])
    assert drawn["#params: 0.600"].get_ydata()[0] == 0.6
    assert drawn["FLOPs: 0.550"].get_linestyle() != drawn["#params: 0.600"].get_linestyle()
    (band,) = tau.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.1, 0.9)
    assert top.lines[0].get_color() == drawn["published"].get_color() != drawn["mine"].get_color()
    assert tau.get_xscale() == "log"
    assert "2 seeds" in figure.get_supxlabel()


def test_curves_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="'a' must be epochs"):
        plots.criterion_curves({"tau": {"a": (EPOCHS, SEEDS[:2])}})
    with pytest.raises(ValueError, match="lines of no panel: other"):
        plots.criterion_curves({"tau": {"a": (EPOCHS, SEEDS)}}, {"other": {"b": 1.0}})


def test_a_matrix_shows_its_numbers_and_leaves_gaps() -> None:
    values = np.array([[np.nan, 0.25], [-0.5, np.nan]])
    figure = plots.mutation_matrix(values, ("skip", "conv"), counts=[[0, 12], [12, 0]], label="up")
    axes = figure.axes[0]
    texts = [
        (round(y), x, text.get_text()) for text in axes.texts for x, y in [text.get_position()]
    ]
    assert texts == [(0, 1, "+0.25"), (0, 1, "12"), (1, 0, "-0.50"), (1, 0, "12")]
    image = axes.images[0]
    assert image.get_clim() == (-0.5, 0.5)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["skip", "conv"]


def test_a_matrix_of_nothing_is_refused() -> None:
    for values, names in ((np.full((2, 2), np.nan), "ab"), (np.eye(2), "abc")):
        with pytest.raises(ValueError, match=r"must be \[O, O\]"):
            plots.mutation_matrix(values, tuple(names))
