"""Switch for populations: under `vmap` a branch is computed for the rows that take it alone.

`lax.switch` becomes, with a batched index, a select of the values of all branches. Here the rows
are put into blocks whose rows all take the same branch, and a loop over blocks has a real
conditional. Weights that all rows share stay shared, so that a block is one ordinary convolution of
the images of all of its rows. Nothing has to be packed on the host and no branch has a capacity:
shapes depend on the number of rows alone, every row is computed, and what is wasted is less than
one block a branch.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero

_MAX_ROWS = 16  # of a block; more images at once do not make a convolution faster


class _Blocks(NamedTuple):
    """Layout of `B` rows in `M` blocks of `G` slots.

    Attributes:
        branch: `[M]` int32, that of the rows of a block; of a block without rows the number of
            branches.
        rows: `[M, G]` int32, the row in each slot; 0 in those that are left over.
        slots: `[B]` int32, where each row lies among the `M·G` slots.
    """

    branch: jax.Array
    rows: jax.Array
    slots: jax.Array


def switch(index: jax.Array, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Value of `lax.switch(index, branches, *operands)`, with the rule above under `vmap`.

    So has its forward derivative. It has no gradient of its own (`control.switch` has). Branches
    must not close over arrays that are mapped or differentiated. Within two `vmap`s the outer one
    computes all branches.
    """

    @custom_vmap
    def run(index: jax.Array, operands: Any) -> Any:
        return lax.switch(index, branches, *operands)

    @run.def_vmap
    def rule(
        axis_size: int, is_batched: Sequence[Any], index: jax.Array, operands: Any
    ) -> tuple[Any, Any]:
        axes = jax.tree.map(lambda batched: 0 if batched else None, tuple(is_batched[1]))
        if is_batched[0]:
            result = _by_blocks(index, branches, axes, operands)
        else:
            # One choice for all rows: an ordinary conditional, and no blocks.
            mapped = [jax.vmap(branch, axes, axis_size=axis_size) for branch in branches]
            result = lax.switch(index, mapped, *operands)
        return result, jax.tree.map(lambda _: True, result)

    # Not the derivative of `custom_vmap`: it multiplies by the zeros of weights that do not move.
    @jax.custom_jvp
    def with_tangents(index: jax.Array, operands: Any) -> Any:
        return run(index, operands)

    with_tangents.defjvp(
        lambda primals, tangents: _jvp(branches, primals, tangents[1]), symbolic_zeros=True
    )
    return with_tangents(index, operands)


def _jvp(
    branches: Sequence[Callable[..., Any]], primals: tuple[jax.Array, Any], tangents: Any
) -> tuple[Any, Any]:
    """Value and tangent of the switch, whose branches move those operands only that do."""
    index, operands = primals
    leaves, tree = jax.tree.flatten(operands)
    found = jax.tree.leaves(tangents, is_leaf=lambda leaf: isinstance(leaf, SymbolicZero))
    # Symbolic zeros are known while tracing; what does not move is not an operand of `jax.jvp`.
    moving = [k for k, tangent in enumerate(found) if not isinstance(tangent, SymbolicZero)]

    def of(branch: Callable[..., Any]) -> Callable[..., Any]:
        def along(leaves: list[jax.Array], tangents: list[jax.Array]) -> Any:
            def moved(parts: list[jax.Array]) -> Any:
                changed = dict(zip(moving, parts, strict=True))
                return branch(
                    *jax.tree.unflatten(
                        tree, [changed.get(k, leaf) for k, leaf in enumerate(leaves)]
                    )
                )

            return jax.jvp(moved, ([leaves[k] for k in moving],), (tangents,))

        return along

    # Through `switch`, so that under `vmap` tangents are computed by blocks as values are.
    value, tangent = switch(
        index, [of(branch) for branch in branches], leaves, [found[k] for k in moving]
    )
    return value, tangent


def _by_blocks(
    index: jax.Array, branches: Sequence[Callable[..., Any]], axes: Any, operands: Any
) -> Any:
    """Values of all rows, `[B, ...]`; `axes` is 0 for operands that have rows, else None."""
    # Clamped as in `lax.switch`; the number past the last branch is that of the empty blocks.
    blocks = _blocks(jnp.clip(index, 0, len(branches) - 1), len(branches))
    size = blocks.rows.shape[1]
    mapped = [jax.vmap(branch, axes, axis_size=size) for branch in branches]

    def compute(block: tuple[jax.Array, jax.Array]) -> Any:
        branch, rows = block
        of_block = jax.tree.map(
            lambda axis, leaf: leaf if axis is None else leaf[rows],
            axes,
            operands,
            is_leaf=lambda axis: axis is None,  # None is otherwise a tree without leaves
        )
        # Blocks that no row needs: there are as many as the worst case has, and they must be free.
        shapes = jax.eval_shape(mapped[0], *of_block)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return lax.switch(branch, [*mapped, lambda *_: nothing], *of_block)

    # A loop, not `vmap`: in it the switch stays a conditional.
    results = lax.map(compute, (blocks.branch, blocks.rows))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[blocks.slots], results)


def _blocks(index: jax.Array, num_branches: int) -> _Blocks:
    """Blocks for the branches `[B]` int32 of the rows; their number depends on `B` alone."""
    num_rows = len(index)
    size = block_size(num_rows, num_branches)
    # The worst case: every branch in use has one row more than full blocks.
    num_used = min(num_rows, num_branches)
    num_blocks = (num_rows - num_used) // size + num_used
    is_taken = (index[:, None] == jnp.arange(num_branches)[None]).astype(jnp.int32)
    # Each branch fills up its last block, so that the next begins at the start of one.
    ends = jnp.cumsum(-(-jnp.sum(is_taken, axis=0) // size))
    first = jnp.concatenate([jnp.zeros(1, jnp.int32), ends[:-1]])
    place = jnp.sum(is_taken * jnp.cumsum(is_taken, axis=0), axis=1) - 1
    slots = first[index] * size + place
    # Slots left over compute row 0 once more; nothing reads their results.
    rows = (
        jnp.zeros(num_blocks * size, jnp.int32).at[slots].set(jnp.arange(num_rows, dtype=jnp.int32))
    )
    branch = jnp.full(num_blocks, num_branches, jnp.int32).at[slots // size].set(index)
    return _Blocks(branch, rows.reshape(num_blocks, size), slots)


def block_size(num_rows: int, num_branches: int) -> int:
    """Rows of a block, half of a branch's mean share: a quarter of the slots or so stays empty."""
    return min(max(num_rows // (2 * num_branches), 1), _MAX_ROWS)
