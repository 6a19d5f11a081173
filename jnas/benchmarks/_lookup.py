"""Look-up of architectures in a table, inside compiled programs."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jnas import _shown
from jnas.engine.inputs import as_archs
from jnas.types import Arch, Estimator, Key, Outcome, Query


@jax.jit
def find(code: Partial, is_valid: Partial, codes: jax.Array, archs: jax.Array) -> jax.Array:
    """`[B]` int32, positions of `archs` `[B, D]` in the ascending `codes` `[A, W]`, or -1."""
    archs = as_archs(archs)
    position = place(codes, jax.vmap(code)(archs))
    # Codes of vectors with choices out of range may be codes of other architectures: validity
    # counts too.
    return jnp.where(jax.vmap(is_valid)(archs), position, -1)


@jax.jit
def rows(
    code: Partial, is_valid: Partial, codes: jax.Array, order: jax.Array, archs: jax.Array
) -> jax.Array:
    """`[B]` int32, rows `order[find(…)]` of `archs` `[B, D]` in the table, or -1."""
    position = find(code, is_valid, codes, archs)
    return jnp.where(position < 0, -1, order[position])


@jax.jit
def place(codes: jax.Array, wanted: jax.Array) -> jax.Array:
    """`[B]` int32, positions of codes `[B, W]` in the ascending `codes` `[A, W]`, or -1."""
    # `jnp.searchsorted` takes one word a key, and JAX has no 64-bit words in its 32-bit mode.
    size = codes.shape[0]
    num_bits = size.bit_length()

    def step(bit: jax.Array, position: jax.Array) -> jax.Array:
        """`[B]` int32, numbers of codes known to be smaller, with one more bit settled."""
        probe = position + (1 << (num_bits - 1 - bit))
        smaller = _less(codes[jnp.minimum(probe, size) - 1], wanted)
        return jnp.where(smaller, probe, position)

    # `position` codes are known to be smaller; every step settles one bit of that number. Where it
    # runs past the end, the last code is smaller too, and the comparison below says that this is a
    # miss. It starts from `wanted`, for `shard_map` wants loops to begin and end sharded alike.
    start = (wanted[:, 0] * 0).astype(jnp.int32)
    position = jax.lax.fori_loop(0, num_bits, step, start)
    position = jnp.minimum(position, size - 1)
    return jnp.where(jnp.all(codes[position] == wanted, axis=1), position, -1)


def _less(a: jax.Array, b: jax.Array) -> jax.Array:
    """`[B]` bool, lexicographic comparison of `[B, W]` codes, high word first."""
    less = a[:, -1] < b[:, -1]
    for word in range(a.shape[1] - 2, -1, -1):
        less = (a[:, word] < b[:, word]) | ((a[:, word] == b[:, word]) & less)
    return less


# Of this module and not of `estimator`: a `Partial` of a local function would be another pytree at
# every call, and compile again.
def estimate(
    code: Partial,
    is_valid: Partial,
    codes: jax.Array,
    values: jax.Array,
    key: Key,
    archs: jax.Array,
) -> jax.Array:
    """`[B]` float32, the values of `archs` `[B, D]`; NaN for a miss."""
    del key
    position = find(code, is_valid, codes, archs)
    return jnp.where(position < 0, jnp.nan, values[position])


def value(estimator: Estimator, arch: Arch) -> jax.Array:
    """`[]` float32, what a table's estimator says of one architecture."""
    # The estimator of a table looks at no key.
    return estimator(jax.random.key(0), arch[None])[0]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class LookUp:
    """Objective of a table, a pytree: two of them share one compiled program.

    Attributes:
        code: `space.code`, a pytree without leaves.
        is_valid: `space.is_valid`, likewise.
        codes: `[A, W]` uint32, ascending.
        scores: `[A, E]` float32, of each number of epochs.
        costs: `[A]` float32, seconds.
        known: the `E` numbers of epochs, ascending; None for a single column that answers for every
            number.
        cost_epochs: the epochs that the costs are of; None charges them whole.
        is_nearest: whether another number of epochs is answered as the nearest known one.
    """

    code: Partial
    is_valid: Partial
    codes: jax.Array
    scores: jax.Array
    costs: jax.Array
    known: tuple[int, ...] | None = dataclasses.field(metadata={"static": True})
    cost_epochs: int | None = dataclasses.field(metadata={"static": True})
    is_nearest: bool = dataclasses.field(metadata={"static": True}, default=False)

    def __repr__(self) -> str:
        return _shown.lines(
            "Objective of a table", f"with {_shown.arrays((self.codes, self.scores))}"
        )

    @property
    def epochs(self) -> tuple[int, ...] | None:
        """Numbers of epochs that it answers for; None for every number."""
        return None if self.is_nearest else self.known

    def __call__(self, key: Key, query: Query, /) -> Outcome:
        """`Outcome` of a query; see `Table.objective`."""
        del key
        position = find(self.code, self.is_valid, self.codes, query.archs)
        full = self.known[-1] if self.known is not None else self.cost_epochs or 0
        asked = jnp.where(query.epochs == 0, full, query.epochs)
        column, answered = jnp.zeros_like(asked), position >= 0
        if self.known is not None:
            known = jnp.asarray(self.known, jnp.int32)
            # The first of equally near ones, as in `nearest_epochs`.
            column = jnp.argmin(jnp.abs(asked[:, None] - known[None]), axis=1)
            asked = known[column] if self.is_nearest else asked
            answered &= asked == known[column]
        scores = jnp.where(answered, self.scores[position, column], jnp.nan)
        share = 1 if self.cost_epochs is None else asked.astype(jnp.float32) / self.cost_epochs
        return Outcome(scores, jnp.where(answered, jnp.nan_to_num(self.costs[position]) * share, 0))


def nearest_epochs(asked: int, known: Sequence[int]) -> int:
    """Number of epochs, of those `known`, that is nearest; of two the smaller."""
    return min(known, key=lambda number: (abs(number - asked), number))


def curve(
    column: str | Mapping[int, str], epochs: int | None, cost_epochs: int | None
) -> Mapping[int, str]:
    """Columns by number of epochs; a single column stands for `epochs`, or as 0 for all of them.

    Raises:
        ValueError: a number is less than 1, or the options do not go with the kind of `column`.
    """
    for name, number in (("epochs", epochs), ("cost_epochs", cost_epochs)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}")
    if isinstance(column, str):
        return {epochs or 0: column}
    if not column or min(column) < 1:
        raise ValueError(
            "a learning curve needs a column for at least one number of epochs, from 1 on; "
            f"got {column}"
        )
    if epochs is not None:
        raise ValueError(
            f"epochs goes with a single column, for a learning curve says them itself; got {epochs}"
        )
    if cost_epochs is None:
        raise ValueError(
            "say with cost_epochs= of how many epochs the seconds are, for a part of them costs "
            "less"
        )
    return dict(column)
