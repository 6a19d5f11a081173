"""One contract for all search spaces and options: shapes, validity, purity, strings, refusals."""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import spaces
from jnas.spaces import _common
from jnas.types import Space

NUM = 2_000  # one batch size for all tests, so that every function is compiled once


def widths(arch: jax.Array) -> jax.Array:
    """Costs of a space whose user gives them."""
    _common.check_arch(arch, range(5, 10))
    return jnp.sum(arch + 1, dtype=jnp.int32)


def widths_in_float(arch: jax.Array) -> jax.Array:
    return widths(arch).astype(jnp.result_type(float))


FACTORIES: dict[str, Callable[[], Space]] = {
    f"nasbench101-{sample}-{mutate}-{'parent' if allow else 'other'}": functools.partial(
        spaces.nasbench101, sample=sample, mutate=mutate, allow_parent=allow
    )
    for sample, mutate, allow in itertools.product(
        ("official", "uniform"), ("official", "edge"), (False, True)
    )
}
FACTORIES |= {
    "nasbench101-rate0.3": functools.partial(spaces.nasbench101, mutation_rate=0.3),
    "nasbench101-rate5": functools.partial(spaces.nasbench101, mutation_rate=5.0),
    "nasbench201": spaces.nasbench201,
    "nasbench201-skips": functools.partial(spaces.nasbench201, identity="skips"),
    "nasbench201-function": functools.partial(spaces.nasbench201, identity="function"),
    "nats_size": spaces.nats_size,
    "nb1shot1": spaces.nb1shot1,
    "nb1shot1_s1": functools.partial(spaces.nb1shot1, subspace=1),
    "nb1shot1_s2": functools.partial(spaces.nb1shot1, subspace=2),
    "nasbench_macro": spaces.nasbench_macro,
    "nds_resnet": spaces.nds_resnet,
    "nds_resnext_a": spaces.nds_resnext_a,
    "nds_resnext_b": spaces.nds_resnext_b,
    "nds_vanilla": spaces.nds_vanilla,
    "nats_size-parent": functools.partial(spaces.nats_size, allow_parent=True),
    "product": lambda: spaces.product(
        {f"layer{i}": range(5 + i) for i in range(5)}, params=widths, flops=widths_in_float
    ),
    "spikenas_bench": spaces.spikenas_bench,
    "transnas_macro": spaces.transnas_macro,
    "transnas_micro": spaces.transnas_micro,
    "nasbench301": spaces.nasbench301,
    "nasbench301-naslib": functools.partial(spaces.nasbench301, mutate="naslib"),
    "darts": spaces.darts,
    "enas": spaces.enas,
    "nasnet": spaces.nasnet,
    "amoebanet": spaces.amoebanet,
    "pnas": spaces.pnas,
    "mnasnet": spaces.mnasnet,
}
RETURNS_PARENT = {
    "nasbench101-official-official-parent",
    "nasbench101-uniform-official-parent",
    "nats_size-parent",
}
DEAR = {  # what others have apart: how to sample, how to mutate, whether the parent may come back
    "nasbench101-official-edge-parent",
    "nasbench101-uniform-official-parent",
    "nasbench101-uniform-edge-other",
    "nasbench101-uniform-edge-parent",
    "nasbench101-rate0.3",
    "nasbench101-rate5",
    "nasbench101-official-official-parent",
    "nb1shot1",
    "nb1shot1_s1",
    "nb1shot1_s2",
    # uniform moves, as those of a product
    "nasbench_macro",
    "nds_resnet",
    "nds_resnext_a",
    "nds_resnext_b",
    "nds_vanilla",
    "transnas_micro",
    # tested in its own file as well
    "nasbench101-official-official-other",
    "transnas_macro",
    "nasbench301-naslib",
    "darts",
    "enas",
    "nasnet",
    "amoebanet",
    "pnas",
    "mnasnet",
}
WORDS = {"enas": 4, "nasnet": 5, "amoebanet": 5, "pnas": 5}  # of codes, where they are not two
UNLISTED = ("nasbench301", "darts", "enas", "nasnet", "amoebanet", "pnas", "mnasnet")  # too large
ON_ARCHS = ("is_valid", "identity", "code", "graph", "params", "flops")
PLAIN = (
    "nasbench101-official-official-other",
    "nasbench201",
    "nasbench_macro",
    "nats_size",
    "nds_resnet",
    "nds_resnext_a",
    "nb1shot1_s2",  # the one of fewer cells whose output has more than two parents
    "spikenas_bench",
    "product",
    "transnas_macro",
    "transnas_micro",
    "nasbench301",
    "nasnet",
)
"""One option set of each space, for what options do not change."""
PLAIN_BUT_DEAR = ("nasbench101", "nb1shot1", "nasbench301")


def marked(*names: str) -> list:
    """Names of spaces, the dear ones in the slow suite only."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in DEAR else name for name in names]


@pytest.fixture(params=marked(*FACTORIES))
def name(request) -> str:
    return request.param


@pytest.fixture
def space(name) -> Space:
    return FACTORIES[name]()


@pytest.fixture(params=marked(*PLAIN))
def plain(request) -> Space:
    return FACTORIES[request.param]()


# Those whose lists of architectures take less than a gigabyte.
LISTED = pytest.mark.parametrize(
    "plain", [name for name in PLAIN if name not in (*UNLISTED, "nds_resnext_a")], indirect=True
)
# Each space, NAS-Bench-101, its parts and pairs of cells in the slow suite only: they are the
# dearest to compile.
FEW = pytest.mark.parametrize(
    "plain",
    [
        pytest.param(
            name,
            marks=[pytest.mark.slow] * (name.startswith(PLAIN_BUT_DEAR) or name in DEAR),
        )
        for name in PLAIN
    ],
    indirect=True,
)


def batched(function):
    """One compiled batch version of a function, shared by the options that share the function."""
    if not isinstance(function, functools.partial):
        return compiled_batch(function)
    return compiled_batch(function.func, function.args, tuple(sorted(function.keywords.items())))


@functools.cache
def compiled_batch(function, args=(), options=()):
    return jax.jit(jax.vmap(functools.partial(function, *args, **dict(options))))


def keys(seed: int, num: int = NUM) -> jax.Array:
    return jax.random.split(jax.random.key(seed), num)


def samples(space: Space, seed: int = 0) -> jax.Array:
    return batched(space.sample)(keys(seed))


def assert_architectures(space: Space, archs: jax.Array) -> None:
    """`[NUM, D]` int32, in range, and valid."""
    assert archs.shape == (NUM, len(space.cardinalities))
    assert archs.dtype == jnp.int32
    values = np.asarray(archs)
    assert (values >= 0).all()
    assert (values < np.array(space.cardinalities)).all()
    assert np.asarray(batched(space.is_valid)(archs)).all()


# --------------------------------------------------------------------------------------------------
# The description


def test_names_and_cardinalities(name, space):
    assert space.name == name.partition("-")[0]
    assert space.name in (*spaces.NAMES, "nb1shot1_s1", "nb1shot1_s2", "product")
    sizes = {"nasbench101": 26, "nasbench201": 6, "nats_size": 5, "spikenas_bench": 6, "product": 5}
    sizes |= {"nasbench_macro": 8, "transnas_macro": 6, "transnas_micro": 6}
    sizes |= {"nds_resnet": 6, "nds_vanilla": 6, "nds_resnext_a": 12, "nds_resnext_b": 12}
    sizes |= {"nasbench301": 22, "darts": 22, "enas": 40, "mnasnet": 28}
    sizes |= dict.fromkeys(("nasnet", "amoebanet", "pnas"), 42)
    sizes |= {"nb1shot1": 10, "nb1shot1_s1": 7, "nb1shot1_s2": 8}
    assert len(space.cardinalities) == sizes[space.name]
    assert all(type(number) is int and number >= 2 for number in space.cardinalities)
    for operations in (space.node_operations, space.edge_operations):
        assert len(set(operations)) == len(operations) > 1
        assert all(isinstance(operation, str) for operation in operations)


def test_the_same_options_give_the_same_object(name):
    """So that a space can be a static argument, and its functions keys of JAX's caches."""
    assert FACTORIES[name]() is FACTORIES[name]()


def test_all_spaces_are_here():
    assert set(spaces.NAMES) <= {name.partition("-")[0] for name in FACTORIES}


@pytest.mark.parametrize("name", spaces.NAMES)
def test_by_name_gives_the_default_options(name):
    assert spaces.by_name(name) is getattr(spaces, name)()


def test_by_name_suggests_the_nearest_name():
    with pytest.raises(ValueError, match=r"'nasbench102'.*Did you mean 'nasbench101'\?.*nats_size"):
        spaces.by_name("nasbench102")
    with pytest.raises(
        ValueError, match=r"unknown space 'xyz'\. Valid names: nasbench101, nasbench201, nats"
    ):
        spaces.by_name("xyz")


# --------------------------------------------------------------------------------------------------
# Sampling and moves


def test_samples_are_valid_and_differ(space):
    archs = samples(space)
    assert_architectures(space, archs)
    assert len(np.unique(archs, axis=0)) > NUM // 2


def test_every_choice_of_every_position_is_sampled(name, space):
    archs = np.asarray(samples(space))
    for position, cardinality in enumerate(space.cardinalities):
        pruned = name.startswith(
            "nasbench101-uniform"
        )  # then vertex 1 is always fed by the input alone
        expected = {1} if pruned and position == 0 else set(range(cardinality))
        assert set(archs[:, position]) == expected, position


def test_mutants_are_valid_and_never_the_parent(name, space):
    parents = samples(space)
    for seed in (1, 2):
        children = batched(space.mutate)(keys(seed), parents)
        assert_architectures(space, children)
        same = np.asarray(children == parents).all(1)
        if name in RETURNS_PARENT:
            assert 0.001 * NUM < same.sum() < 0.25 * NUM
        else:
            assert not same.any()


def test_mutation_can_be_repeated(space):
    archs = samples(space)
    for seed in range(10, 15):
        archs = batched(space.mutate)(keys(seed), archs)
    assert_architectures(space, archs)


def test_children_of_a_crossover_take_each_position_from_a_parent(space):
    first, second = samples(space, 0), samples(space, 3)
    children = batched(space.crossover)(keys(4), first, second)
    assert_architectures(space, children)
    children, first, second = (np.asarray(x) for x in (children, first, second))
    assert ((children == first) | (children == second)).all()
    inherited = (children == first)[first != second].mean()  # by symmetry ½
    assert 0.47 < inherited < 0.53
    assert (children != first).any(1).mean() > 0.5


def test_a_crossover_with_itself_changes_nothing(space):
    archs = samples(space)
    np.testing.assert_array_equal(batched(space.crossover)(keys(5), archs, archs), archs)


def test_the_same_key_gives_the_same_result(space):
    archs, others = samples(space, 0), samples(space, 3)
    for function, arguments in (
        (space.sample, ()),
        (space.mutate, (archs,)),
        (space.crossover, (archs, others)),
    ):
        once, again, different = (batched(function)(keys(seed), *arguments) for seed in (6, 6, 7))
        np.testing.assert_array_equal(once, again)
        assert np.asarray(once != different).any(1).mean() > 0.3


def test_out_of_range_vectors_are_invalid(plain):
    for position, cardinality in enumerate(plain.cardinalities):
        for bad in (-1, cardinality, 1000):
            archs = samples(plain).at[:, position].set(bad)
            assert not np.asarray(batched(plain.is_valid)(archs)).any(), (position, bad)


# --------------------------------------------------------------------------------------------------
# Identity, graphs, costs


def test_identity_and_code_are_words(space):
    archs = samples(space)
    for function in (space.identity, space.code):
        words = batched(function)(archs)
        assert words.shape == (NUM, WORDS.get(space.name, 2))
        assert words.dtype == jnp.uint32
        assert len(np.unique(words, axis=0)) > NUM // 10


def test_code_separates_what_identity_separates(space):
    """Equal codes look up the same row, so they may not belong to different cells."""
    archs = samples(space)
    identity, code = (
        [tuple(row) for row in np.asarray(batched(f)(archs)).tolist()]
        for f in (space.identity, space.code)
    )
    assert len(set(zip(code, identity, strict=True))) == len(set(code))


def test_graphs_are_padded_acyclic_and_consistent(plain):
    graph = jax.tree.map(np.asarray, batched(plain.graph)(samples(plain)))
    num_nodes, inputs = graph.mask.shape[-1], plain.num_inputs
    assert graph.node_ops.shape == graph.mask.shape == (NUM, len(plain.cells), num_nodes)
    square = (NUM, len(plain.cells), graph.edge_ops.shape[2], num_nodes, num_nodes)
    assert graph.edge_ops.shape == graph.adjacency.shape == square
    assert (graph.node_ops.dtype, graph.edge_ops.dtype) == (np.int32, np.int32)
    assert (graph.adjacency.dtype, graph.mask.dtype) == (bool, bool)

    assert not np.tril(graph.adjacency).any()  # edges go up, so there is no cycle
    assert not graph.adjacency[..., :inputs].any()
    assert graph.mask[..., [*range(inputs), -1]].all()
    touched = graph.adjacency.any((2, 3)) | graph.adjacency.any((2, 4))
    assert not (touched & ~graph.mask).any()
    assert ((graph.edge_ops != 0) == graph.adjacency).all()
    assert (graph.node_ops[~graph.mask] == 0).all()

    assert (graph.node_ops[..., :inputs] == plain.node_operations.index("input")).all()
    assert (graph.node_ops[..., -1] == plain.node_operations.index("output")).all()
    interior = graph.node_ops[..., inputs:-1][graph.mask[..., inputs:-1]]
    assert interior.min() >= 1
    assert interior.max() < len(plain.node_operations) - 1
    assert graph.edge_ops.min() >= 0
    assert graph.edge_ops.max() == len(plain.edge_operations) - 1


def test_costs_are_scalars_and_positive(plain):
    archs = samples(plain)
    params, flops = batched(plain.params)(archs), batched(plain.flops)(archs)
    assert params.shape == flops.shape == (NUM,)
    assert (params.dtype, flops.dtype) == (jnp.int32, jnp.float32)
    assert int(params.min()) > 0
    assert float(flops.min()) > 0
    assert np.corrcoef(params, flops)[0, 1] > 0.4
    assert (np.asarray(flops, np.float64) == np.round(flops)).all()


@FEW
def test_only_flops_widen_in_64_bits(plain):
    archs = samples(plain)

    @jax.jit
    @jax.vmap
    def numbers(key, arch):
        same = plain.identity(arch), plain.code(arch), plain.params(arch)
        return plain.flops(arch), same, plain.mutate(key, arch)

    narrow = [
        np.asarray(batched(f)(archs))
        for f in (plain.flops, plain.identity, plain.code, plain.params)
    ]
    with jax.enable_x64(True):
        flops, same, child = jax.tree.map(np.asarray, numbers(keys(0), archs))
    assert flops.dtype == np.float64
    np.testing.assert_array_equal(flops.astype(np.float32), narrow[0])
    for wide, expected in zip(same, narrow[1:], strict=True):
        assert wide.dtype == expected.dtype
        np.testing.assert_array_equal(wide, expected)
    assert_architectures(plain, child)


# --------------------------------------------------------------------------------------------------
# Transformations


def everything(
    space: Space, key: jax.Array, arch: jax.Array, other: jax.Array
) -> dict[str, object]:
    """Results of all that can be traced."""
    moves = {
        "sample": space.sample(key),
        "mutate": space.mutate(key, arch),
        "crossover": space.crossover(key, arch, other),
    }
    return moves | {name: getattr(space, name)(arch) for name in ON_ARCHS}


def in_batches(space: Space) -> dict[str, object]:
    """`everything` of `NUM` rows, each function from its own batch program."""
    several, first, second = keys(8), samples(space, 0), samples(space, 3)
    found = {
        "sample": batched(space.sample)(several),
        "mutate": batched(space.mutate)(several, first),
        "crossover": batched(space.crossover)(several, first, second),
    }
    found |= {name: batched(getattr(space, name))(first) for name in ON_ARCHS}
    return jax.tree.map(np.asarray, found)


def row(tree, i: int):
    return jax.tree.map(lambda leaf: leaf[i], tree)


def assert_trees_equal(actual, expected) -> None:
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in (PLAIN[0], "nasbench301", *DEAR)))
        for name in PLAIN
    ],
)
def test_a_compiled_batch_equals_an_eager_loop(name):
    space, last = FACTORIES[name](), NUM - 1
    arguments = keys(8)[last], samples(space, 0)[last], samples(space, 3)[last]
    assert_trees_equal(row(in_batches(space), last), everything(space, *arguments))


def test_a_compiled_function_equals_its_batch_and_is_traced_once(plain):
    together, traces = in_batches(plain), []

    @jax.jit
    def compiled(*arguments):
        traces.append(1)
        return everything(plain, *arguments)

    several, first, second = keys(8), np.asarray(samples(plain, 0)), np.asarray(samples(plain, 3))
    for i in range(30):
        assert_trees_equal(compiled(several[i], first[i], second[i]), row(together, i))
    assert len(traces) == 1


def test_moves_run_inside_a_scan(plain):
    def walk(arch, key):
        child = plain.mutate(key, arch)
        return child, (child, plain.is_valid(child))

    last, (path, valid) = jax.jit(lambda arch: jax.lax.scan(walk, arch, keys(9, 50)))(
        samples(plain)[0]
    )
    assert valid.all()
    assert np.asarray(path[1:] != path[:-1]).any(1).all()
    np.testing.assert_array_equal(last, path[-1])


@pytest.mark.parametrize(
    "make", [lambda d: jnp.zeros((2, d), jnp.int32), lambda d: jnp.zeros(d + 1, jnp.int32)]
)
def test_a_batch_or_a_wrong_length_is_refused_at_the_door(plain, make):
    bad, key = make(len(plain.cardinalities)), jax.random.key(0)
    for function in (
        *(getattr(plain, name) for name in ON_ARCHS),
        functools.partial(plain.mutate, key),
    ):
        with pytest.raises(ValueError, match="integers; got int32 of shape"):
            function(bad)
    with pytest.raises(ValueError, match=r"parents must be|integers; got int32 of shape"):
        plain.crossover(key, bad, jnp.zeros(len(plain.cardinalities), jnp.int32))


def test_floats_are_refused_at_the_door(plain):
    bad = jnp.zeros(len(plain.cardinalities), jnp.float32)
    for name in ON_ARCHS:
        with pytest.raises(ValueError, match="integers; got float32"):
            getattr(plain, name)(bad)


# --------------------------------------------------------------------------------------------------
# Strings and the list of all architectures


@FEW
def test_narrow_integers_are_taken_as_files_store_them(plain):
    """Moves return the type that they were given; nothing else differs."""
    arguments = keys(0)[0], samples(plain)[0], samples(plain, 1)[0]
    compiled = jax.jit(functools.partial(everything, plain))
    expected = compiled(*arguments)
    for narrow in (jnp.uint8, jnp.int8):
        key, arch, other = (*arguments[:1], *(x.astype(narrow) for x in arguments[1:]))
        types = jax.tree.map(lambda x: x.dtype, jax.eval_shape(compiled, key, arch, other))
        assert types["mutate"] == types["crossover"] == narrow
        for name in ON_ARCHS:
            assert types[name] == jax.tree.map(lambda x: x.dtype, expected[name])
        if narrow == jnp.uint8:  # the programs of both are the same but for a conversion
            assert_trees_equal(compiled(key, arch, other), expected)


def test_strings_round_trip(plain):
    archs = np.asarray(samples(plain))[:200]
    texts = [plain.to_string(arch) for arch in archs]
    assert len(set(texts)) == len(np.unique(archs, axis=0))
    for arch, text in zip(archs, texts, strict=True):
        back = plain.from_string(f"  {text}\n")
        assert back.dtype == jnp.int32
        np.testing.assert_array_equal(back, arch)
    assert plain.to_string(jnp.asarray(archs[0])) == texts[0]  # JAX and NumPy vectors alike


@pytest.mark.parametrize(
    "text", ["", " ", "nonsense", "|", "+", ":", "1:2:3", "|none~0|", "output", "output:"]
)
def test_bad_strings_raise_value_errors_that_quote_the_text(plain, text):
    with pytest.raises(ValueError, match=r"not a |unknown |invalid ") as error:
        plain.from_string(text)
    assert repr(text) in str(error.value) or "invalid" in str(error.value)


def test_vectors_that_cannot_be_written_raise_value_errors(plain):
    good = np.asarray(samples(plain))[0]
    longer = np.concatenate([good, [0]])
    for bad in (good[:-1], longer, good - 10, good + 10, good[None], good.astype(float)):
        with pytest.raises(ValueError, match=r"not a .*needs .*(integers|numbers)"):
            plain.to_string(bad)


@LISTED
def test_enumeration_is_ascending_unique_and_valid(plain):
    archs = plain.enumerate()
    assert isinstance(archs, np.ndarray)
    assert archs.dtype == np.int32
    assert archs.shape[1] == len(plain.cardinalities)
    steps = np.diff(archs, axis=0)
    first_change = np.argmax(
        steps != 0, axis=1
    )  # 0 where nothing changes, and then the step is 0 too
    assert (steps[np.arange(len(steps)), first_change] > 0).all()
    assert np.asarray(batched(plain.is_valid)(archs)).all()


@pytest.mark.slow
@LISTED
def test_enumeration_covers_the_samples(plain):
    """Every sampled code is the code of exactly one enumerated vector."""
    listed, drawn = (
        np.asarray(batched(plain.code)(archs)).astype(np.uint64) @ np.array([1 << 32, 1], np.uint64)
        for archs in (plain.enumerate(), samples(plain))
    )
    assert len(np.unique(listed)) == len(listed)
    assert np.isin(drawn, listed).all()


@pytest.mark.parametrize("name", UNLISTED)
def test_spaces_that_are_too_large_are_not_listed(name):
    with pytest.raises(ValueError, match=r"e\+\d\d architectures are too many to list"):
        FACTORIES[name]().enumerate()
