"""Estimators as values: a function, its arrays, and a name to show.

Those of jnas are made here. A user's own is a `jax.tree_util.Partial`, or any callable pytree.
"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np

from jnas import _shown
from jnas.types import Network


# Called what it is one of: fingerprints of jobs have the names of types, and are as they were.
class Partial(jax.tree_util.Partial):
    """Partial function that shows a name and the shapes of its arrays, not their content.

    Attributes:
        shown: the name.
    """

    shown: str

    def __repr__(self) -> str:
        arrays = _shown.arrays((self.args, self.keywords))
        return _shown.lines(self.shown, f"with {arrays}" if arrays else "")


# A name is part of the structure of the pytree, and by equal structures JAX finds programs again.
class _Name(str):
    """Name that is equal to any other: estimators of other names share compiled programs."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Name)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return 0


def estimator(shown: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Partial:
    """Estimator, a pytree whose leaves are its arrays: arguments of programs, never constants.

    Args:
        shown: what its `repr` says, such as "Estimator naswot of nasbench201".
        function: `(*args, key, archs [B, D]) -> scores [B]`; the same object for equal estimators,
            so that they share compiled programs.
        args: pytrees of arrays.
        keywords: likewise.
    """
    made = Partial(function, *args, **keywords)  # type: ignore[no-untyped-call]
    made.shown = _Name(shown)
    return made


jax.tree_util.register_pytree_node(
    Partial,
    lambda made: ((made.args, made.keywords), (made.shown, made.func)),
    lambda known, parts: estimator(*known, *parts[0], **parts[1]),
)


class Buckets(NamedTuple):
    """Buckets of the architectures that a function scores, each with a program of its own.

    Attributes:
        of: `[D] -> sizes` (`Network.bucket`).
        function: `sizes -> function`, with the same scores for the architectures of a bucket.
    """

    of: Callable[[np.ndarray], Hashable]
    function: Callable[[Any], Callable[..., Any]]


def buckets(function: Callable[..., Any]) -> Buckets | None:
    """Buckets of an estimator or its function; None where one program serves all."""
    found: Buckets | None = getattr(getattr(function, "func", function), "buckets", None)
    return found


def by_bucket(
    function: Callable[..., Any],
    buckets: Buckets | None,
) -> Callable[..., Any]:
    """Function of an estimator that tells the engine its buckets, by an attribute `buckets`."""
    if buckets is None:
        return function

    # A function of its own: an attribute of a partial one is lost within that of the estimator.
    def by_sizes(*args: Any) -> Any:
        return function(*args)

    vars(by_sizes)["buckets"] = buckets
    return by_sizes


def of_network(network: Network, make: Callable[[Network], Callable[..., Any]]) -> Buckets | None:
    """Buckets of a network, whose functions are what `make` gives for `Network.within`."""
    bucket, within = network.bucket, network.within
    if bucket is None or within is None:
        return None
    return Buckets(bucket, lambda sizes: make(within(sizes)))


def in_bucket(made: Any, sizes: Hashable) -> Any:
    """Estimator for the architectures of a bucket, with the same arrays."""
    found = buckets(made)
    assert found is not None
    return jax.tree_util.Partial(found.function(sizes), *made.args, **made.keywords)
