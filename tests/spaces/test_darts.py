"""DARTS and NAS-Bench-301 against published counts and networks, and cells relabelled by hand."""

import functools
import itertools
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import benchmarks, search, spaces
from jnas.spaces import _darts_codes, _darts_moves, _darts_spaces
from jnas.spaces._darts_cells import Family, cardinalities
from jnas.spaces.darts import NASBENCH301, OPERATIONS
from tests.oracles import darts as oracle

SPACE = spaces.nasbench301()
NAMES = dict(
    zip(("none", "max", "avg", "skip", "sep3", "sep5", "dil3", "dil5"), OPERATIONS, strict=True)
)
CELLS = {
    "DARTS_V2": (
        "sep3 0, sep3 1 | sep3 0, sep3 1 | sep3 1, skip 0 | skip 0, dil3 2",
        "max 0, max 1 | skip 2, max 1 | max 0, skip 2 | skip 2, max 1",
    ),
    "DARTS_V1": (
        "sep3 1, sep3 0 | skip 0, sep3 1 | skip 0, sep3 1 | sep3 0, skip 2",
        "max 0, max 1 | skip 2, max 0 | max 0, skip 2 | skip 2, avg 0",
    ),
    "PDARTS": (
        "skip 0, dil3 1 | skip 0, sep3 1 | sep3 1, sep3 3 | sep3 0, dil5 4",
        "avg 0, sep5 1 | sep3 0, dil5 2 | max 0, dil3 1 | dil3 1, dil5 3",
    ),
    "PC-DARTS": (
        "sep3 1, skip 0 | sep3 0, dil3 1 | sep5 0, sep3 1 | avg 0, dil3 1",
        "sep5 1, max 0 | sep5 1, sep5 2 | sep3 0, sep3 3 | sep3 1, sep3 2",
    ),
    "NB301": (
        "skip 0, sep3 1 | sep3 0, skip 1 | dil3 0, dil5 2 | sep3 1, skip 2",
        "max 0, avg 1 | skip 0, dil5 1 | sep3 1, sep5 2 | sep3 2, dil3 3",
    ),
} | {f"all {op}": (" | ".join([f"{op} 0, {op} 1"] * 4),) * 2 for op in NAMES}
# Published, or counted by hand: channels, layers, parameters and multiply-accumulates.
COSTS = [
    ("DARTS_V2", 36, 20, 3_349_342, 528_359_040),
    ("DARTS_V2", 32, 8, 919_722, 159_765_504),
    ("DARTS_V2", 16, 8, 246_106, 43_444_736),
    ("DARTS_V1", 36, 20, 3_169_414, 500_987_520),
    ("PDARTS", 36, 20, 3_433_798, 532_174_464),
    ("PC-DARTS", 36, 20, 3_634_678, 556_670_592),
    ("NB301", 50, 20, 6_369_358 - 505_098, 903_432_000),  # of the record, less the auxiliary head
    ("all none", 32, 8, 392_426, 79_205_376),
    ("all max", 32, 8, 392_426, 79_205_376),
    ("all avg", 32, 8, 392_426, 79_205_376),
    ("all skip", 32, 8, 559_338, 95_982_592),
    ("all sep3", 32, 8, 1_520_874, 233_477_120),
    ("all sep5", 32, 8, 1_684_714, 269_128_704),
    ("all dil3", 32, 8, 956_650, 156_341_248),
    ("all dil5", 32, 8, 1_038_570, 174_167_040),
    ("all none", 16, 8, 100_730, 20_466_176),
    ("all skip", 16, 8, 143_226, 24_660_480),
    ("all sep3", 16, 8, 411_002, 64_047_616),
    ("all dil5", 16, 8, 296_826, 51_169_792),
]
CHOICES = {"channels": (16, 32, 36, 50), "layers": (8, 20)}


def text(name: str, more: str = "") -> str:
    return oracle.text_of(*(oracle.short(cell, NAMES) for cell in CELLS[name]), more=more)


@functools.cache
def samples(num: int = 200) -> np.ndarray:
    keys = jax.random.split(jax.random.key(5), num)
    return np.asarray(jax.jit(jax.vmap(SPACE.sample))(keys))


@functools.cache
def words(function) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(function))(samples()))


# --------------------------------------------------------------------------------------------------
# Costs


def test_costs_of_published_networks() -> None:
    """All at once, in a space whose architectures choose channels and layers."""
    free = spaces.darts(**CHOICES)
    archs = [
        free.from_string(text(name, f", width={channels}, depth={layers}"))
        for name, channels, layers, *_ in COSTS
    ]
    assert free.cardinalities[-2:] == (4, 2)
    found = jax.jit(jax.vmap(lambda arch: (free.params(arch), free.flops(arch))))(np.array(archs))
    expected = np.array([row[3:] for row in COSTS])
    np.testing.assert_array_equal(found[0], expected[:, 0])
    np.testing.assert_array_equal(found[1], expected[:, 1].astype(np.float32))
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(free.flops))(np.array(archs))
    np.testing.assert_array_equal(found, expected[:, 1].astype(np.float64))


@pytest.mark.parametrize(
    ("space", "row"),
    [(spaces.darts(), 0), (SPACE, 1), (spaces.nasbench301(channels=16), 2)],
)
def test_costs_of_one_size(space, row) -> None:
    arch = space.from_string(text("DARTS_V2"))
    assert len(arch) == 22
    found = jax.jit(lambda arch: (space.params(arch), space.flops(arch)))(arch)
    assert [int(value) for value in found] == [*COSTS[row][3:]]


def test_a_space_is_known_by_its_choices() -> None:
    for space in (SPACE, spaces.darts(repeats=True, **CHOICES)):
        assert pickle.loads(pickle.dumps(space)) is space
    assert spaces.darts(channels=36, layers=20) is spaces.darts()
    assert spaces.darts(channels=(36,)) is spaces.darts()
    assert spaces.darts(channels=np.int64(36), layers=np.array([20])) is spaces.darts()
    assert spaces.darts(channels=16).name == "darts"
    assert spaces.darts(**CHOICES).name == "darts_c16-32-36-50_l8-20"
    assert spaces.darts(repeats=True).name == "darts_repeats"
    assert spaces.darts(mutate="naslib") is not spaces.darts()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels and layers must be 1 or more; got .0,. and .8,."),
        ({"layers": ()}, "channels and layers must be 1 or more"),
        ({"layers": 8.0}, "layers must be an integer or several; got 8.0"),
        ({"channels": "16"}, "channels must be an integer or several; got '16'"),
        ({"channels": [16, 16]}, r"channels must be different ones; got .16, 16."),
        ({"channels": 2000}, "too large: they may have 6.[0-9]+e.09 parameters"),
        ({"mutate": "naslab"}, "unknown mutate 'naslab'. Did you mean 'naslib'"),
    ],
)
def test_options_that_make_no_space_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        spaces.nasbench301(**options)


# --------------------------------------------------------------------------------------------------
# Codes and identity


@pytest.mark.parametrize(
    ("num_nodes", "num_ops", "num", "num_classes"),
    [(4, 1, 180, 79), (4, 2, 46_080, 17_531), (3, 2, 1_152, 712)],
)
def test_numbers_of_cells(num_nodes, num_ops, num, num_classes) -> None:
    """Of one cell, all of them, beside a cell of zeros."""
    family = Family("few", OPERATIONS[:num_ops], num_nodes, False, False, (16,), (8,))
    sizes = cardinalities(family)
    cells = np.array(list(itertools.product(*map(range, sizes[: len(sizes) // 2]))), np.int32)
    assert len(cells) == num
    archs = np.concatenate([cells, np.zeros_like(cells)], axis=1)
    found = jax.jit(jax.vmap(functools.partial(_darts_codes.identity, family=family)))(archs)
    assert len(np.unique(found, axis=0)) == num_classes


def test_numbers_of_vectors() -> None:
    assert math.prod(SPACE.cardinalities) == (180 * 7**8) ** 2
    assert math.prod(spaces.darts().cardinalities) == (180 * 8**8) ** 2
    assert (words(SPACE.code) < 180 * 7**8).all()


def test_codes_can_be_read_back() -> None:
    """Each word is the mixed-radix number of the slots of the nodes of one cell."""
    for arch, code in zip(samples(), words(SPACE.code).tolist(), strict=True):
        for cell, word in zip(oracle.cells_of(SPACE.to_string(arch)), code, strict=True):
            read = []
            for num_inputs in (5, 4, 3, 2):
                word, number = divmod(word, math.comb(num_inputs, 2) * 49)
                read.insert(0, number)
            assert word == 0
            assert read == oracle.number(cell, OPERATIONS[1:], repeats=False)


def test_identity_is_the_smallest_code_of_all_relabellings() -> None:
    for arch, found in zip(samples(), words(SPACE.identity).tolist(), strict=True):
        for cell, word in zip(oracle.cells_of(SPACE.to_string(arch)), found, strict=True):
            numbers = [
                oracle.number(rows, OPERATIONS[1:], repeats=False)
                for rows in oracle.relabellings(cell)
            ]
            radices = [math.comb(num_inputs, 2) * 49 for num_inputs in (2, 3, 4, 5)]
            assert word == np.ravel_multi_index(np.array(min(numbers)), radices)


def test_relabelled_cells_are_the_same() -> None:
    """In identity and costs, whatever the order of nodes and of the slots of a node."""
    rng, rows = np.random.default_rng(0), []
    for arch in samples(60):
        cells = []
        for cell in oracle.cells_of(SPACE.to_string(arch)):
            others = oracle.relabellings(cell)
            nodes = others[rng.integers(len(others))]
            cells.append([node[:: rng.choice([1, -1])] for node in nodes])
        rows.append(np.asarray(SPACE.from_string(oracle.text_of(*cells))))
    assert (np.array(rows) != samples(60)).any(1).sum() > 20
    facts = jax.jit(jax.vmap(lambda a: (SPACE.identity(a), SPACE.params(a), SPACE.flops(a))))
    jax.tree.map(np.testing.assert_array_equal, facts(samples(60)), facts(np.array(rows)))


@pytest.mark.slow
def test_identity_and_isomorphism_are_one_relation() -> None:
    """Of all cells of three nodes and two operations, and of 5,000 of DARTS with repeats."""
    family = Family("few", OPERATIONS[:2], 3, False, False, (16,), (8,))
    for space in (_darts_spaces.space(family, "aw_nas"), spaces.darts(repeats=True)):
        num = len(space.cardinalities)
        if space.name == "few":
            archs = np.array(list(itertools.product(*map(range, space.cardinalities[: num // 2]))))
            archs = np.concatenate([archs, np.zeros_like(archs)], axis=1).astype(np.int32)
        else:
            # Of two operations, or no two of so few would be isomorphic.
            archs = np.random.default_rng(0).integers(0, 2, (5_000, num)).astype(np.int32)
        found = np.asarray(jax.jit(jax.vmap(space.identity))(archs))
        texts = [oracle.cells_of(space.to_string(arch)) for arch in archs]
        expected = [tuple(map(oracle.canonical, cells)) for cells in texts]
        pairs = set(zip(map(tuple, found.tolist()), expected, strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        assert len(pairs) < len(archs)


# --------------------------------------------------------------------------------------------------
# Moves


def neighbours_by_hand(arch: np.ndarray) -> dict[tuple[int, ...], tuple[str, int]]:
    """Neighbour → what changes, an operation or the input of a slot with so many others."""
    both, found = oracle.cells_of(SPACE.to_string(arch)), {}
    for which, node, slot in np.ndindex(2, 4, 2):
        (op, source), sibling = both[which][node][slot], both[which][node][1 - slot][1]
        others = set(range(node + 2)) - {source, sibling}
        changed = [((op, n), "source", len(others)) for n in others]
        changed += [((other, source), "op", 6) for other in OPERATIONS[1:] if other != op]
        for new, what, num in changed:
            copy = [[list(row) for row in cell] for cell in both]
            copy[which][node][slot] = new
            key = tuple(np.asarray(SPACE.from_string(oracle.text_of(*copy))).tolist())
            found[key] = what, num
    return found


@pytest.mark.parametrize("mutation", ["aw_nas", pytest.param("naslib", marks=pytest.mark.slow)])
def test_mutants_are_the_120_neighbours(mutation) -> None:
    """With the published probabilities."""
    arch, space = samples()[0], spaces.nasbench301(mutate=mutation)
    expected = neighbours_by_hand(arch)
    assert len(expected) == 120 == len(_darts_moves.neighbours(NASBENCH301, mutation).changes)
    keys = jax.random.split(jax.random.key(1), 40_000)
    children = np.asarray(jax.jit(jax.vmap(space.mutate, (0, None)))(keys, arch))
    rows, counts = np.unique(children, axis=0, return_counts=True)
    assert {tuple(row) for row in rows.tolist()} == set(expected)
    for row, count in zip(rows.tolist(), counts, strict=True):
        what, num = expected[tuple(row)]
        if mutation == "aw_nas":
            chance = 1 / (2 * 2 * 6 * num) if what == "source" else 1 / (2 * 2 * 8 * 6)
        else:
            # Of all values, the present one and the sibling's among them, until there is a change.
            kept = 16 * 6 / 7 + 4 * (1 / 3 + 2 / 4 + 3 / 5)
            chance = (1 / (num + 2) if what == "source" else 1 / 7) / kept
        assert abs(count - 40_000 * chance) < 5 * math.sqrt(40_000 * chance)


def test_choices_after_the_cells_move_as_often_as_a_cell(key) -> None:
    space = spaces.darts(**CHOICES)
    parent = jnp.asarray([0] * 22 + [2, 1], jnp.int32)
    keys = jax.random.split(key, 4_000)
    children = np.asarray(jax.jit(jax.vmap(space.mutate, (0, None)))(keys, parent))
    changed = children != np.asarray(parent)
    parts = changed[:, :11].any(1), changed[:, 11:22].any(1), changed[:, 22], changed[:, 23]
    np.testing.assert_allclose([part.mean() for part in parts], [1 / 4] * 4, atol=0.03)
    assert sum(part.sum() for part in parts) == 4_000
    assert set(children[:, 22]) == {0, 1, 2, 3}


# --------------------------------------------------------------------------------------------------
# Graphs and texts


def test_graphs_have_the_edges_of_the_text() -> None:
    for space in (SPACE, spaces.darts()):  # of which the first has no operation "none"
        arch = space.from_string(text("DARTS_V2"))
        graph = jax.tree.map(np.asarray, jax.jit(space.graph)(arch))
        assert graph.edge_ops.shape == (2, 1, 7, 7)
        expected = np.full((2, 7, 7), "none", object)
        expected[:, 2:6, 6] = "concat"
        for which, cell in enumerate(oracle.cells_of(text("DARTS_V2"))):
            for node, slots in enumerate(cell):
                for op, source in slots:
                    expected[which, source, node + 2] = op
        assert (np.array(space.edge_operations, object)[graph.edge_ops[:, 0]] == expected).all()


def test_parallel_edges_of_a_node_that_reads_twice() -> None:
    space = spaces.darts(repeats=True)
    normal = oracle.short("max 0, sep3 0 | none 1, sep5 1 | skip 2, skip 2 | max 1, avg 4", NAMES)
    swapped = [node[::-1] for node in normal]
    texts = [oracle.text_of(normal, cell) for cell in (normal, swapped)]
    graphs = [jax.jit(space.graph)(space.from_string(text)) for text in texts]
    jax.tree.map(np.testing.assert_array_equal, *graphs)
    ops = np.asarray(graphs[0].edge_ops)
    assert ops.shape == (2, 2, 7, 7)
    names = np.array(space.edge_operations, object)[ops[0]]
    assert names[:, 0, 2].tolist() == ["max_pool_3x3", "sep_conv_3x3"]
    assert names[:, 1, 3].tolist() == ["none", "sep_conv_5x5"]
    assert names[:, 2, 4].tolist() == ["skip_connect", "skip_connect"]
    assert names[:, 4, 5].tolist() == ["avg_pool_3x3", "none"]


def test_texts_of_other_codes_are_read() -> None:
    published = text("DARTS_V2")
    arch = np.asarray(SPACE.from_string(published))
    written = SPACE.to_string(arch)
    assert oracle.canonical(oracle.cells_of(written)[0]) == oracle.canonical(
        oracle.cells_of(published)[0]
    )
    others = [published.replace("[2, 3, 4, 5]", "range(2, 6)")]
    others += [published.replace("[2, 3, 4, 5]", "[5, 4, 3, 2]").replace(", ", ",\n  ")]
    others += [published.replace(", normal_concat=[2, 3, 4, 5]", "")]
    cells = oracle.cells_of(published)
    triples = [
        [(op, n, node + 2) for node, slots in enumerate(cell) for op, n in slots] for cell in cells
    ]
    others += [
        f"CNNGenotype(normal_0={triples[0]}, reduce_1={triples[1]}, "
        "normal_0_concat=[2, 3, 4, 5], reduce_1_concat=[2, 3, 4, 5])"
    ]
    for other in others:
        np.testing.assert_array_equal(SPACE.from_string(other), arch)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("('sep_conv_3x3', 1)", "('sep_conv_3x3', 0)", "node 2 of normal reads 0 twice"),
        ("'skip_connect', 0", "'skip_conect', 0", "Did you mean 'skip_connect'"),
        ("'skip_connect', 0", "'none', 0", "unknown operation 'none' of node 4 of normal"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)", "node 5 of normal does, which reads 0 to 4"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 2, 4)", "stands where node 5 of normal does"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3',)", "not a pair"),
        (", ('dil_conv_3x3', 2)", "", "normal needs 8 pairs .* got 7"),
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=[2, 4, 5]", "normal_concat is .2, 4, 5.; "),
        ("reduce=", "reduction=", "unknown field 'reduction' .*Did you mean 'reduce'"),
        ("reduce_concat=", "normal=", "not a nasbench301 architecture"),
        ("reduce_concat=", "width=16, reduce_concat=", "unknown width 16: this space has 32"),
        ("Genotype(", "Phenotype(", "the form is Genotype"),
        ("Genotype(", "(" * 300, "the form is Genotype"),
        ("Genotype(", "Genotype(normal_concat=range(1e999, 2), ", "the form is Genotype"),
    ],
)
def test_wrong_texts_are_told(old, new, message) -> None:
    with pytest.raises(ValueError, match=message) as error:
        SPACE.from_string(text("DARTS_V2").replace(old, new, 1))
    assert len(str(error.value)) < 600


def test_texts_are_guessed_to_be_of_nasbench301(tmp_path) -> None:
    rows = "".join(f'"{text(name)}",{i}\n' for i, name in enumerate(["DARTS_V1", "DARTS_V2"]))
    (tmp_path / "mine.csv").write_text("arch,x\n" + rows)
    table = benchmarks.load(tmp_path / "mine.csv")
    assert table.space is SPACE
    found = table.rows(jnp.stack([SPACE.from_string(text("DARTS_V2"))]))
    assert found.tolist() == [1]


# --------------------------------------------------------------------------------------------------
# What takes a space


@pytest.mark.parametrize("name", search.NAMES)
def test_every_strategy_takes_it(name) -> None:
    few = {"population_size": 4, "batch_size": 4, "num_samples": 8, "num_initial": 4}
    options = {key: few[key] for key in few.keys() & search.defaults(name).keys()}
    needed = {"nsga2": {"costs": [SPACE.params]}, "area": {"estimator": _few_params}}.get(name, {})
    assert search.by_name(name, SPACE, **options, **needed).min_evaluations >= 1


@jax.tree_util.Partial
def _few_params(key, archs):
    return -jax.vmap(SPACE.params)(archs).astype(float)


@pytest.mark.slow
def test_a_search_finds_the_smallest(key) -> None:
    """The fewest parameters are those of pools alone."""
    searcher = search.regularized_evolution(SPACE, population_size=20, sample_size=10)
    history = jax.jit(
        lambda key: search.run(searcher, search.objective(_few_params), key, num_evaluations=800)
    )(key)
    assert float(history.best_so_far[-1]) == -392_426
