"""NAS-Bench-1Shot1 against enumerations by hand, NAS-Bench-101, and the published list of cells."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import spaces
from tests.oracles.graphs import simple

NB101 = spaces.nasbench101()
DEGREES = {1: (0, 1, 2, 2, 2, 2), 2: (0, 1, 1, 2, 2, 3), 3: (0, 1, 1, 1, 2, 2, 2)}
SIZES = {1: (14_580, 2_685), 2: (29_160, 7_773), 3: (1_312_200, 55_854)}
OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
# Of the published list of 5,000 cells: parents and operations, and the benchmark's parameters.
PUBLISHED = (
    ((1, 2, 5, 8, 13, 0, 0, 2, 1, 1), 5_617_418),
    ((1, 2, 5, 6, 8, 2, 1, 2, 2, 2), 706_442),
    ((1, 2, 2, 8, 11, 2, 1, 2, 1, 0), 3_729_162),
    ((1, 2, 4, 6, 13, 2, 0, 0, 0, 0), 9_746_186),
    ((1, 2, 5, 3, 4, 1, 1, 0, 2, 2), 14_000_266),
)


def texts_by_hand(subspace: int) -> list[str]:
    """All cells in the order of their vectors, as texts: parents first, operations last."""
    degrees = DEGREES[subspace]
    parents = [itertools.combinations(range(v), d) for v, d in enumerate(degrees) if v]
    names = itertools.product(OPERATIONS, repeat=len(degrees) - 2)
    words = [(*names, "output") for names in names]
    return [
        "|".join(f"{word}:{','.join(map(str, row))}" for word, row in zip(line, rows, strict=True))
        for rows in itertools.product(*parents)
        for line in words
    ]


def facts(space, archs: np.ndarray):
    """What a space says of the cells of vectors `[A, D]`."""
    functions = (space.code, space.identity, space.params, space.flops, space.graph)
    return jax.jit(lambda archs: [jax.vmap(function)(archs) for function in functions])(archs)


def assert_equal(one, other) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("subspace", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_numbers_of_vectors_and_of_cells(subspace: int) -> None:
    space = spaces.nb1shot1(subspace=subspace)
    assert (math.prod(space.cardinalities), len(space.enumerate())) == SIZES[subspace]


@pytest.mark.parametrize(("subspace", "num"), [(1, 38), (2, 138), (3, 445)])
def test_wirings_that_use_every_block(subspace: int, num: int) -> None:
    """As many as by hand have a target for every block; the graph of such a cell has no padding."""
    space = spaces.nb1shot1(subspace=subspace)
    blocks = num_blocks(space)
    wirings = np.array(list(itertools.product(*map(range, space.cardinalities[:-blocks]))))
    parents = [itertools.combinations(range(v), d) for v, d in enumerate(DEGREES[subspace]) if v]
    uses_all = [set().union(*rows) == {*range(blocks + 1)} for rows in itertools.product(*parents)]
    assert sum(uses_all) == num
    archs = np.concatenate([wirings, np.zeros((len(wirings), blocks), int)], axis=1)
    masks = jax.jit(jax.vmap(space.graph))(archs.astype(np.int32)).mask
    np.testing.assert_array_equal(np.asarray(masks)[:, 0].sum(1) == blocks + 2, uses_all)


def num_blocks(space) -> int:
    return len(space.to_string(np.zeros(len(space.cardinalities), int)).split("|")) - 1


@pytest.mark.slow
@pytest.mark.parametrize("subspace", [1, 2])
def test_every_vector_is_its_cell(subspace: int) -> None:
    """Of NAS-Bench-101, whose text it has."""
    space = spaces.nb1shot1(subspace=subspace)
    vectors = np.array(list(itertools.product(*map(range, space.cardinalities))), np.int32)[::37]
    texts = texts_by_hand(subspace)[::37]
    assert [space.to_string(vector) for vector in vectors] == texts
    np.testing.assert_array_equal([space.from_string(text) for text in texts], vectors)
    others = np.array([NB101.from_string(text) for text in texts])
    convert = jax.jit(jax.vmap(lambda arch: spaces.nb1shot1_to_nasbench101(arch, subspace)))
    np.testing.assert_array_equal(convert(vectors), others)
    assert_equal(facts(space, vectors), facts(NB101, others))


def test_vectors_of_sub_space_3() -> None:
    space = spaces.nb1shot1()
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, space.cardinalities, (50, 10)).astype(np.int32)
    numbers = np.ravel_multi_index(tuple(vectors.T), space.cardinalities)
    for vector, number in zip(vectors, numbers, strict=True):
        ops, rows = [*vector[5:]], number // 3**5
        parents = []
        for vertex, degree in reversed(list(enumerate(DEGREES[3]))[1:]):
            sets = list(itertools.combinations(range(vertex), degree))
            parents.append(sets[rows % len(sets)])
            rows //= len(sets)
        names = [OPERATIONS[op] for op in ops] + ["output"]
        words = (
            f"{name}:{','.join(map(str, row))}"
            for name, row in zip(names, reversed(parents), strict=True)
        )
        assert space.to_string(vector) == "|".join(words)


@pytest.mark.slow
def test_what_is_off_every_path_does_not_count() -> None:
    """Two vectors that differ in a useless block alone have one code and one graph."""
    space = spaces.nb1shot1()
    used = "conv3x3:0|conv1x1:1|{}:0|conv3x3:1,2|conv3x3:0,2|output:4,5"
    one, other = (space.from_string(used.format(name)) for name in ("maxpool3x3", "conv3x3"))
    assert not np.array_equal(one, other)
    codes, graphs = jax.jit(lambda pair: [jax.vmap(f)(pair) for f in (space.code, space.graph)])(
        jnp.stack([one, other])
    )
    jax.tree.map(lambda pair: np.testing.assert_array_equal(*pair), (codes, graphs))
    assert np.asarray(graphs.mask)[0].sum() == 6


@pytest.mark.parametrize(("subspace", "num"), [(1, 1_944), (2, 2_916), (3, 14_580)])
def test_chained_cells(subspace: int, num: int) -> None:
    space, archs = spaces.nb1shot1(subspace=subspace), spaces.nb1shot1_chained(subspace)
    blocks = num_blocks(space)
    assert archs.shape == (num, len(space.cardinalities))
    assert (np.diff(np.ravel_multi_index(tuple(archs.T), space.cardinalities)) > 0).all()
    graph = simple(jax.tree.map(np.asarray, jax.jit(jax.vmap(space.graph))(archs)))
    assert (graph.mask.sum(1) == blocks + 2).all()  # nothing to prune
    assert (graph.adjacency.sum((1, 2)) == 9).all()
    path = [*range(blocks + 1), 6]
    assert graph.adjacency[:, path[:-1], path[1:]].all()
    # All there are: by hand, each vertex has the one before it among its parents.
    choices = [math.comb(v - 1, d - 1) for v, d in enumerate(DEGREES[subspace]) if v]
    assert num == math.prod(choices) * 3**blocks


@pytest.mark.slow
def test_published_cells(data_folder) -> None:
    """All 5,000: chained, found at their rows of NAS-Bench-101's table, with its parameters."""
    space, file = spaces.nb1shot1(), np.load(data_folder / "nb1shot1_s3.npz")
    archs = np.concatenate([file["parent_choice"], file["block_ops"].astype(int) - 1], axis=1)
    archs = archs.astype(np.int32)
    listed = {row.tobytes() for row in spaces.nb1shot1_chained()}
    assert all(row.tobytes() in listed for row in archs)
    np.testing.assert_array_equal(jax.jit(jax.vmap(space.params))(archs), file["params"])
    with np.load(data_folder / "nasbench101.npz") as cells:
        known = {name: cells[name][file["row"]] for name in ("num_vertices", "edge_bits", "ops")}
    codes = [jax.jit(jax.vmap(s.code))(a) for s, a in ((space, archs), (NB101, vectors(known)))]
    np.testing.assert_array_equal(*codes)


def vectors(cells) -> np.ndarray:
    """Vectors of NAS-Bench-101 of cells of seven vertices as its file has them."""
    assert (cells["num_vertices"] == 7).all()
    bits = cells["edge_bits"][:, None] >> np.arange(21) & 1
    return np.concatenate([bits, cells["ops"][:, 1:6] - 1], axis=1).astype(np.int32)


def test_published_cells_as_vectors() -> None:
    space = spaces.nb1shot1()
    for arch, params in PUBLISHED:
        assert int(space.params(jnp.asarray(arch, jnp.int32))) == params


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv3x3:0|conv1x1:0,1|output:1,2", "it has 5 vertices and the output, not 2"),
        (
            "conv3x3:0|conv1x1:0|conv1x1:0,1|conv1x1:0|conv1x1:0,1|output:3,5",
            "vertex 3 has 2 sources and needs 1",
        ),
        (
            "conv3x3:0|conv1x1:0|conv1x1:0|conv1x1:0,1|conv1x1:0,1|output:3,4,5",
            "the output has 3 sources and needs 2",
        ),
        ("conv3x3:0|conv5x5:0|conv1x1:0|conv1x1:0,1|conv1x1:0,1|output:4,5", "'conv5x5'"),
    ],
)
def test_cells_of_other_spaces_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spaces.nb1shot1().from_string(text)


@pytest.mark.parametrize("subspace", [0, 4, "3", None])
def test_other_sub_spaces_are_refused(subspace) -> None:
    with pytest.raises(ValueError, match=f"subspace must be 1, 2 or 3; got {subspace!r}"):
        spaces.nb1shot1(subspace=subspace)


def test_a_default_that_is_spelled_out_gives_the_same_object() -> None:
    assert spaces.nb1shot1(subspace=3) is spaces.nb1shot1()
