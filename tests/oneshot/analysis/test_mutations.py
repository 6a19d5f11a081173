from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats

from jnas.oneshot import analysis

NUM = 3


@pytest.fixture(scope="module")
def archs() -> np.ndarray:
    """Two thirds of a space of three choices, one of them twice."""
    every = np.array(list(product(range(NUM), repeat=3)))
    chosen = np.random.default_rng(0).permutation(every)[:18]
    return np.concatenate([chosen, chosen[:1]])


def by_definition(archs: np.ndarray, positions: tuple[int, ...]) -> set[tuple[int, int, int]]:
    """Ordered pairs of rows and the position at which alone they differ."""
    pairs = set()
    for one, two in combinations(range(len(archs)), 2):
        differ = np.flatnonzero(archs[one] != archs[two])
        if len(differ) == 1 and differ[0] in positions:
            place = int(differ[0])
            low = archs[one, place] < archs[two, place]
            pairs.add((one, two, place) if low else (two, one, place))
    return pairs


@pytest.mark.parametrize("positions", [(0, 1, 2), (1,)])
def test_mutations_are_all_pairs_that_differ_once(archs, positions):
    found = analysis.mutations(archs, positions)
    rows = {*zip(found.one.tolist(), found.two.tolist(), found.position.tolist(), strict=True)}
    assert rows == by_definition(archs, positions)
    assert len(rows) == len(found.one)
    np.testing.assert_array_equal(found.old, archs[found.one, found.position])
    np.testing.assert_array_equal(found.new, archs[found.two, found.position])
    assert (found.old < found.new).all()


def test_a_table_is_its_definition(archs):
    rng = np.random.default_rng(1)
    truth = rng.normal(size=len(archs))
    scores = np.round(truth + rng.normal(size=(2, len(archs))), 0)
    scores[:, 4] = np.nan
    table = analysis.mutation_table(analysis.mutations(archs), scores, truth, NUM)
    kept = np.delete(np.arange(len(archs)), 4)
    rank = np.full(len(archs), np.nan)
    for row, found in enumerate((*scores, truth)):
        rank[kept] = scipy.stats.rankdata(found[kept]) / len(kept)
        changes: dict[tuple[int, int], list[float]] = {}
        for one, two, place in by_definition(archs, (0, 1, 2)):
            if 4 not in (one, two):
                for a, b in ((one, two), (two, one)):
                    cell = int(archs[a, place]), int(archs[b, place])
                    changes.setdefault(cell, []).append(rank[b] - rank[a])
        for cell, values in changes.items():
            up, change = np.mean(np.array(values) > 0), np.mean(values)
            ups = table.truth_up if row == 2 else table.score_up[row]
            means = table.truth_change if row == 2 else table.score_change[row]
            assert ups[cell] == pytest.approx(up)
            assert means[cell] == pytest.approx(change, abs=1e-6)
            assert table.pairs[cell] == len(values)


def test_both_directions_of_a_mutation_mirror_each_other(archs):
    rng = np.random.default_rng(2)
    scores, truth = rng.normal(size=(2, len(archs)))
    table = analysis.mutation_table(analysis.mutations(archs), scores, truth, NUM)
    np.testing.assert_array_equal(table.pairs, table.pairs.T)
    np.testing.assert_array_equal(table.score_change, -table.score_change.T)
    np.testing.assert_allclose(table.bias, table.score_change - table.truth_change)
    off = ~np.eye(NUM, dtype=bool)
    # Without ties, what does not rise falls.
    np.testing.assert_allclose((table.truth_up + table.truth_up.T)[off], 1)
    assert np.isnan(np.diag(table.score_up)).all()


def test_a_score_that_is_the_truth_has_no_bias(archs):
    truth = np.random.default_rng(3).normal(size=len(archs))
    table = analysis.mutation_table(analysis.mutations(archs), truth, truth, NUM)
    off = ~np.eye(NUM, dtype=bool)
    np.testing.assert_array_equal(table.bias[off], 0)


def test_operation_bias_is_that_of_least_squares():
    rng = np.random.default_rng(4)
    counts = rng.multinomial(6, [0.5, 0.3, 0.2], size=80)
    truth = rng.normal(size=80)
    # An estimate that likes the last operation, at the cost of the first.
    scores = truth + 0.5 * (counts[:, 2] - counts[:, 0]) + 0.1 * rng.normal(size=(2, 80))
    scores[0, 3] = np.nan
    found = analysis.operation_bias(counts, scores, truth)
    np.testing.assert_allclose(found.bias.sum(axis=-1), 0, atol=1e-9)
    kept = np.delete(np.arange(80), 3)
    for row in range(2):
        ranks = [scipy.stats.rankdata(values[kept]) for values in (scores[row], truth)]
        difference = (ranks[0] - ranks[1]) / len(kept)
        # Against a constant and two of the three counts, which say the third.
        design = np.column_stack([np.ones(len(kept)), counts[kept, 1:]])
        fit, rest, *_ = np.linalg.lstsq(design, difference, rcond=None)
        variance = rest[0] / (len(kept) - 3) * np.linalg.inv(design.T @ design)[2, 2]
        change, error = found.replacing(0, 2)
        assert change[row] == pytest.approx(fit[2], abs=1e-6)
        assert error[row] == pytest.approx(np.sqrt(variance), rel=1e-4)
        assert change[row] > 5 * error[row]


def test_counts_that_tell_nothing_are_refused():
    scores = np.arange(5.0)
    with pytest.raises(ValueError, match="tell no bias"):
        analysis.operation_bias(np.ones((5, 2)), scores, scores)
    with pytest.raises(ValueError, match="tell no bias"):
        analysis.operation_bias(np.eye(5), scores, scores)
    with pytest.raises(ValueError, match=r"must be \[N, O\]"):
        analysis.operation_bias(np.ones((4, 2)), scores, scores)


def test_architectures_far_apart_have_no_mutations():
    found = analysis.mutations(np.array([[0, 0], [1, 1]]))
    assert found.one.size == 0
    table = analysis.mutation_table(found, [1.0, 2.0], [1.0, 2.0], 2)
    assert table.pairs.sum() == 0
    assert np.isnan(table.score_up).all()


def test_bad_input_is_refused(archs):
    with pytest.raises(ValueError, match="must be integers"):
        analysis.mutations(archs.astype(float))
    with pytest.raises(ValueError, match="positions must be in"):
        analysis.mutations(archs, (3,))
    pairs, scores = analysis.mutations(archs), np.arange(float(len(archs)))
    with pytest.raises(ValueError, match="num_operations is 2"):
        analysis.mutation_table(pairs, scores, scores, 2)
    with pytest.raises(ValueError, match="more than the N"):
        analysis.mutation_table(pairs, scores[:3], scores[:3], NUM)
    with pytest.raises(ValueError, match="one truth"):
        analysis.mutation_table(pairs, scores[None], scores[None], NUM)
