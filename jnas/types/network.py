"""Types of networks: what they compute, what looks into them, and the images they are shown."""

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np

from jnas import _shown
from jnas.types.architecture import Arch, Key, Params, Space


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
