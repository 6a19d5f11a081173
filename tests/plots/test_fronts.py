"""The chart of a front says what the data say."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from jnas import plots
from tests.plots.test_plots import VERMILION, assert_texts_fit, points

SCORES = np.array([3.0, 5.0, 4.0, 7.0, 7.0, np.nan, 6.0, 8.0, 5.0])
COSTS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 0.5, 6.0, np.inf, 2.0])


def lines(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if len(line.get_xydata())]


def corners(line: Line2D) -> list[list[float]]:
    """The points of a step curve, without the one that only makes it longer."""
    return np.asarray(line.get_xydata())[:-1].tolist()


def naive_front(scores: np.ndarray, costs: np.ndarray) -> list[list[float]]:
    pairs = {(c, s) for s, c in zip(scores, costs, strict=True) if np.isfinite([s, c]).all()}
    return sorted(
        [c, s]
        for c, s in pairs
        if not any((d <= c and t >= s) and (d, t) != (c, s) for d, t in pairs)
    )


def test_evaluations_and_their_front() -> None:
    figure = plots.pareto_front(
        SCORES, COSTS, score_label="accuracy, %", cost_label="parameters", title="A search"
    )
    (axes,) = figure.axes
    shown, clipped = points(axes)
    np.testing.assert_array_equal(shown, np.stack([COSTS, SCORES], 1)[[0, 1, 2, 3, 4, 6, 8]])
    assert len(clipped) == 0
    (line,) = lines(axes)
    assert corners(line) == [[1, 3], [2, 5], [4, 7]]
    assert np.asarray(line.get_xydata())[-1].tolist() == [6, 7], (
        "as far as the costliest evaluation"
    )
    assert line.get_drawstyle() == "steps-post"
    assert mpl.colors.to_rgba(line.get_color()) == VERMILION
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("parameters", "accuracy, %")
    assert figure.get_supxlabel() == "1 evaluations that cannot be ranked, 1 without cost"
    assert axes.get_title("left") == "A search"
    assert_texts_fit(figure)


@pytest.mark.parametrize("seed", range(5))
def test_fronts_of_random_data_with_ties(seed) -> None:
    rng = np.random.default_rng(seed)
    scores, costs = rng.integers(0, 12, (2, 60)).astype(float)
    true_scores, true_costs = rng.integers(0, 14, (2, 90)).astype(float)
    figure = plots.pareto_front(scores, costs, true_scores=true_scores, true_costs=true_costs)
    found, true = lines(figure.axes[0])
    assert corners(found) == naive_front(scores, costs)
    assert corners(true) == naive_front(true_scores, true_costs)
    assert true.get_linestyle() == "--"
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == [f"front found: {len(corners(found))}", f"true front: {len(corners(true))}"]
    assert all(text.get_fontsize() >= 10 for text in figure.axes[0].get_legend().get_texts())


def test_an_outlier_does_not_squash_the_others() -> None:
    """It is the cheapest, and so in the front, which comes from below the axis."""
    scores, costs = (
        np.append(np.linspace(85, 95, 100), 10.0),
        np.append(np.linspace(1, 2, 100), 0.5),
    )
    (axes,) = plots.pareto_front(scores, costs).axes
    floor = np.percentile(scores, [25, 75]) @ [4, -3]
    np.testing.assert_allclose(points(axes)[1], [[0.5, floor]])
    assert floor - 10 < axes.get_ylim()[0] < floor
    assert axes.get_ylim()[1] > 95
    assert corners(lines(axes)[0])[0] == [0.5, 10]


def test_nothing_to_show() -> None:
    figure = plots.pareto_front(np.full(3, np.nan), np.ones(3))
    assert not lines(figure.axes[0])
    assert figure.get_supxlabel() == "3 evaluations that cannot be ranked"
    assert plots.figure_png(figure)
    assert plots.figure_png(plots.pareto_front([1.0], [2.0]))


def test_bad_arguments() -> None:
    with pytest.raises(
        ValueError, match=r"scores and costs must be vectors of one length.*\(3,\), \(2,\)"
    ):
        plots.pareto_front(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="true_scores and true_costs go together"):
        plots.pareto_front(SCORES, COSTS, true_scores=SCORES)
    with pytest.raises(ValueError, match="true_scores and true_costs must be vectors"):
        plots.pareto_front(SCORES, COSTS, true_scores=SCORES, true_costs=np.ones(2))


def test_the_front_of_scores_that_are_better_when_smaller() -> None:
    front = plots.pareto_front(SCORES, COSTS, true_scores=SCORES, true_costs=COSTS)
    mirrored = plots.pareto_front(
        10 - SCORES, COSTS, true_scores=10 - SCORES, true_costs=COSTS, minimize=True
    )
    for one, other in zip(lines(front.axes[0]), lines(mirrored.axes[0]), strict=True):
        assert corners(one) == [[cost, 10 - score] for cost, score in corners(other)]
    low, high = front.axes[0].get_ylim()
    assert mirrored.axes[0].get_ylim() == pytest.approx((10 - high, 10 - low))
    assert front.get_supxlabel() == mirrored.get_supxlabel()
