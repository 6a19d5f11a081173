"""BOHB against schedules by hand, densities in plain NumPy, and a replay of its histories."""

import itertools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.search._brackets import BracketState, schedule
from jnas.search._density import bandwidths, draw_near, log_density
from jnas.search.bohb import split_data
from jnas.types import History, Outcome, Query, Searcher, Space
from tests.oracles.searches import compiled, run
from tests.oracles.spaces import toy

SPACE = toy()
BASELINE = jnas.search.bohb(SPACE)
WITHOUT_MODEL = jnas.search.bohb(SPACE, capacity=13, min_points=99)  # the smallest capacity
SMALLEST = compiled(WITHOUT_MODEL)
CYCLE = [22] * 9 + [66] * 3 + [200] + [66] * 3 + [200] + [200] * 3


def scrambled(failing: jax.Array, key: jax.Array, query: Query) -> Outcome:
    """Scores that differ by architecture and by number of epochs; two of three may fail."""
    weights = jnp.array([17, 101, 7, 233, 53], jnp.int32)
    totals = (jnp.sum(query.archs * weights[None], axis=1) + 13 * query.epochs) * 37 % 1009
    scores = jnp.where(failing & (totals % 3 != 0), jnp.nan, totals.astype(jnp.float32))
    return Outcome(scores, query.epochs.astype(jnp.float32))


SCRAMBLED = Partial(scrambled, jnp.asarray(False))


def total(key: jax.Array, query: Query) -> Outcome:
    scores = jnp.sum(query.archs, axis=1).astype(jnp.float32)
    return Outcome(scores, jnp.ones_like(scores))


# --------------------------------------------------------------------------------------------------
# The schedule.


@pytest.mark.parametrize(
    ("numbers", "epochs", "brackets"),
    [
        ((12, 200, 3), (22, 66, 200), ((9, 3, 1), (3, 1), (3,))),
        ((1, 12, 3), (1, 4, 12), ((9, 3, 1), (3, 1), (3,))),
        ((1, 9, 3), (1, 3, 9), ((9, 3, 1), (3, 1), (3,))),
        ((2, 9, 3), (3, 9), ((3, 1), (2,))),
        ((50, 50, 3), (50,), ((1,),)),
        ((10, 100, 2), (12, 25, 50, 100), ((8, 4, 2, 1), (4, 2, 1), (4, 2), (4,))),
        (
            (1, 243, 3),
            (1, 3, 9, 27, 81, 243),
            ((243, 81, 27, 9, 3, 1), (81, 27, 9, 3, 1), (27, 9, 3, 1), (18, 6, 2), (9, 3), (6,)),
        ),
    ],
)
def test_brackets_by_hand(numbers: tuple[int, int, int], epochs: tuple, brackets: tuple) -> None:
    plan = schedule(*numbers)
    assert plan.epochs == epochs
    assert plan.brackets == brackets
    assert len(plan.levels) == sum(map(sum, brackets))


def test_the_cycle_of_the_baseline_by_hand() -> None:
    plan = schedule(12, 200, 3)
    assert [plan.epochs[level] for level in plan.levels] == CYCLE
    assert plan.num_before.tolist() == [0] * 9 + [9] * 3 + [3] + [0] * 3 + [3] + [0] * 3
    rungs_above = np.flatnonzero(plan.num_before)
    assert plan.before[rungs_above].tolist() == [0, 0, 0, 9, 13]


@pytest.mark.slow
def test_a_run_follows_the_schedule(key: jax.Array) -> None:
    history = run(BASELINE, SCRAMBLED, key, num_evaluations=50)
    np.testing.assert_array_equal(history.epochs, (CYCLE * 3)[:50])
    np.testing.assert_array_equal(history.seconds, (CYCLE * 3)[:50])
    assert BASELINE.epochs == (22, 66, 200)


# --------------------------------------------------------------------------------------------------
# Successive halving.


def best_first(archs: np.ndarray, scores: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(archs[i]) for i in np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")]


def rungs(history: History) -> list[list[slice]]:
    """The rungs of each bracket of two cycles of the baseline, counted out."""
    sizes, begin, found = ((9, 3, 1), (3, 1), (3,)), 0, []
    for bracket in sizes * 2:
        found.append([])
        for size in bracket:
            found[-1].append(slice(begin, begin + size))
            begin += size
    return found


@pytest.mark.parametrize("failing", [False, True])
def test_a_rung_is_exactly_the_best_third_of_the_one_below(failing: bool, key: jax.Array) -> None:
    objective = Partial(scrambled, jnp.asarray(failing))
    for seed_key in jax.random.split(key, 5):
        history = jax.tree.map(np.asarray, run(BASELINE, objective, seed_key, num_evaluations=50))
        assert np.isnan(history.scores).any() == failing
        for bracket in rungs(history):
            for below, above in itertools.pairwise(bracket):
                ranked = best_first(history.archs[below], history.scores[below])
                assert [tuple(arch) for arch in history.archs[above]] == ranked[
                    : above.stop - above.start
                ]
                assert (above.stop - above.start) * 3 == below.stop - below.start


def asked(searcher: Searcher, key: jax.Array, num: int) -> tuple[list[Query], BracketState]:
    state, queries = searcher.init(key), []
    for ask_key in jax.random.split(key, num):
        query, state = searcher.ask(ask_key, state)
        queries.append(query)
    return queries, state


def answer(scores: float) -> Outcome:
    return Outcome(jnp.asarray([scores], jnp.float32), jnp.ones(1, jnp.float32))


def test_told_go_on_before_those_out_and_those_out_before_failures(key: jax.Array) -> None:
    searcher = SMALLEST
    queries, state = asked(searcher, key, 9)
    for number, score in ((7, 5.0), (2, math.nan), (4, 6.0), (1, math.nan)):
        state = searcher.tell(state, queries[number], answer(score))
    above = []
    for ask_key in jax.random.split(key, 4):
        query, state = searcher.ask(ask_key, state)
        above.append(query)
    np.testing.assert_array_equal(above[0].archs, queries[4].archs)
    np.testing.assert_array_equal(above[1].archs, queries[7].archs)
    np.testing.assert_array_equal(above[2].archs, queries[0].archs)  # the first that is out
    assert [int(query.epochs[0]) for query in above] == [66, 66, 66, 200]
    np.testing.assert_array_equal(
        above[3].archs, queries[4].archs
    )  # nothing of that rung is told: the first again


def test_outcomes_in_any_order_and_twice_are_the_same(key: jax.Array) -> None:
    searcher = SMALLEST
    queries, state = asked(searcher, key, 9)
    states = []
    for order in (range(9), [3, 8, 1, 0, 2, 7, 6, 5, 4, 4]):
        told = state
        for number in order:
            told = searcher.tell(told, queries[number], answer(float(number * 7 % 5)))
        states.append(told)
    chex.assert_trees_all_equal(*states)


@pytest.mark.slow
def test_random_proposals_have_nothing_to_do_with_capacity_and_model(key: jax.Array) -> None:
    """Whether there is never a model, in the smallest capacity, or one that is left alone."""
    alone = jnas.search.bohb(SPACE, random_fraction=1.0)
    histories = [
        run(searcher, SCRAMBLED, key, num_evaluations=50)
        for searcher in (WITHOUT_MODEL, alone, BASELINE)
    ]
    chex.assert_trees_all_equal(*histories[:2])
    assert not np.array_equal(histories[1].archs, histories[2].archs)


def test_an_outcome_that_comes_too_late_is_dropped(key: jax.Array) -> None:
    searcher = SMALLEST
    queries, state = asked(searcher, key, 15)
    chex.assert_trees_all_equal(searcher.tell(state, queries[1], answer(1.0)), state)
    told = searcher.tell(state, queries[2], answer(1.0))
    assert np.flatnonzero(told.is_told).tolist() == [2]


# --------------------------------------------------------------------------------------------------
# The densities.

CHOICES = np.array([2, 3, 5])
LIMITS = 1 - 1 / CHOICES


def data(num: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CHOICES, (num, 3)).astype(np.int32)


BANDWIDTHS = jax.jit(bandwidths)
DENSITY = jax.jit(jax.vmap(log_density, (0, None, None, None, None)))


def bandwidths_by_hand(archs: np.ndarray, least: float) -> np.ndarray:
    found = []
    for column, num_choices in zip(archs.T.tolist(), CHOICES.tolist(), strict=True):
        mean = sum(column) / len(column)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in column) / len(column))
        rule = 1.06 * deviation * len(column) ** (-1 / (4 + 3))
        found.append(min(max(rule, least), 1 - 1 / num_choices))
    return np.array(found)


def density_by_hand(arch: tuple[int, ...], archs: np.ndarray, widths: np.ndarray) -> float:
    weights = []
    for row in archs:
        kernels = [
            1 - h if a == b else h / (c - 1)
            for a, b, h, c in zip(arch, row, widths, CHOICES, strict=True)
        ]
        weights.append(math.prod(kernels))
    return sum(weights) / len(weights)


@pytest.mark.parametrize("least", [0.001, 0.3])
@pytest.mark.parametrize("num", [1, 2, 7, 40])
def test_bandwidths_and_densities_by_hand(num: int, least: float) -> None:
    archs, chosen = data(50), np.zeros(50, bool)
    chosen[np.random.default_rng(num).permutation(50)[:num]] = True
    archs[chosen, 1] = archs[chosen, 1] // 2  # closer together in one position
    widths = BANDWIDTHS(archs, chosen, jnp.asarray(LIMITS, jnp.float32), least=least)
    expected = bandwidths_by_hand(archs[chosen], least)
    np.testing.assert_allclose(widths, expected, rtol=1e-5)
    everything = np.array(list(itertools.product(*map(range, CHOICES))), np.int32)
    found = np.exp(DENSITY(everything, archs, chosen, widths, CHOICES.astype(np.int32)))
    np.testing.assert_allclose(
        found, [density_by_hand(tuple(a), archs[chosen], expected) for a in everything], 1e-4
    )
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_bandwidths_come_to_all_their_bounds() -> None:
    archs = np.array([[0, 1, 0], [0, 1, 4], [0, 0, 0], [0, 1, 4]], np.int32)
    chosen = np.arange(50) < 4
    widths = BANDWIDTHS(
        np.resize(archs, (50, 3)), chosen, jnp.asarray(LIMITS, jnp.float32), least=0.1
    )
    rule = 1.06 * np.std([1, 1, 0, 1]) * 4 ** (-1 / 7)
    np.testing.assert_allclose(widths, [0.1, rule, 0.8], rtol=1e-5)
    assert 0.1 < rule < 2 / 3


def test_draws_have_the_density_of_their_kernel(key: jax.Array) -> None:
    center, widths = np.array([1, 0, 3], np.int32), np.array([0.2, 2 / 3, 0.4], np.float32)
    draw = jax.jit(jax.vmap(draw_near, (0, None, None, None)))
    draws = np.asarray(
        draw(jax.random.split(key, 20_000), center, widths, CHOICES.astype(np.int32))
    )
    for position, num_choices in enumerate(CHOICES):
        shares = np.bincount(draws[:, position], minlength=num_choices) / len(draws)
        expected = np.full(num_choices, widths[position] / (num_choices - 1))
        expected[center[position]] = 1 - widths[position]
        np.testing.assert_allclose(shares, expected, atol=0.015)
    both = (draws[:, 0] != 1) & (draws[:, 2] != 3)
    assert both.mean() == pytest.approx(0.2 * 0.4, abs=0.01)


# --------------------------------------------------------------------------------------------------
# The model.


def state_of(
    levels: list[int], scores: list[float], is_told: list[bool] | None = None
) -> BracketState:
    num = len(levels)
    told = np.ones(num, bool) if is_told is None else np.array(is_told)
    archs = np.arange(num * 6).reshape(num, 6) % 5
    scores = np.where(np.isnan(scores), -np.inf, np.array(scores, np.float32))
    columns = archs.astype(np.int32), np.array(levels, np.int32), scores, told, np.zeros(num, bool)
    return BracketState(*map(jnp.asarray, columns), jnp.int32(num))


SPLIT = jax.jit(split_data, static_argnums=1, static_argnames=("min_points", "top_percent"))


def split_by_hand(scores: dict[int, float], min_points: int) -> tuple[set[int], set[int]]:
    """HpBandSter's numbers of good and bad ones."""
    order, num = sorted(scores, key=lambda slot: -scores[slot]), len(scores)
    num_good = max(min_points, 15 * num // 100)
    num_bad = max(min_points, 85 * num // 100)
    return set(order[:num_good]), set(order[num_good : num_good + num_bad])


@pytest.mark.parametrize(
    ("nums", "level"),
    [
        ((13, 3, 2), None),
        ((14, 3, 2), 0),
        ((14, 13, 13), 0),
        ((20, 14, 13), 1),
        ((99, 50, 14), 2),
        ((0, 0, 60), 2),
    ],
)
def test_the_largest_number_of_epochs_with_enough_points_is_modelled(
    nums: tuple, level: int | None
) -> None:
    levels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], nums))
    scores = np.random.default_rng(1).permutation(len(levels)).astype(float)
    # Slots that nothing was told about make all states alike, for one program.
    unused = 170 - len(levels)
    state = state_of(
        [*levels.tolist(), *[0] * unused],
        [*scores.tolist(), *[0.0] * unused],
        [True] * len(levels) + [False] * unused,
    )
    split = SPLIT(state, 3, min_points=7, top_percent=15)
    assert bool(split.exists) == (level is not None)
    if level is not None:
        assert int(split.level) == level
        known = {slot: scores[slot] for slot in np.flatnonzero(levels == level).tolist()}
        good, bad = split_by_hand(known, 7)
        assert set(np.flatnonzero(split.good).tolist()) == good
        assert set(np.flatnonzero(split.bad).tolist()) == bad
        assert int(split.num_good) == len(good)
        assert set(np.asarray(split.order)[: len(good)].tolist()) == good


def test_failures_are_bad_and_what_is_out_is_no_data() -> None:
    scores = [math.nan, 1, 2, math.nan, 5, 6, 7]
    split = SPLIT(state_of([0] * 7, scores, [True] * 6 + [False]), 1, min_points=3, top_percent=15)
    assert np.flatnonzero(split.good).tolist() == [2, 4, 5]
    assert np.flatnonzero(split.bad).tolist() == [0, 1, 3]


def toy_space() -> Space:
    """A dozen vectors, of which those with equal ends are invalid."""
    choices = jnp.array([2, 3, 2], jnp.int32)

    def sample(key: jax.Array) -> jax.Array:
        middle = jax.random.randint(key, (), 0, 3, jnp.int32)
        return jnp.stack([jnp.int32(0), middle, jnp.int32(1)])

    return SPACE._replace(
        cardinalities=tuple(choices.tolist()),
        sample=sample,
        is_valid=lambda arch: arch[0] != arch[2],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "is_allowed", [pytest.param(None, marks=pytest.mark.slow), lambda arch: arch[1] != 1]
)
def test_the_proposal_is_the_valid_draw_with_the_largest_ratio(is_allowed, key: jax.Array) -> None:
    """With so many draws, that of all valid vectors."""
    options = {"num_samples": 500, "min_points": 4, "bandwidth_factor": 10.0, "min_bandwidth": 0.1}
    space = toy_space()
    tight = space if is_allowed is None else jnas.search.constrained(space, is_allowed)
    searcher = compiled(jnas.search.bohb(tight, max_epochs=13, capacity=30, **options))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        archs = rng.integers(0, space.cardinalities, (30, 3)).astype(np.int32)
        scores = rng.permutation(30).astype(np.float32)
        state = searcher.init(key)._replace(
            archs=jnp.asarray(archs),
            scores=jnp.asarray(scores),
            is_told=jnp.ones(30, bool),
            num_asked=jnp.int32(30),
        )
        query, _ = searcher.ask(key, state)
        order = np.argsort(-scores)
        # 4 of 30 are good, and 25 bad.
        ratios = {}
        for arch in itertools.product(range(2), range(3), range(2)):
            if arch[0] != arch[2] and (is_allowed is None or is_allowed(arch)):
                densities = []
                for rows in (archs[order[:4]], archs[order[4:29]]):
                    deviation = rows.std(axis=0) * 1.06 * len(rows) ** (-1 / 7)
                    widths = np.clip(deviation, 0.1, [1 / 2, 2 / 3, 1 / 2])
                    others = np.array([1, 2, 1])
                    densities.append(
                        np.where(rows == arch, 1 - widths, widths / others).prod(1).mean()
                    )
                ratios[arch] = densities[0] / densities[1]
        assert tuple(np.asarray(query.archs[0]).tolist()) == max(ratios, key=ratios.__getitem__)


@pytest.mark.slow
def test_finds_better_architectures_than_random_search(key: jax.Array) -> None:
    cells = jnas.spaces.nasbench201()

    def mean_best(searcher: Searcher) -> float:
        search = jax.jit(
            jax.vmap(
                lambda key: jnas.search.run(searcher, Partial(total), key, num_evaluations=120)
            )
        )
        history = search(jax.random.split(key, 8))
        return float(np.nanmax(history.scores, axis=1).mean())

    options = {"min_epochs": 1, "max_epochs": 3, "num_samples": 24, "capacity": 120}
    guided = mean_best(jnas.search.bohb(cells, **options))
    assert guided > mean_best(jnas.search.random_search(cells)) + 1


# --------------------------------------------------------------------------------------------------
# Learning curves of a table.


def curve_table(num_epochs: int = 12) -> tuple[jnas.benchmarks.Table, np.ndarray, np.ndarray]:
    archs = SPACE.enumerate()
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.random((len(archs), num_epochs)), axis=1).astype(np.float32)
    seconds = rng.uniform(100, 200, len(archs)).astype(np.float32)
    columns = {f"val{epoch + 1}": curves[:, epoch] for epoch in range(num_epochs)}
    return (
        jnas.benchmarks.make_table(SPACE, archs, {**columns, "seconds": seconds}),
        curves,
        seconds,
    )


CURVE = {epoch: f"val{epoch}" for epoch in range(1, 13)}


@pytest.mark.slow
@pytest.mark.parametrize(("overrun", "num"), [("discarded", 31), ("counted", 32)])
def test_scores_epochs_and_seconds_are_those_of_the_curves(
    overrun: str, num: int, key: jax.Array
) -> None:
    table, curves, seconds = curve_table()
    searcher = jnas.search.bohb(SPACE, min_epochs=1, max_epochs=12)
    objective = table.objective(CURVE, cost_epochs=12)
    history = run(searcher, objective, key, num_evaluations=60, overrun=overrun, max_seconds=1e9)
    history = jax.tree.map(np.asarray, history)
    rows = np.asarray(table.rows(history.archs))
    assert set(history.epochs.tolist()) == {1, 4, 12}
    np.testing.assert_array_equal(history.scores, curves[rows, history.epochs - 1])
    np.testing.assert_allclose(history.seconds, seconds[rows] * history.epochs / 12, rtol=1e-5)

    spent = np.cumsum(history.seconds)
    limit = float(spent[30]) + 0.5 * float(history.seconds[31])
    cut = run(searcher, objective, key, num_evaluations=60, overrun=overrun, max_seconds=limit)
    assert int(cut.num_evaluations) == num
    np.testing.assert_array_equal(cut.epochs[:num], history.epochs[:num])
    np.testing.assert_array_equal(cut.scores[:num], history.scores[:num])
    assert not cut.truncated


@pytest.mark.slow
def test_isomorphic_architectures_are_remembered_for_each_number_of_epochs(key: jax.Array) -> None:
    """A promotion is no repeat."""
    table, _, _ = curve_table()
    searcher = jnas.search.bohb(SPACE, min_epochs=1, max_epochs=12)
    objective = table.objective(CURVE, cost_epochs=12)
    history = run(searcher, objective, key, num_evaluations=40, identity=SPACE.identity)
    classes = np.asarray(jax.jit(jax.vmap(SPACE.identity))(history.archs))
    pairs = np.column_stack([classes, history.epochs])
    assert int(history.num_evaluations) == 40
    assert len(np.unique(pairs, axis=0)) == 40
    assert len(np.unique(classes, axis=0)) < 40


@pytest.mark.slow
def test_full_scores_at_a_partial_cost(key: jax.Array) -> None:
    """The baseline of NAS-Bench-201: scored after 12 of 12 epochs, charged for 1, 4 or 12."""
    table, curves, seconds = curve_table()
    searcher = jnas.search.bohb(SPACE, min_epochs=1, max_epochs=12)
    history = run(searcher, table.objective("val12", cost_epochs=12), key, num_evaluations=20)
    rows = np.asarray(table.rows(history.archs))
    np.testing.assert_array_equal(history.scores, curves[rows, 11])
    np.testing.assert_allclose(
        history.seconds, seconds[rows] * np.asarray(history.epochs) / 12, rtol=1e-5
    )
    assert np.asarray(history.epochs).tolist() == [1] * 9 + [4] * 3 + [12] + [4] * 3 + [12] * 4


@pytest.mark.slow
def test_the_released_learning_curves(data_folder, key: jax.Array) -> None:
    if not (data_folder / "spikenas_curves.npz").exists():
        pytest.skip("no spikenas_curves.npz")
    table = jnas.benchmarks.spikenas_bench()
    objective = table.objective({epoch: f"val{epoch}" for epoch in range(1, 101)}, cost_epochs=100)
    searcher = jnas.search.bohb(table.space, min_epochs=5, max_epochs=100)
    history = jnas.search.run(searcher, objective, key, num_evaluations=100, max_seconds=200_000)
    num = int(history.num_evaluations)
    rows, epochs = np.asarray(table.rows(history.archs[:num])), np.asarray(history.epochs[:num])
    with np.load(data_folder / "spikenas_curves.npz") as arrays:
        curves, seconds = arrays["val_accuracy"], arrays["seconds"] / arrays["epochs"]
    assert set(epochs.tolist()) == {11, 33, 100}
    np.testing.assert_array_equal(history.scores[:num], curves[rows, epochs - 1])
    np.testing.assert_allclose(history.seconds[:num], seconds[rows] * epochs, rtol=1e-4)
    assert 20 < num < 100
    assert 180_000 < float(jnp.sum(history.seconds)) <= 200_000


# --------------------------------------------------------------------------------------------------
# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_epochs": 201}, "min_epochs must be at most the max_epochs 200; got 201"),
        ({"min_epochs": 0}, "min_epochs must be at least 1; got 0"),
        ({"eta": 1}, "eta must be at least 2; got 1"),
        ({"num_samples": 0}, "num_samples must be at least 1; got 0"),
        ({"min_points": 0}, "min_points must be at least 1; got 0"),
        ({"max_draws": 0}, "max_draws must be at least 1; got 0"),
        ({"random_fraction": 1.5}, r"random_fraction must be in \[0, 1\]; got 1.5"),
        ({"top_percent": 0}, "top_percent must be 1 to 99; got 0"),
        ({"min_bandwidth": 0}, r"min_bandwidth must be in \(0, 1\); got 0"),
        ({"bandwidth_factor": 0.5}, "bandwidth_factor must be at least 1; got 0.5"),
        ({"capacity": 12}, "capacity must be at least 13, the evaluations of a bracket; got 12"),
    ],
)
def test_settings_that_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jnas.search.bohb(SPACE, **options)


def test_epochs_that_the_objective_lacks_are_refused_before_the_search(key: jax.Array) -> None:
    table, _, _ = curve_table()
    searcher = jnas.search.bohb(SPACE, min_epochs=2, max_epochs=25)
    message = r"asks for 25 epochs, which the objective lacks; it has 1, 2, .*, 12"
    with pytest.raises(ValueError, match=message):
        jnas.search.run(searcher, table.objective(CURVE, cost_epochs=12), key, num_evaluations=20)
    with pytest.raises(
        ValueError, match=message
    ):  # also where the objective is an argument of the program
        jax.jit(lambda objective: jnas.search.run(searcher, objective, key, num_evaluations=20))(
            table.objective(CURVE, cost_epochs=12)
        )
    with pytest.raises(
        ValueError, match="asks for 2, 8, 25 epochs, which the objective lacks; it has 12"
    ):
        jnas.search.run(searcher, table.objective("val12", epochs=12), key, num_evaluations=20)


def test_fewer_evaluations_than_the_first_bracket_are_refused(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="needs at least 13 evaluations; got 12"):
        run(BASELINE, SCRAMBLED, key, num_evaluations=12)


@pytest.mark.slow
def test_runs_on_the_host_too(key: jax.Array) -> None:
    """With one worker as `run`; with more, outcomes are out when a rung begins."""

    evaluate = jax.jit(scrambled)

    def train(arch: np.ndarray, epochs: int) -> tuple[float, float]:
        query = Query(np.zeros(1, np.int32), arch[None], np.array([epochs], np.int32))
        outcome = evaluate(False, key, query)
        return float(outcome.scores[0]), float(outcome.seconds[0])

    expected = run(WITHOUT_MODEL, SCRAMBLED, key, num_evaluations=50)
    alone = jnas.search.run_on_host(
        WITHOUT_MODEL, train, key, num_evaluations=50, progress=False
    ).history
    np.testing.assert_array_equal(alone.archs, expected.archs)
    np.testing.assert_array_equal(alone.epochs, expected.epochs)
    several = jnas.search.run_on_host(
        WITHOUT_MODEL, train, key, num_evaluations=50, num_workers=4, progress=False
    ).history
    assert sorted(np.asarray(several.epochs).tolist()) == sorted((CYCLE * 3)[:50])
