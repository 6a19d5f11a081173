"""Charts of predictors: their lines, labels and notes, compared with the data they are of."""

import itertools

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from jnas import plots

SIZES = (19, 190, 381, 3813)


def curves(num: int, *, width: int = 3, sizes: tuple = SIZES) -> dict[str, list[tuple]]:
    """`num` labelled lines of points (size, value, deviation), or without deviation."""
    rng = np.random.default_rng(0)
    lines = (
        (rng.uniform(0.4, 0.9, len(sizes)), rng.uniform(0.01, 0.1, len(sizes))) for _ in range(num)
    )
    return {
        f"network {k}": [
            tuple(map(float, point))[:width] for point in zip(sizes, *line, strict=True)
        ]
        for k, line in enumerate(lines)
    }


def colour(artist: mpl.artist.Artist) -> tuple:
    return mpl.colors.to_rgb(artist.get_color())  # type: ignore[attr-defined]


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def assert_readable(figure: Figure) -> None:
    """No text is small or leaves the page, and the legend covers no curve."""
    figure.draw_without_rendering()
    for text in figure.findobj(mpl.text.Text):
        if text.get_text() and text.get_visible():  # type: ignore[attr-defined]
            assert text.get_fontsize() >= 10  # type: ignore[attr-defined]
    for axes in figure.axes:
        texts = [axes.xaxis.label, axes.yaxis.label, axes._left_title]  # type: ignore[attr-defined]
        box = axes.get_legend().get_window_extent() if axes.get_legend() else None
        extents = [text.get_window_extent() for text in texts if text.get_text()] + (
            [box] if box else []
        )
        for extent in extents:
            assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1
        assert not any(a.overlaps(b) for a, b in itertools.combinations(extents, 2))
        if box:
            assert not any(
                box.overlaps(line.get_window_extent())
                for line in axes.lines
                if len(line.get_xdata())
            )


# --- tau by size ---


def test_tau_by_size_draws_each_curve_and_its_deviation() -> None:
    data = curves(3)
    figure = plots.tau_by_size(data, title="Encoders")
    (axes,) = figure.axes
    assert len(axes.lines) == len(axes.collections) == 3
    for line, band, (label, points) in zip(axes.lines, axes.collections, data.items(), strict=True):
        x, y, deviation = np.array(points).T
        np.testing.assert_array_equal(line.get_xydata(), np.stack([x, y], 1))
        assert line.get_label() == label
        corners = np.unique(band.get_paths()[0].vertices, axis=0)
        expected = np.concatenate(
            [np.stack([x, y - deviation], 1), np.stack([x, y + deviation], 1)]
        )
        np.testing.assert_allclose(corners, np.unique(expected, axis=0))
        np.testing.assert_array_equal(band.get_facecolor()[0][:3], colour(line))
    assert len({colour(line) for line in axes.lines}) == 3
    assert legend(axes) == list(data)
    assert axes.get_title("left") == "Encoders"
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "training architectures",
        "Kendall τ-b on the test set",
    )
    assert_readable(figure)


def test_sizes_are_ticks_of_a_log_axis() -> None:
    data = {"a": [(19, 0.5, 0.1), (3813, 0.6, 0.1)], "b": [(190, 0.5, 0.1), (19, 0.4, 0.1)]}
    figure = plots.tau_by_size(data, x_label="cells", y_label="τ")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    np.testing.assert_array_equal(axes.get_xticks(), [19, 190, 3813])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["19", "190", "3,813"]
    assert len(axes.get_xticks(minor=True)) == 0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cells", "τ")


def test_values_of_the_paper_are_dashed_in_the_colour_of_their_curve() -> None:
    data = curves(3)
    paper = {"network 2": [(19, 0.3), (190, 0.4)], "network 0": [(381, 0.7)]}
    figure = plots.tau_by_size(data, paper)
    (axes,) = figure.axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--" and len(line.get_xdata())]
    solid = {line.get_label(): line for line in axes.lines if line.get_linestyle() == "-"}
    assert set(solid) == set(data)
    assert len(dashed) == 2
    for line, label in zip(dashed, ("network 0", "network 2"), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), paper[label])
        assert colour(line) == colour(solid[label])
    assert legend(axes) == [*data, "paper"]
    assert_readable(figure)


def test_sizes_that_only_the_paper_has_are_ticks_too() -> None:
    data = {"a": [(size, 0.5, 0.1) for size in SIZES]}
    figure = plots.tau_by_size(data, {"a": [(19, 0.3), (38126, 0.4)], "not measured": [(5, 0.1)]})
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.get_xticks(), [*SIZES, 38126])
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        "19",
        "190",
        "381",
        "3,813",
        "38,126",
    ]
    assert 5 < axes.get_xlim()[0] < 19 < 38126 < axes.get_xlim()[1]
    assert_readable(figure)


def test_labels_of_sizes_that_only_the_paper_has_stay_apart() -> None:
    data = {"a": [(size, 0.5, 0.1) for size in SIZES]}
    figure = plots.tau_by_size(data, {"a": [(size, 0.3) for size in (19, 20, 78, 80, 3812, 3814)]})
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [
        "19",
        "78",
        "190",
        "381",
        "3,813",
    ]


@pytest.mark.parametrize("draw", [plots.tau_by_size, plots.precision_by_share])
def test_no_two_curves_look_alike(draw) -> None:
    figure = draw(curves(20, width=3 if draw is plots.tau_by_size else 2, sizes=(1, 2)))
    looks = {(colour(line), line.get_marker()) for line in figure.axes[0].lines}
    assert len(looks) == 20


def test_nothing_yet_is_an_empty_chart() -> None:
    for figure in (plots.tau_by_size({}), plots.precision_by_share({})):
        assert legend(figure.axes[0]) == []
        assert plots.figure_png(figure, 50)


# --- precision by share ---


def test_precision_by_share() -> None:
    data = curves(2, width=2, sizes=(0.001, 0.01, 0.05, 0.5, 1.0))
    figure = plots.precision_by_share(data, title="P")
    (axes,) = figure.axes
    for line, (label, points) in zip(axes.lines, data.items(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), points)
        assert line.get_label() == label
    assert axes.get_xscale() == "log"
    assert axes.get_ylim() == (0, 1.02)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("K, share of the test architectures", "P@K")
    assert (axes.get_title("left"), legend(axes)) == ("P", list(data))
    figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    assert {text.get_text() for tick, text in shown if low <= tick <= high} == {
        "0.001",
        "0.01",
        "0.1",
        "1",
    }
    assert_readable(figure)


@pytest.mark.parametrize(
    ("draw", "points", "width"),
    [
        (plots.tau_by_size, [(19, 0.5)], 3),
        (plots.tau_by_size, [(19, 0.5, 0.1), (20, 0.5)], 3),
        (plots.tau_by_size, [], 3),
        (plots.precision_by_share, [(0.1, 0.5, 0.1)], 2),
        (plots.precision_by_share, [], 2),
    ],
)
def test_points_of_other_sizes_are_refused(draw, points, width) -> None:
    with pytest.raises(ValueError, match=rf"'mine' needs points of {width} numbers"):
        draw({"mine": points})
    with pytest.raises(ValueError, match="'network 0' needs points of 2 numbers"):
        plots.tau_by_size(curves(1), {"network 0": [(19, 0.5, 0.1)]})


# --- predicted ranks ---


def made_up(num: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    targets = rng.uniform(0.8, 0.95, num)
    return (targets + rng.normal(0, 0.05, num)).astype(np.float32), targets.astype(np.float32)


def ranks(values: np.ndarray) -> np.ndarray:
    """1 for the highest, by counting."""
    return np.array([1 + sum(other > value for other in values) for value in values])


def shown(figure: Figure) -> np.ndarray:
    (points,) = figure.axes[0].collections
    return np.asarray(points.get_offsets())


def in_order(points: np.ndarray) -> np.ndarray:
    return points[np.argsort(points[:, 0])]


def test_all_ranks() -> None:
    scores, targets = made_up(60)
    figure = plots.predicted_ranks(jnp.asarray(scores), targets, title="ReNAS")
    expected = np.stack([ranks(targets), ranks(scores)], 1)
    np.testing.assert_array_equal(in_order(shown(figure)), in_order(expected))
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 1], [60, 60]])
    tau = stats.kendalltau(scores, targets).statistic
    assert axes.get_title("left") == f"ReNAS\nKendall τ-b = {tau:.3f}"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true rank", "predicted rank")
    assert axes.get_aspect() == 1
    assert figure.get_supxlabel() == ""
    assert_readable(figure)


def test_some_ranks_are_among_those_shown() -> None:
    scores, targets = made_up(3000)
    figure = plots.predicted_ranks(scores, targets, num=200, seed=4)
    assert figure.get_supxlabel() == "2,800 more not shown"
    for column in shown(figure).T:
        np.testing.assert_array_equal(np.sort(column), np.arange(1, 201))
    tau = stats.kendalltau(scores, targets).statistic
    assert figure.axes[0].get_title("left") == f"Kendall τ-b = {tau:.3f}", (
        "of all, not of those shown"
    )
    order = in_order(shown(figure))[:, 1]
    same, other = (
        in_order(shown(plots.predicted_ranks(scores, targets, num=200, seed=s)))[:, 1]
        for s in (4, 5)
    )
    np.testing.assert_array_equal(order, same)
    assert (order != other).any()
    assert len(shown(plots.predicted_ranks(scores, targets))) == 1000
    assert_readable(figure)


def test_what_has_no_rank_is_not_shown_but_counted() -> None:
    scores, targets = made_up(50)
    scores[[0, 1]], scores[2], targets[[2, 3]] = -np.inf, np.nan, np.nan
    figure = plots.predicted_ranks(scores, targets)
    assert figure.get_supxlabel() == "3 that cannot be ranked, 1 without target"
    expected = np.stack([ranks(targets[4:]), ranks(scores[4:])], 1)
    np.testing.assert_array_equal(in_order(shown(figure)), in_order(expected))
    known = np.isfinite(targets)
    tau = stats.kendalltau(
        np.nan_to_num(scores, nan=-9, neginf=-9)[known], targets[known]
    ).statistic
    assert figure.axes[0].get_title("left") == f"Kendall τ-b = {tau:.3f}"
    undefined = plots.predicted_ranks(np.zeros(5), targets[4:9])
    assert undefined.axes[0].get_title("left") == "Kendall τ-b undefined"


@pytest.mark.parametrize(
    "shapes", [((3,), (4,)), ((2, 2), (2, 2)), ((), ()), ((0,), (0,)), ((1,), (1,))]
)
def test_ranks_of_other_shapes_are_refused(shapes) -> None:
    with pytest.raises(ValueError, match=r"scores and targets must be \[N\]"):
        plots.predicted_ranks(*(np.zeros(shape) for shape in shapes))


# --- training curves ---


def test_training_curves_of_seeds_and_their_mean() -> None:
    losses = np.random.default_rng(2).uniform(size=(3, 40))
    figure = plots.training_curves(losses.astype(np.float32), title="GATES")
    (axes,) = figure.axes
    assert len(axes.lines) == 4
    for line, expected in zip(axes.lines, [*losses, losses.mean(0)], strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 41))
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-6)
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths[3] > max(widths[:3])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "training loss")
    assert axes.get_title("left") == "GATES"
    assert figure.get_supxlabel() == "3 seeds, thick: their mean"
    assert_readable(figure)


def test_epochs_without_a_value_are_skipped() -> None:
    rng = np.random.default_rng(3)
    losses, taus = rng.uniform(size=(2, 30)), np.full((2, 30), np.nan)
    taken = np.array([4, 9, 14, 29])
    taus[:, taken] = rng.uniform(size=(2, 4))
    losses[1, 7] = np.inf  # a seed diverged
    taus[0, 20] = 0.5  # taken of one seed only
    figure = plots.training_curves(jnp.asarray(losses), taus)
    top, bottom = figure.axes
    for line in top.lines:
        np.testing.assert_array_equal(line.get_xdata(), np.delete(np.arange(1, 31), 7))
        assert np.isfinite(line.get_ydata()).all()
    assert len(bottom.lines) == 3
    for line, expected in zip(bottom.lines, [*taus, taus.mean(0)], strict=True):
        np.testing.assert_array_equal(line.get_xdata(), taken + 1)
        np.testing.assert_allclose(line.get_ydata(), expected[taken])
    assert bottom.lines[-1].get_marker() == "o", "few points are visible"
    assert top.lines[-1].get_marker() in ("None", "")
    assert (top.get_ylabel(), bottom.get_ylabel()) == (
        "training loss",
        "Kendall τ-b on the test set",
    )
    assert (top.get_xlabel(), bottom.get_xlabel()) == ("", "epoch")
    assert top.get_xlim() == bottom.get_xlim()
    assert_readable(figure)


def test_one_seed() -> None:
    figure = plots.training_curves(np.linspace(1, 0, 12)[None])
    assert figure.get_supxlabel() == "1 seed"
    assert len(figure.axes[0].lines) == 2


@pytest.mark.parametrize(
    "shapes", [[(3,)], [(0, 4)], [(2, 0)], [(1, 2, 3)], [(2, 3), (2, 4)], [(2, 3), (3,)]]
)
def test_curves_of_other_shapes_are_refused(shapes) -> None:
    with pytest.raises(ValueError, match=r"must be \[S, epochs\]"):
        plots.training_curves(*(np.zeros(shape) for shape in shapes))
