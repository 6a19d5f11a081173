"""Types of jnas: architectures, spaces, networks, estimators, searchers. There is no logic here.

An architecture is a short integer vector. A search strategy proposes vectors, an estimator judges
them; everything else builds one or the other.

Axis legend, used in every docstring of the package:
    `B` batch of architectures, `D` choices in one architecture, `C` kinds of cell, `N` nodes, `E`
    edges, `O` operations, `P` population, `S` seeds, `T` evaluations of a search.

Of networks and their images, `N` counts the images of a mini-batch and `C` channels.

Functions named here take one architecture unless their shape says `[B, D]`; batch them with
`jax.vmap`. All of them are pure, and all but the three host functions of `Space` (`to_string`,
`from_string`, `enumerate`) work under `jit`, `vmap` and `scan`.
"""

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas import _renamed, _shown

if TYPE_CHECKING:
    # For a type alone: pandas is optional, and slow to import.
    import pandas as pd

# Typed, so that a key is not mistaken for two numbers, nor a row of keys for one.
Key: TypeAlias = jax.Array
"""A typed PRNG key (`jax.random.key`), scalar. A function that takes a key consumes it."""

# int32 even where JAX has 64 bits switched on: tables, histories and files have one type.
Arch: TypeAlias = jax.Array
"""`[D]` int32, one choice per position; position `d` is in `0 … Space.cardinalities[d] - 1`."""

Params: TypeAlias = Any
"""A pytree of weights, passed through without being looked into."""


class Graph(NamedTuple):
    """Graphs of the `C` kinds of cell, padded directed acyclic multigraphs of `N` nodes.

    Edges go from lower to higher nodes. It serves spaces with operations on nodes (every edge then
    has the operation "identity") and spaces with operations on edges (every interior node then has
    the operation "sum"). Where a node may read another one several times there are `K` parallel
    edges between two nodes, and otherwise `K` is 1. `encodings.graphs` makes jraph graphs of them.

    Attributes:
        node_ops: `[C, N]` int32, index into `Space.node_operations`; 0 where `mask` is False.
        edge_ops: `[C, K, N, N]` int32, `edge_ops[c, k, i, j]` is the operation on the `k`-th edge
            `i → j` of cell `c`, an index into `Space.edge_operations`; 0 where there is no edge.
        adjacency: `[C, K, N, N]` bool, True where information flows along that edge.
        mask: `[C, N]` bool, True for nodes that exist. The inputs are the first `Space.num_inputs`
            nodes, the output is node `N - 1`.
    """

    # Padded to one shape a space: `vmap` needs it, and a padded node costs less than a program for
    # each number of nodes.
    node_ops: jax.Array
    edge_ops: jax.Array
    adjacency: jax.Array
    mask: jax.Array


# Spaces, networks and searchers are tuples of pure functions and not classes with methods: `jit`,
# `vmap` and `scan` take functions, and a variant is `_replace` of one of them.
class Space(NamedTuple):
    """Search space: vectors, moves, identity, costs, graphs and strings.

    Attributes:
        name: name of the space, as `jnas.spaces.<name>` and the command line spell it.
        cardinalities: `D` ints, the number of choices at each position.
        node_operations: names of the operations `Graph.node_ops` counts in.
        edge_operations: names of the operations `Graph.edge_ops` counts in.
        sample: `key -> [D]`, a random valid architecture.
        mutate: `(key, [D]) -> [D]`, a valid neighbour of a valid parent.
        crossover: `(key, [D], [D]) -> [D]`, a valid child of two valid parents.
        is_valid: `[D] -> []` bool.
        identity: `[D] -> [W]` uint32, equal exactly for isomorphic cells.
        code: `[D] -> [W]` uint32, what a benchmark looks its rows up by, high word first; `W` is
            the space's own, and mostly 2.
        graph: `[D] -> Graph`.
        params: `[D] -> []` int32, trainable parameters of the whole reference network.
        flops: `[D] -> []` float, multiply-accumulate operations of the reference network's
            convolutions and dense layer for one image (the field prints these as "FLOPs"). Counted
            in exact integers, rounded once to the float width in use.
        to_string: `[D] -> str`, the published text form. Host only.
        from_string: `str -> [D]`; ValueError says what is wrong with the text. Host only.
        enumerate: `() -> [A, D]` NumPy int32, every architecture in ascending order of the vector;
            ValueError where the space is too large. Host only.
        cells: names of the `C` kinds of cell that `graph` shows, such as ("normal", "reduction").
        num_inputs: how many of the first nodes of each cell are inputs, which read no other.
        node_widths: `([D], c_in, c_out) -> [C, N]` int32, channels of the nodes of `graph` in a
            cell from `c_in` to `c_out` channels; None where all nodes of a cell are equally wide.
        text_form: regular expression that the whole of `to_string` matches, by which files that do
            not name their space are told apart; of several that match, the last of `spaces.NAMES`
            counts. Empty: never guessed.
        usual_column: the accuracy of a benchmark's table that is meant where nothing else is said.
        datasets: the data sets that `benchmarks.of_space` has a table of each, the usual one first;
            empty where there is one table, or none.
        sizes: positions of the vector that `graph` does not show, for they are about the whole
            network, such as its width and depth.
        coded_as: name of the space that `code` is the code of, so that its tables answer for this
            one, too (`benchmarks.Table.of`); empty where codes are the space's own.
        sample_code: `key -> [D]`, uniform over the codes of all architectures; None where `sample`
            is, or where nobody has written it.
    """

    name: str
    cardinalities: tuple[int, ...]
    node_operations: tuple[str, ...]
    edge_operations: tuple[str, ...]
    sample: Callable[[Key], Arch]
    mutate: Callable[[Key, Arch], Arch]
    crossover: Callable[[Key, Arch, Arch], Arch]
    is_valid: Callable[[Arch], jax.Array]
    identity: Callable[[Arch], jax.Array]
    code: Callable[[Arch], jax.Array]
    graph: Callable[[Arch], Graph]
    # Costs of the published network, and not of one that a user trains: limits and fronts can be
    # compared with papers.
    params: Callable[[Arch], jax.Array]
    flops: Callable[[Arch], jax.Array]
    to_string: Callable[[Arch | np.ndarray], str]
    from_string: Callable[[str], Arch]
    enumerate: Callable[[], np.ndarray]
    # The rest has defaults for a space with one kind of cell and no table.
    cells: tuple[str, ...] = ("cell",)
    num_inputs: int = 1
    node_widths: Callable[[Arch, int, int], jax.Array] | None = None
    text_form: str = ""
    usual_column: str = ""
    datasets: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    coded_as: str = ""
    sample_code: Callable[[Key], Arch] | None = None

    def __repr__(self) -> str:
        return _shown.space(self)


class Relu(NamedTuple):
    """Tensor that rectified linear units read, as a network shows it to a zero-shot score.

    Attributes:
        inputs: `[N, ..., C]` float, the tensor before rectification; 0 in absent channels.
        channels: `[C]` bool, the channels that exist in this architecture.
        num_modules: `[]` int32, how many ReLU modules of this architecture read the tensor.
        num_live: `[]` int32, how many of them have a path to the logits.
    """

    # Modules that read one tensor give the same code: NASWOT computes its kernel once and counts it
    # for each of them.
    inputs: jax.Array
    channels: jax.Array
    num_modules: jax.Array
    num_live: jax.Array


class Hooks(NamedTuple):
    """Hooks of a forward pass, for scores and trainings; None leaves the network as it is.

    The state is any pytree of arrays, which goes through loops: each hook returns one of the same
    structure, shapes and types. No gradient flows through it. It may hold PRNG keys, typed ones or
    raw words, alone or one for each row of a `jax.vmap`: a hook splits its key, uses one part and
    returns the other, so that no two edges or cells draw the same. Numbers that are computed, such
    as the rate of an epoch, go through the state, too, and not into a closure.

    Attributes:
        on_relu: `(state, Relu) -> state`, called at each tensor that ReLUs read, in the order in
            which they are computed.
        norm: `(x [N, H, W, C], weights, channels [C] bool) -> (y [N, H, W, C], value [])`, in place
            of every batch normalisation; the values of those that the architecture has are summed.
            Off every path through its cell, from input to output, a norm counts for nothing.
        on_block: `(state, x, weights) -> (state, x, weights)`, called with the input and the
            weights of each cell, each block between stages and the classifier, before they are
            computed by the network.
        dead_norms: whether the values of norms off those paths are summed as well.
        on_edge: `(state, value [N, H, W, C], can_drop [] bool) -> (state, value)`, called with each
            value that a node of a cell sums, before it is summed; an identity can not be dropped
            (drop path). It is called as often for an edge that is not there, with zeros.
        on_features: `(state, features [N, C]) -> features`, called with the mean over pixels that
            the classifier reads (dropout).
    """

    # None where nothing happens, and not an identity: the network then leaves out what the hook
    # would be called with.
    on_relu: Callable[[Any, Relu], Any] | None = None
    norm: Callable[[jax.Array, Params, jax.Array], tuple[jax.Array, jax.Array]] | None = None
    on_block: Callable[[Any, jax.Array, Params], tuple[Any, jax.Array, Params]] | None = None
    dead_norms: bool = False
    on_edge: Callable[[Any, jax.Array, jax.Array], tuple[Any, jax.Array]] | None = None
    on_features: Callable[[Any, jax.Array], jax.Array] | None = None


class Pass(NamedTuple):
    """Results of one forward pass.

    Attributes:
        logits: `[N, num_classes]`.
        features: `[N, H, W, C]`, what is averaged over pixels before the classifier.
        state: what the hooks made of the initial state.
        norm_sum: `[]` float, sum of the values of `Hooks.norm`; 0 without it.
        auxiliary: logits `[N, num_classes]` of a second classifier that is only trained along, and
            sees no hooks; None where the network has none.
    """

    logits: jax.Array
    features: jax.Array
    state: Any
    norm_sum: jax.Array
    auxiliary: jax.Array | None = None


class Network(NamedTuple):
    """Image network of a space; the architecture is an input, so one program serves all of it.

    Attributes:
        space: the space whose architectures it takes.
        init: `key -> params`, the weights of every operation of every architecture. Each layer with
            weights is a dict with `conv` `[..., k, k, C, C']` or `kernel` `[C, C']`, and `bias`
            where it has one.
        apply: `(params, [D], images [N, H, W, C]) -> logits [N, num_classes]`, batch normalisation
            with the statistics of the batch.
        forward: `(params, [D], images, hooks, state) -> Pass`: `apply`, with hooks.
        present: `[D] -> list`, for each array of weights of `networks.kernels(params)` a 0/1 float
            array that broadcasts to it: the weights that this architecture has.
        instantiate: `(params, [D]) -> params`, the weights that this architecture has out of those
            of all, as it would have been initialised; identity where nothing depends on the
            architecture. The other functions take either.
        own: `[D] -> Network`, host only: the network of that one architecture, with the same
            weights, whose program has its operations alone, at their true widths, no switch and no
            loop; gradients compute nothing twice. What it is given as an architecture is ignored.
            Equal architectures have the same object, so that programs are shared. Hooks see the
            channels that there are, and norms that no logit reads hand out no moments. ValueError
            for what is no architecture of the space.
        mix: `(params, weights [D, O], images, arch=None, *, proportion=1, bypass=None) -> logits`,
            the network whose positions compute all of their `O` operations, each times its weight,
            and sum them; operation "none" adds 0. Given `arch` `[D]`, the operations of `arch`
            alone are computed, and of the others the weights themselves are added to all pixels,
            as if their values were 1 (GDAS). With `proportion` K, one in K channels goes through
            the operations and the others around them, times `bypass` `[D]` float (1 where None),
            and channels are shuffled (PC-DARTS). None where the space has no such network.
        bucket: `[D] -> sizes`, host only: the least sizes of arrays that hold the architecture, of
            those that programs are made for; hashable. None where all have one size.
        within: `sizes -> Network`, the same network for architectures of these sizes and smaller
            ones, whose arrays have no more. Scores, trainings and logits are the same, to rounding;
            `init` draws the same weights, and `apply` and `forward` take those of the network
            itself as well. The engine makes a program for each bucket; a traced call, which does
            not know its architectures, has the sizes of all and is as much slower. Where no two
            sizes share a weight (`networks.nasnet`) it is for architectures of exactly these, and
            `init`, `apply`, `forward`, `present` and `instantiate` of the network itself raise
            ValueError. None where there are no buckets, and to be set to None in a variant by
            `_replace`.
    """

    space: Space
    init: Callable[[Key], Params]
    apply: Callable[[Params, Arch, jax.Array], jax.Array]
    forward: Callable[[Params, Arch, jax.Array, Hooks, Any], Pass]
    present: Callable[[Arch], list[jax.Array]]
    instantiate: Callable[[Params, Arch], Params]
    own: "Callable[[Arch | np.ndarray], Network]"
    # Last, and optional: a space of sizes has no operations that could be mixed.
    mix: Callable[..., jax.Array] | None = None
    bucket: Callable[[Arch | np.ndarray], Hashable] | None = None
    within: "Callable[[Any], Network] | None" = None

    def __repr__(self) -> str:
        return f"Network of {self.space.name}"


class Images(NamedTuple):
    """Images `[N, H, W, C]` uint8 (or float32, where the source has no bytes) and their labels.

    Attributes:
        x: NumPy or JAX array; perhaps mapped from a file, where memory would not hold it.
        y: `[N]` int32, index into the classes of the data set.
    """

    x: Any
    y: Any


# No NamedTuple, as the others are: leaves of a pytree are arrays, and a name or whether images may
# be flipped decides what a program is, not what goes into it.
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images and labels to train on, to choose by and to report on; a pytree of its arrays.

    Attributes:
        train: what weights are fitted to.
        validation: what architectures and epochs are chosen by; perhaps of no images.
        test: what is reported; perhaps of no images.
        mean: `[C]` float32, of the pixels of `train` divided by `scale`.
        std: `[C]` float32, their standard deviation; 1 for a constant channel.
        scale: the number that pixels are divided by, 255 for bytes: `(x / scale - mean) / std` is
            what a network reads.
        classes: name of each class.
        name: of the data set.
        is_flippable: whether a mirrored image is of the same class.
    """

    train: Images
    validation: Images
    test: Images
    # Arrays, where what follows are constants of a program: all splits of one data set share it.
    mean: Any
    std: Any
    scale: float = dataclasses.field(metadata={"static": True})
    classes: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    name: str = dataclasses.field(metadata={"static": True})
    is_flippable: bool = dataclasses.field(metadata={"static": True})

    def __repr__(self) -> str:
        return _shown.dataset(self)


# Arguments of protocols are positional, so that a function may name them as it likes.
class Estimator(Protocol):
    """`(key, archs [B, D]) -> scores [B]` float; higher is better, `-inf` means "cannot be ranked".

    A `jax.tree_util.Partial`, so its arrays (images, weights, tables) are arguments of a compiled
    program and never constants in it. `scores[i]` depends only on `key` and `archs[i]`, so that
    chunks, order and devices cannot change it.
    """

    def __call__(self, key: Key, archs: jax.Array, /) -> jax.Array:
        """Scores of a population."""


class Suite(Protocol):
    """`(key, archs [B, D]) -> {name: scores [B]}`: estimators that share their computation."""

    def __call__(self, key: Key, archs: jax.Array, /) -> dict[str, jax.Array]:
        """Scores of a population, by name."""


class Query(NamedTuple):
    """Batch of architectures that a searcher wants evaluated.

    Attributes:
        ids: `[B]` int32, number of the evaluation within the search.
        archs: `[B, D]` int32.
        epochs: `[B]` int32, training epochs asked for; 0 means "the objective's own".
    """

    ids: jax.Array
    archs: jax.Array
    epochs: jax.Array


class Outcome(NamedTuple):
    """Answer of an objective to a `Query`.

    Attributes:
        scores: `[B]` float, higher is better; NaN marks an evaluation that failed.
        seconds: `[B]` float, simulated or real cost of each evaluation in seconds.
    """

    scores: jax.Array
    seconds: jax.Array


class Objective(Protocol):
    """`(key, Query) -> Outcome`, what a search evaluates; made from an Estimator or a Table.

    One that answers for some numbers of epochs only has them as a tuple, its attribute `epochs`.
    """

    def __call__(self, key: Key, query: Query, /) -> Outcome:
        """`Outcome` of a query."""


class Predictor(NamedTuple):
    """Performance predictor, learned from (architecture, accuracy) pairs.

    Attributes:
        name: of the factory in `jnas.predictors` that makes it.
        space: whose architectures it takes.
        settings: keyword arguments of the factory; with `name` and `space` they make it again.
        fit: `(key, archs [B, D], targets [B]) -> state`; host only. ValueError for targets that are
            not finite or all equal, and for architectures that are invalid or repeated.
        predict: `(state, archs [B, D]) -> scores [B]`, pure.
        fit_many: `(keys [S], archs [S, B, D], targets [S, B], **options) -> predictors.Fitted`: `S`
            trainings as one program; see `predictors.fit_many`.
        predict_many: `(states, archs [B, D]) -> scores [S, B]`, pure; states of `fit_many`.
    """

    name: str
    space: Space
    settings: Mapping[str, Any]
    fit: Callable[..., Any]
    predict: Callable[[Any, jax.Array], jax.Array]
    fit_many: Callable[..., Any]
    predict_many: Callable[[Any, jax.Array], jax.Array]

    def __repr__(self) -> str:
        return _shown.predictor(self)


class Searcher(NamedTuple):
    """Search strategy. Two asks before a tell propose different things.

    Attributes:
        init: `key -> state`.
        ask: `(key, state) -> (Query, state)`; the query's batch size is fixed.
        tell: `(state, Query, Outcome) -> state`, in any order of the queries.
        min_evaluations: evaluations before it searches (an initial population); loops refuse less.
        is_traceable: whether all three work under `jit` and `scan`; otherwise only
            `search.run_on_host` runs it.
        epochs: the numbers of training epochs that its queries ask for; empty where these leave
            them to the objective.
    """

    # `ask` returns a state, too: workers of `search.run_on_host` ask before others have told.
    init: Callable[[Key], Any]
    ask: Callable[[Key, Any], tuple[Query, Any]]
    tell: Callable[[Any, Query, Outcome], Any]
    min_evaluations: int = 1
    is_traceable: bool = True
    epochs: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return _shown.searcher(self)


class Policy(NamedTuple):
    """Distribution over architectures, valid or not, that learns: a controller, a sampler.

    Attributes:
        init: `key -> params`.
        sample: `(key, params) -> [D]` int32.
        logits: `(params, [D]) -> [D, K]` float, of every position given the choices before it; `K`
            is the largest of the cardinalities.
    """

    init: Callable[[Key], Params]
    sample: Callable[[Key, Params], Arch]
    logits: Callable[[Params, Arch], jax.Array]


class History(NamedTuple):
    """Evaluations of a search, in order, in buffers of a fixed capacity `T`.

    Attributes:
        archs: `[T, D]` int32.
        scores: `[T]` float, NaN where an evaluation failed or the slot is unused.
        seconds: `[T]` float, cost of each evaluation; 0 where the slot is unused.
        epochs: `[T]` int32.
        best: `[T]` int32, index of the best evaluation among the first `t + 1`, by scores alone;
            that of the longest trainings is `search.incumbents`.
        num_evaluations: `[]` int32, slots in use.
        truncated: `[]` bool, True where the capacity ended the search before the budget in seconds.
        num_repeats: `[]` int32, proposals answered from memory, which have no slot; 0 unless that
            was asked for.
        stalled: `[]` bool, True where too many repeats ended the search before its budget.
    """

    archs: jax.Array
    scores: jax.Array
    seconds: jax.Array
    epochs: jax.Array
    best: jax.Array
    # A number beside the buffers, for a loop in a program cannot grow an array. Whoever reads one
    # looks at no more slots than this.
    num_evaluations: jax.Array
    truncated: jax.Array
    num_repeats: jax.Array
    stalled: jax.Array

    def __repr__(self) -> str:
        return _shown.history(self)

    @property
    def best_so_far(self) -> jax.Array:
        """Best score of the first `t + 1` evaluations, `[T]` float; NaN while all have failed."""
        return jnp.take_along_axis(jnp.asarray(self.scores), jnp.asarray(self.best), axis=-1)

    def to_pandas(self, space: Space | None = None) -> "pd.DataFrame":
        """Table of pandas with a row for each evaluation, of one search or of several.

        Its columns are "search" and "evaluation", which count from 0 and from 1, "architecture"
        (its text in `space`; without a space "arch0", "arch1", … for its choices), "score",
        "seconds", "epochs" and "best_so_far".

        Raises:
            ImportError: pandas is not installed.
        """
        return _shown.history_frame(self, space)

    @property
    def exhausted(self) -> jax.Array:
        """Old spelling of `truncated`."""
        _renamed.warn("History.exhausted", "History.truncated")
        return self.truncated


class Trainer(NamedTuple):
    """Training as pure functions, of which `engine.trainings.train` runs many.

    A job is what differs from one training to the next (a key, an architecture, a training set of
    its own); `shared` is what all of them see (images and labels), one copy a device.

    Attributes:
        num_epochs: of each training.
        init: `(job, shared) -> state` before the first epoch.
        epoch: `(job, number [] int32, state, shared) -> (state, loss [])`; epochs count from 1.
        result: `state -> result`, what is left of a training.
        evaluate: `(job, number, state, shared) -> {name: []}`, metrics after an epoch, or None.
        prepare: `(job, shared) -> job`, the job as the other functions but `init` see it, computed
            once for several epochs (encoded architectures, scaled targets); None leaves it.
    """

    num_epochs: int
    init: Callable[[Any, Any], Any]
    epoch: Callable[[Any, jax.Array, Any, Any], tuple[Any, jax.Array]]
    result: Callable[[Any], Any]
    evaluate: Callable[[Any, jax.Array, Any, Any], dict[str, jax.Array]] | None = None
    # Apart from `init`, which runs once a training: a job is prepared again where a training goes
    # on from a checkpoint, which keeps states alone.
    prepare: Callable[[Any, Any], Any] | None = None
