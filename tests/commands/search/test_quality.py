"""Ranking quality of a supernet over its epochs: what is ranked, and how it is shown."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jnas
from jnas.commands.search import quality, ranking
from jnas.commands.search.quality import Quality
from jnas.oneshot import published

SPACE = jnas.spaces.nasbench201()
ROWS = {
    "loss": [0.1, 0.2, None, 0.4],
    "accuracy": [0.2, 0.3, 0.3, 0.3],
    "params": [0.5] * 4,
    "flops": [0.5] * 4,
}
QUALITY = Quality("top", "in %", 200, "digits", 270, 9, [5, 10, 15, 20], 0.1, ROWS, ROWS)


def test_the_evaluation_set_is_of_different_classes_that_are_known() -> None:
    archs = SPACE.enumerate()
    values = np.where(np.arange(len(archs)) % 3 == 0, np.nan, np.arange(len(archs)))
    columns = {"top": values, "error": values, "none": 0 * values}
    table = jnas.benchmarks.make_table(SPACE, archs, columns)
    known = quality.drawn({"top": (table, "top"), "other": (table, "none")})
    assert (known.name, len(known.archs), known.convention) == (
        "top",
        200,
        table.conventions["top"],
    )
    np.testing.assert_array_equal(known.truth, table.look_up("top", known.archs))
    classes = jax.vmap(SPACE.identity)(known.archs)
    assert len(np.unique(classes, axis=0)) == 200
    lower = quality.drawn({"error": (table, "error")})
    np.testing.assert_array_equal(lower.archs, known.archs)
    np.testing.assert_array_equal(lower.truth, -known.truth)
    # Equal accuracies are no ranking.
    assert quality.drawn({"none": (table, "none")}) is None
    assert quality.drawn({}) is None


@pytest.mark.parametrize(
    ("num", "kept"), [(1, ()), (2, (1,)), (3, (1, 2)), (20, (5, 10, 15)), (667, (167, 334, 501))]
)
def test_weights_are_kept_after_each_quarter(num: int, kept: tuple[int, ...]) -> None:
    assert quality.kept_epochs(num) == kept


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (0.4, "ranks worse than the number of parameters does: tau 0.400 of −loss against 0.500"),
        (0.6, "ranks better than the number of parameters: tau 0.600 of −loss against 0.500"),
        (None, "Of 200 architectures"),
    ],
)
def test_the_sentence_beside_parameters(last: float | None, told: str) -> None:
    part = ranking.by_epoch(QUALITY._replace(kendall=ROWS | {"loss": [0.1, 0.2, 0.3, last]}))
    assert told in part.text.split("\n")[0]
    header, mine, *_, flops = part.rows
    assert header == ["Kendall tau", *(f"epoch {x}" for x in (5, 10, 15, 20)), "P@top 10 %"]
    assert mine[:4] == ["−loss", "0.100", "0.200", "0.300"]
    assert flops == ["FLOPs", *["0.500"] * 5]


def drawn(space: str, of: Quality):
    network = SimpleNamespace(space=SimpleNamespace(name=space))
    result = SimpleNamespace(settings=SimpleNamespace(seed=7))
    return ranking.curves(result, SimpleNamespace(network=network), of)["ranking"]


def test_the_picture_is_over_the_published_curve() -> None:
    caption, figure = drawn("nasbench201", QUALITY)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["−loss, this supernet"].get_xdata(), [25, 50, 75, 100])
    np.testing.assert_array_equal(
        lines["−loss, this supernet"].get_ydata(), [0.1, 0.2, np.nan, 0.4]
    )
    theirs = lines["accuracy, published"]
    curve = published.CURVES["nasbench201"]
    assert (theirs.get_xdata()[0], theirs.get_xdata()[-1]) == (4, 100)
    np.testing.assert_array_equal(theirs.get_ydata(), list(curve.kendall.values()))
    # One line of both, which lie on each other.
    assert lines["#params, FLOPs: 0.500"].get_ydata()[0] == 0.5
    for text in ("200 architectures", "270 validation images of digits", "in %", "seed 7"):
        assert text in caption
    assert curve.about in caption
    ticks = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert ticks == ["0 %", "25 %\nepoch 5", "50 %\nepoch 10", "75 %\nepoch 15", "100 %\nepoch 20"]


def test_a_published_curve_is_of_its_space() -> None:
    caption, figure = drawn("nats_size", QUALITY._replace(share=None, p_top={}))
    assert len(figure.axes) == 1
    assert "ublished" not in caption + str([line.get_label() for line in figure.axes[0].lines])
    _, figure = drawn("nb1shot1", QUALITY)
    for axes, known in zip(figure.axes, ("kendall", "p_top"), strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        values = getattr(published.CURVES["nb1shot1"], known)
        np.testing.assert_array_equal(lines["−loss, published"].get_ydata(), list(values.values()))
