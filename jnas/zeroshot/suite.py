"""Scores of untrained networks by name, several from the same passes, as estimators."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from jnas import _renamed
from jnas.engine.estimators import Buckets, buckets, by_bucket, estimator, of_network
from jnas.engine.inputs import as_archs, check_at_least_one
from jnas.engine.messages import nearest
from jnas.networks.buckets import of_some
from jnas.types import Arch, Estimator, Key, Network, Suite
from jnas.zeroshot import counts, gradients, jacobian
from jnas.zeroshot.passes import Candidate, Seen, observe
from jnas.zeroshot.synflow import synflow, synflow_bn
from jnas.zeroshot.zen import zen, zen_published


class Score(NamedTuple):
    """Score of a network: its function and what that needs.

    Attributes:
        compute: `(Candidate, Seen) -> []`.
        wants: the fields of `Seen` that it looks at.
        needs_labels: whether the classes of the images matter.
        min_images: fewest images it is defined for.
    """

    compute: Callable[[Candidate, Seen], jax.Array]
    wants: tuple[str, ...] = ()
    needs_labels: bool = False
    min_images: int = 1


SCORES = {
    "grad_norm": Score(gradients.grad_norm, ("gradients",), needs_labels=True),
    "snip": Score(gradients.snip, ("gradients",), needs_labels=True),
    "grasp": Score(gradients.grasp, ("gradients", "hessian"), needs_labels=True),
    "fisher": Score(gradients.fisher, ("probes",), needs_labels=True),
    "plain": Score(gradients.plain, ("gradients",), needs_labels=True),
    "jacob_cov": Score(jacobian.jacob_cov, ("jacobian",)),
    "synflow": Score(synflow),
    "synflow_bn": Score(synflow_bn),
    "naswot": Score(counts.naswot, ("live",), min_images=2),
    "relu_logdet": Score(counts.relu_logdet, ("all",), min_images=2),
    "relu_count": Score(counts.relu_count, ("num_relus",)),
    "params": Score(counts.params),
    "flops": Score(counts.flops),
    "zen": Score(zen),
    "zen_published": Score(zen_published),
    "l2_norm": Score(gradients.l2_norm),
    "epe_nas": Score(jacobian.epe_nas, ("jacobian",), needs_labels=True),
    "zico": Score(gradients.zico, needs_labels=True, min_images=2),
    "ntk_condition": Score(jacobian.ntk_condition),
    "linear_regions": Score(counts.linear_regions, ("live",)),
    "swap": Score(counts.swap, ("patterns",)),
    "swap_published": Score(counts.swap_published, ("all_patterns",)),
}
NAMES = tuple(SCORES)
BATCHINGS = ("map", "vmap")
PROXIES = ("grad_norm", "snip", "grasp", "fisher", "plain", "jacob_cov", "synflow")
"""Names of the seven that were published as zero-cost proxies."""


@_renamed.arguments(plan="batching", values={"switch": "map", "grouped": "vmap"})
def suite(
    network: Network,
    images: ArrayLike,
    labels: ArrayLike | None = None,
    names: Sequence[str] = PROXIES,
    *,
    shared_init: bool = True,
    repeats: int = 1,
    batching: Literal["map", "vmap"] | None = None,
) -> Suite:
    """Suite of several scores of untrained networks; what they share is computed once.

    One forward and one backward pass serve grad_norm, snip, plain, fisher, grasp (a forward-mode
    derivative of that pass) and the scores of ReLU codes; another one jacob_cov and epe_nas.

    Args:
        network: the candidate networks.
        images: `[N, H, W, C]` floats of any precision, one batch; or `[repeats, N, H, W, C]`, a
            batch for each repeat. The proxies were published with 64 images (NAS-Bench-201), NASWOT
            with 128.
        labels: `[N]` or `[repeats, N]` integers, classes of the network from 0 on, for the scores
            that need them.
        names: of `NAMES`.
        shared_init: True draws one set of weights from the key for all architectures; False draws
            them anew for each architecture, folding its vector into the key.
        repeats: number of initialisations, and of batches if there are several, that each score is
            averaged over.
        batching: how a population is computed; both give the same scores up to rounding.
            "map": one architecture after the other, each a program of conditionals; scores are the
            same bits whatever else is in the population. "vmap": all at once; on each edge those
            with the same operation share its convolution (`networks.grouped`). Needs B times the
            memory of one network, so the chunk size of `population.score` sets it.
            None: "vmap" on an accelerator, "map" on CPUs.

    Returns:
        A `Partial`, `(key, archs [B, D]) -> {name: scores [B]}`, float32. Scores that are not
        finite are -inf: naswot, synflow, zen and those of Jacobians and the tangent kernel for a
        cell whose input and output are not connected. Gradients there are 0 or rounding noise, and
        so are the scores made of them (zico: noise). With `repeats` of two or more each score is
        the mean, and `name_std` the standard deviation over the repeats.

    Raises:
        ValueError: an unknown name or batching, a score without the labels or the number of images
            that it needs, labels that do not fit the images or are no classes of the network, a
            wrong rank, images that are not floats or not finite.
    """
    wanted = tuple(dict.fromkeys(names))  # a name given twice counts once; the order stays
    for name in wanted:
        if name not in SCORES:
            raise ValueError(f"unknown score {name!r}. {nearest(name, NAMES)}")
    if not wanted:
        raise ValueError(f"names must have at least one of {', '.join(NAMES)}")
    if batching is None:
        # CPUs branch cheaply; accelerators are faster with many rows to a convolution.
        batching = "map" if jax.default_backend() == "cpu" else "vmap"
    if batching not in BATCHINGS:
        raise ValueError(f"unknown batching {batching!r}. {nearest(batching, BATCHINGS)}")
    images = _checked_images(images, wanted, repeats)
    labels = _checked_labels(labels, network, images, wanted)
    program = _program(network, wanted, shared_init, repeats, batching)
    return estimator(f"Suite {', '.join(wanted)} of {network.space.name}", program, images, labels)


def _checked_images(images: ArrayLike, names: Sequence[str], repeats: int) -> jax.Array:
    """Images in the precision of weights; ValueError for what the scores cannot have."""
    check_at_least_one(repeats=repeats)
    images = jnp.asarray(images)
    # Bytes are no images as networks see them: to take them would be to forget to normalise.
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"images must be normalised floats, as jnas.images.load gives; got {images.dtype}"
        )
    images = images.astype(jnp.result_type(float))
    if images.ndim not in (4, 5) or (images.ndim == 5 and images.shape[0] != repeats):
        raise ValueError(
            f"images must be [N, H, W, C] or [repeats={repeats}, N, H, W, C]; "
            f"got shape {images.shape}"
        )
    for name in names:
        least = SCORES[name].min_images
        if images.shape[-4] < least:
            raise ValueError(
                f"{name} needs at least {least} images; got images of shape {images.shape}"
            )
    # Here, because a compiled program could only turn the scores into -inf.
    if not bool(jnp.all(jnp.isfinite(images))):
        raise ValueError("images contain NaN or infinite values")
    return images


def _checked_labels(
    labels: ArrayLike | None, network: Network, images: jax.Array, names: Sequence[str]
) -> jax.Array | None:
    """Labels as int32, or None if no score needs any; ValueError if they do not fit."""
    needing = [name for name in names if SCORES[name].needs_labels]
    if not needing:
        return None
    if labels is None:
        raise ValueError(f"{needing[0]} needs labels: integers [N], the classes of the images")
    # In NumPy, which does not narrow large numbers before they are looked at.
    values = np.asarray(labels)
    if values.shape != images.shape[:-3] or values.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers {images.shape[:-3]}; got {values.dtype} {values.shape}"
        )
    # A program would lose such images without a word: their loss is NaN, and its gradient 0.
    num = _num_classes(of_some(network), images.shape[-3:])
    low, high = values.min(), values.max()
    if low < 0 or high >= num:
        raise ValueError(
            f"labels must be from 0 to {num - 1}, as the network has num_classes={num}; "
            f"got {low} to {high}"
        )
    return jnp.asarray(values.astype(np.int32))


@functools.cache
def _num_classes(network: Network, shape: tuple[int, ...]) -> int:
    """Width of the logits for images of a shape `(H, W, C)`; nothing is computed."""

    def logits(key: Key) -> jax.Array:
        arch = jnp.zeros(len(network.space.cardinalities), jnp.int32)
        return network.apply(network.init(key), arch, jnp.zeros((1, *shape)))

    return int(jax.eval_shape(logits, jax.random.key(0)).shape[-1])


@functools.cache
def _program(
    network: Network, names: tuple[str, ...], shared_init: bool, repeats: int, batching: str
) -> Callable[[jax.Array, jax.Array | None, Key, jax.Array], dict[str, jax.Array]]:
    """Function of an estimator; one object for each setting, so that it is compiled once."""
    wants = frozenset(field for name in names for field in SCORES[name].wants)

    def of_population(
        images: jax.Array, labels: jax.Array, key: Key, archs: jax.Array
    ) -> dict[str, jax.Array]:
        shared = network.init(key) if shared_init else None

        def of_one(arch: Arch) -> dict[str, jax.Array]:
            # Folded in from the vector, so that a score does not depend on the place of its row.
            own_key = key if shared_init else fold_in_arch(key, arch)
            params = network.instantiate(shared if shared_init else network.init(own_key), arch)
            candidate = Candidate(network, params, arch, images, labels, own_key)
            seen = observe(candidate, wants)
            return {name: _ranked(SCORES[name].compute(candidate, seen)) for name in names}

        result: dict[str, jax.Array] = (
            jax.vmap(of_one)(archs) if batching == "vmap" else lax.map(of_one, archs)
        )
        return result

    def scores(
        images: jax.Array, labels: jax.Array | None, key: Key, archs: jax.Array
    ) -> dict[str, jax.Array]:
        archs = as_archs(archs, len(network.space.cardinalities))
        # A stand-in for scores that do not look at labels: a candidate always has some.
        labels = jnp.zeros(images.shape[:-3], jnp.int32) if labels is None else labels
        # One batch is a stack of one, so that the lines below have one case.
        batches, of_batches = (
            images.reshape(-1, *images.shape[-4:]),
            labels.reshape(-1, labels.shape[-1]),
        )
        # Not a split of one: the score is then that of the weights `network.init(key)`.
        if repeats == 1:
            return of_population(batches[0], of_batches[0], key, archs)

        def once(given: tuple[Key, jax.Array]) -> dict[str, jax.Array]:
            # One batch for all repeats, or one for each.
            number = given[1] % len(batches)
            return of_population(batches[number], of_batches[number], given[0], archs)

        # One after the other: repeats cost time, but no memory.
        found = lax.map(once, (jax.random.split(key, repeats), jnp.arange(repeats)))
        means = {name: jnp.mean(values, axis=0) for name, values in found.items()}
        return means | {f"{name}_std": _deviation(values) for name, values in found.items()}

    def make(network: Network) -> Callable[..., dict[str, jax.Array]]:
        return _program(network, names, shared_init, repeats, batching)

    return by_bucket(scores, of_network(network, make))


def _ranked(score: jax.Array) -> jax.Array:
    """Score as float32, -inf where it is not finite, so that it comes last in any ranking."""
    value = score.astype(jnp.float32)
    return jnp.where(jnp.isfinite(value), value, -jnp.inf)


def _deviation(values: jax.Array) -> jax.Array:
    """Deviations `[B]` of `[repeats, B]`; 0 where a score could not be ranked, in any repeat."""
    # Otherwise it would be NaN, as inf - inf is.
    finite = jnp.all(jnp.isfinite(values), axis=0)
    return jnp.std(jnp.where(finite[None], values, 0), axis=0)


def fold_in_arch(key: Key, arch: Arch) -> Key:
    """Key that depends on the architecture itself, not on its place in the population."""
    folded: Key = lax.fori_loop(
        0, arch.shape[0], lambda d, key: jax.random.fold_in(key, arch[d]), key
    )
    return folded


def needs_labels(name: str) -> bool:
    """Need of labels: True if the score `name` of `NAMES` looks at the classes of the images."""
    return SCORES[name].needs_labels


def by_name(
    name: str, network: Network, images: ArrayLike, labels: ArrayLike | None = None, **settings: Any
) -> Estimator:
    """Estimator `(key, archs [B, D]) -> scores [B]` of the score `name`; arguments as for `suite`.

    Raises:
        ValueError: as for `suite`.
    """
    together = suite(network, images, labels, (name,), **settings)
    assert isinstance(together, Partial)
    # Images and labels stay arguments of the program and do not become constants in it.
    shown = f"Estimator {name} of {network.space.name}"
    return estimator(shown, _pick(together.func, name), *together.args)


@functools.cache
def _pick(program: Callable[..., dict[str, jax.Array]], name: str) -> Callable[..., jax.Array]:
    """Function of one score of a program; cached, as `_program` is, so that it is compiled once."""

    def scores(*args: jax.Array) -> jax.Array:
        return program(*args)[name]

    found = buckets(program)
    if found is None:
        return scores
    function = found.function
    return by_bucket(scores, Buckets(found.of, lambda sizes: _pick(function(sizes), name)))
