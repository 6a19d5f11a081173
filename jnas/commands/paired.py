"""Paired tests of two strategies that searched from the same seeds.

Pitman, "Significance tests which may be applied to samples from any populations", Supplement to the
Journal of the Royal Statistical Society 4(1), 1937; Holm, "A simple sequentially rejective multiple
test procedure", Scandinavian Journal of Statistics 6(2), 1979.
"""

import itertools

import numpy as np

_MOST_EXACT = 14  # pairs of which every change of signs is counted
_NUM_DRAWN, _BLOCK = 20_000, 1_000


def sign_flip_test(differences: np.ndarray) -> float:
    """Two-sided p-value of a mean difference, by changing the signs of the pairs.

    Were the strategies alike, each difference could as well have the other sign. All changes are
    counted for up to 14 pairs, else 20,000 that are drawn, always the same ones.

    Args:
        differences: `[S]` float, finite.

    Returns:
        The share of changes with at least the mean difference; 1 without any pair.
    """
    # Equal results have no sign, and divided by the largest a rounding error has one size.
    values = differences[differences != 0].astype(np.float64)
    if not len(values):
        return 1.0
    values /= np.abs(values).max()
    if len(values) <= _MOST_EXACT:
        signs = np.array(list(itertools.product((-1, 1), repeat=len(values))))
        return float(np.mean(np.abs(signs @ values) >= abs(values.sum()) - 1e-9))
    rng = np.random.default_rng(0)
    # In blocks, for all at once would take much memory, and one at a time long.
    blocks = (rng.choice((-1, 1), (_BLOCK, len(values))) for _ in range(_NUM_DRAWN // _BLOCK))
    sums = np.concatenate([signs @ values for signs in blocks])
    # The signs as they are count as one of the changes, so that p is never 0.
    return float((1 + np.sum(np.abs(sums) >= abs(values.sum()) - 1e-9)) / (1 + _NUM_DRAWN))


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values `[N]` of several tests, adjusted so that all of them hold together."""
    order = np.argsort(p_values)
    raised = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted
