"""Switches and loops over blocks whose gradients keep and compute no more than they must.

What is known while a program is traced (`is_known`) needs neither: one branch is taken, a loop is
unrolled, and gradients are the ordinary ones. So networks of one architecture are made (`own`).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.networks import grouped
from jnas.types import Params

_MAX_KEPT = 2**28  # bytes for the gradient of one loop


def is_known(value: object) -> bool:
    """Whether a value is known while tracing: numbers of Python and NumPy are, JAX's are not."""
    return isinstance(value, int | np.ndarray | np.generic)


def switch(index: jax.Array, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Value of the branch `index`, as `lax.switch`, with a gradient that keeps only the operands.

    The gradient is computed within the branch that was taken. That of `lax.switch` keeps what every
    branch would have to keep, filled with zeros for those not taken; in a network that is most of
    the time. Under `vmap` each branch, and its gradient, is computed for the rows that take it, as
    `grouped.switch` has it.

    Args:
        index: `[]` int32, clamped to the branches that there are. Where it is known, the value is
            that of an ordinary call.
        branches: functions of the operands; they must not close over traced arrays.
        operands: pytrees of float arrays (a mask is 0.0 and 1.0), because each has a gradient.
    """
    if is_known(index):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)

    @jax.custom_vjp
    def run(index: jax.Array, operands: Any) -> Any:
        return grouped.switch(index, branches, *operands)

    def backward(saved: tuple[jax.Array, Any], grad: Any) -> tuple[None, Any]:
        index, operands = saved
        # Each recomputes its branch, which is why nothing of the forward pass has to be kept.
        # `b=branch` binds the branch of this turn; a closure would see the last one in all.
        pulls = [
            lambda operands, grad, b=branch: jax.vjp(b, *operands)[1](grad) for branch in branches
        ]
        # None: an integer has no gradient.
        return None, grouped.switch(index, pulls, operands, grad)

    def forward(index: jax.Array, operands: Any) -> Any:
        # Through `vjp`, so that what has a gradient of its own is resolved and can be
        # differentiated forwards.
        values = [lambda *operands, b=branch: jax.vjp(b, *operands)[0] for branch in branches]
        return grouped.switch(index, values, *operands), (index, operands)

    run.defvjp(forward, backward)
    return run(index, operands)


def select(condition: jax.Array, one: Params, other: Params) -> Params:
    """Tree `one` where the condition `[]` bool holds, else `other`; both are computed.

    Where the condition is known it is one of the two as it is.

    It is for small arrays, as the weights of a norm: branches of a switch that differ by these
    alone become one, which is compiled once.
    """
    if is_known(condition):
        return one if condition else other
    return jax.tree.map(functools.partial(jnp.where, condition), one, other)


def scan(
    step: Callable[[Any, Any, Any], tuple[Any, Any]],
    x: Any,
    state: Any,
    xs: Any,
    *,
    unroll: bool = False,
) -> Any:
    """Pair `(x, state)` after `step(x, state, block) -> (x, state)` for each block stacked in `xs`.

    The gradient flows through `x`, a tree of arrays, and the blocks, not through the state. All of
    it is resolved within a step, so that it can itself be differentiated forwards (`grasp` needs a
    Hessian-vector product). On CPUs it keeps what the steps have computed, up to `_MAX_KEPT` bytes;
    otherwise it keeps the inputs of the steps and computes each once more.

    With `unroll`, and of one block, it is a plain loop of Python, of which a gradient keeps what it
    needs.
    """
    num = len(jax.tree.leaves(xs)[0])
    if unroll or num == 1:
        for block in unstacked(xs, num):
            x, state = step(x, state, block)
        return x, state

    def linearised(carry: tuple[jax.Array, Any], block: Any) -> Any:
        return jax.vjp(lambda x, block: step(x, carry[1], block), carry[0], block, has_aux=True)

    @jax.custom_vjp
    def run(x: jax.Array, state: Any, xs: Any) -> Any:
        return lax.scan(lambda carry, block: (step(*carry, block), None), (x, state), xs)[0]

    def forward(x: jax.Array, state: Any, xs: Any) -> Any:
        # Linearised although only the value is used: a custom gradient left in this loop could not
        # be differentiated forwards.
        def keep(carry: Any, block: Any) -> Any:
            value, pull, state = linearised(carry, block)
            return (value, state), (None, pull) if _is_kept(pull, num) else (carry, None)

        last, kept = lax.scan(keep, (x, state), xs)
        return last, (*kept, xs)

    def backward(saved: Any, grads: Any) -> Any:
        def pull_back(grad: jax.Array, saved: Any) -> Any:
            carry, pull, block = saved
            return (linearised(carry, block)[1] if pull is None else pull)(grad)

        # grads[1], of the state, is dropped: no score differentiates what hooks have summed up.
        grad, grads_of_blocks = lax.scan(pull_back, grads[0], saved, reverse=True)
        return grad, None, grads_of_blocks

    run.defvjp(forward, backward)
    return run(x, state, xs)


def _is_kept(pull: Any, num: int) -> bool:
    """Whether a gradient keeps what `num` steps have computed, as `pull` has it of one."""
    # An accelerator computes many architectures side by side, whose steps fill its memory.
    sizes = [leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pull)]
    return jax.default_backend() == "cpu" and num * sum(sizes) <= _MAX_KEPT


def unstacked(tree: Params, num: int) -> list[Params]:
    """List of the `num` trees that are stacked along the first axis of every leaf."""
    # The gradient of one split is one concatenation. Indexing `num` times would add up as many
    # arrays of the size of the stack, all zeros but for one part.
    split = jax.tree.map(lambda leaf: [part[0] for part in lax.split(leaf, (1,) * num)], tree)
    return [
        jax.tree.map(lambda parts, k=k: parts[k], split, is_leaf=lambda x: isinstance(x, list))
        for k in range(num)
    ]
