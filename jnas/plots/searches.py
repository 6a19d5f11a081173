"""Charts of many searches; see the package for what figures share."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

from jnas.plots.style import COLOURS, GREY, INK, begin_late, new_figure, set_note, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def search_curves(
    curves: Mapping[str, ArrayLike],
    x: ArrayLike | None = None,
    *,
    lines: Mapping[str, float] | None = None,
    x_label: str = "evaluations",
    y_label: str = "best score so far",
    title: str = "",
    minimize: bool = False,
) -> "Figure":
    """Curve of the best so far `[S, T]` of each label: the median search and the middle half.

    A single label has a band of the middle nine tenths, too. Searches that end with nothing (not
    finite) are left out, as is what was before every other search has something. The axis of scores
    begins at the lowest value after a fiftieth of the way.

    Args:
        curves: label → `[S, T]`; `S` may differ, and without `x` so may `T`.
        x: `[T]`, ascending, the same for all; by default the number of evaluations.
        lines: label → height of a dashed line, such as the best of a table.
        x_label: what `x` is, with its unit.
        y_label: what the curves are, with their unit.
        title: heads the figure.
        minimize: whether lower is better, so that curves fall.

    Raises:
        ValueError: also where there is no label.
    """
    if not curves:
        raise ValueError("curves must have at least one label")
    runs = {label: _checked(label, values) for label, values in curves.items()}
    longest = max(values.shape[1] for values in runs.values())
    steps = np.arange(1, 1 + longest) if x is None else np.asarray(x, float)
    if x is not None and any(steps.shape != values.shape[1:] for values in runs.values()):
        raise ValueError(f"x must be [T], as long as every curve; got {steps.shape}")
    is_single = len(runs) == 1
    figure, (axes,) = new_figure(x_label, y_label, width=6.4 if is_single else 8.0)
    # A search that ends with nothing has no place in a quantile; the note counts it.
    ended = {label: values[np.isfinite(values[:, -1])] for label, values in runs.items()}
    edges: list[np.ndarray] = []
    for colour, (label, values) in zip(itertools.cycle(COLOURS), ended.items(), strict=False):
        edges += _draw_curve(axes, steps, values, label, colour, is_single)
    for label, height in (lines or {}).items():
        text = f"{label}: {height:.4g}" if is_single else f"{label}\n{height:.4g}"
        axes.axhline(height, color=GREY, linestyle="--", linewidth=1.2, label=text, zorder=1)
        # Lines bound the axis, too: the best of a table must not lie outside.
        edges.append(np.full(1, height))
    if x is None:
        axes.locator_params(axis="x", integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    begin_late(axes, *edges)
    _set_legend(axes, is_single, minimize)
    set_title(figure, title)
    lost = sum(len(values) - len(ended[label]) for label, values in runs.items())
    about = _about_bands([len(values) for values in ended.values()])
    set_note(figure, about, (lost, "without an answer"))
    return figure


def _draw_curve(
    axes: "Axes", steps: np.ndarray, values: np.ndarray, label: str, colour: str, is_single: bool
) -> list[np.ndarray]:
    """Median and bands of the searches `[S, T]` of one label, drawn.

    Returns:
        The edges of the widest band, `[steps]`; NaN where it is not drawn.
    """
    # Before every search has something, a median would be of the early ones alone.
    at = np.flatnonzero(np.isfinite(values).all(axis=0))
    low, lower, middle, upper, high = (
        np.quantile(values[:, at], _QUANTILES, axis=0) if len(values) else [at] * 5
    )
    # Two bands of several labels would cover each other.
    bands = [(lower, upper), (low, high)][: 2 if is_single else 1]
    for band in bands:
        axes.fill_between(steps[at], *band, step="post", color=colour, alpha=0.2, linewidth=0)
    marker = "o" if len(at) <= 20 else ""  # a step curve of a single evaluation has no length
    end = f"\n{middle[-1]:.4g} at the end" if not is_single and len(middle) else ""
    style: dict[str, Any] = {"where": "post", "linewidth": 1.8, "markersize": 4}
    axes.step(steps[at], middle, marker, color=colour, label=label + end, **style)
    # Full length, so that a fiftieth of the way is the same place for every curve.
    return [_placed(edge, at, len(steps)) for edge in bands[-1]]


def _set_legend(axes: "Axes", is_single: bool, minimize: bool) -> None:
    """Legend in the corner that a single curve leaves, or beside several."""
    place: dict[str, Any] = {"loc": "upper right" if minimize else "lower right"}
    if not is_single:
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    axes.legend(frameon=False, fontsize=10, labelcolor=INK, **place)


def _about_bands(nums: list[int]) -> tuple[int, str]:
    """Note on what is drawn, for labels with `nums` searches that have an answer."""
    is_single = len(nums) == 1
    # Labels may have different numbers of searches; the note names both ends.
    most, fewest = max(nums), min(filter(None, nums), default=0)
    shares = "50 % and 90 %" if is_single else "50 %"
    bands = f"searches{'' if is_single else ' each'}: median, and the middle {shares}"
    bands = f"to {most:,} {bands}" if fewest < most else bands
    return fewest, bands if most > 1 else "search"


def _placed(values: np.ndarray, at: np.ndarray, num: int) -> np.ndarray:
    """Values `[num]` that are `values` `[A]` at the places `at` `[A]`, and NaN elsewhere."""
    placed: np.ndarray = np.full(num, np.nan)
    placed[at] = values
    return placed


def _checked(label: str, values: ArrayLike) -> np.ndarray:
    """Array `[S, T]` of a label; ValueError where it is of another rank, or empty."""
    rows = np.asarray(values, float)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"{label!r} must be [S, T], S and T at least 1; got {rows.shape}")
    return rows
