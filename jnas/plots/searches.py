"""Charts of many searches; see the package for what they share."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike

from jnas.plots.style import COLOURS, GREY, INK, begin_late, new_figure, set_note, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def search_curves(
    curves: Mapping[str, ArrayLike],
    *,
    limit: float | None = None,
    y_label: str = "best score so far",
    title: str = "",
) -> "Figure":
    """The best so far `[S, T]` of each label by number of evaluations: the median search in the middle half of them.

    A single label has a band of the middle nine tenths, too. Searches that end with nothing (not finite) are left out,
    as are the evaluations before every other search has something. A dashed line is at `limit`, the best of a table.
    The axis begins at the lowest value after a fiftieth of the evaluations.
    """
    figure, (axes,) = new_figure("evaluations", y_label)
    bounds: list[np.ndarray] = []
    lost = most = 0
    for colour, (label, values) in zip(itertools.cycle(COLOURS), curves.items(), strict=False):
        rows = np.asarray(values, float)
        if rows.ndim != 2 or not rows.size:
            raise ValueError(f"{label!r} must be [S, T], S and T at least 1; got {rows.shape}")
        ended = rows[np.isfinite(rows[:, -1])]
        lost, most = lost + len(rows) - len(ended), max(most, len(ended))
        at = np.flatnonzero(np.isfinite(ended).all(axis=0))
        low, lower, middle, upper, high = np.quantile(ended[:, at], _QUANTILES, axis=0) if len(ended) else [at] * 5
        pairs = [(lower, upper), (low, high)][: 2 if len(curves) == 1 else 1]
        for pair in pairs:
            axes.fill_between(at + 1, *pair, step="post", color=colour, alpha=0.2, linewidth=0)
        marker = "o" if len(at) <= 20 else ""  # a step curve of a single evaluation has no length
        axes.step(at + 1, middle, marker, where="post", color=colour, linewidth=1.8, markersize=4, label=label)
        bounds += pairs[-1]
    if limit is not None:
        axes.axhline(
            limit, color=GREY, linestyle="--", linewidth=1.2, label=f"best of the table: {limit:.4g}", zorder=1
        )
    axes.locator_params(axis="x", integer=True)
    begin_late(axes, *bounds, *([] if limit is None else [np.full(1, limit)]))
    axes.legend(frameon=False, fontsize=10, labelcolor=INK, loc="lower right")
    set_title(figure, title)
    bands = f"searches: median, and the middle 50 %{' and 90 %' if len(curves) == 1 else ''}"
    set_note(figure, (most, bands if most > 1 else "search"), (lost, "without an answer"))
    return figure
