"""Losses of performance predictors: arrays in, arrays out, differentiable.

Shapes: `scores`, `logits` and `targets` are `[..., N]`, lists of N architectures along the last
axis and a batch of lists before it; `M` counts pairs or triplets. Higher is better in both.

Common to all losses:
    Numbers: real and of any width, computed in the float width in use. Targets that coincide in it
        are ties. What is not finite and not masked makes the loss NaN or infinite.
    `where`: `[..., N]` bool, False for padding. The loss is that of the lists without it; gradients
        stay finite.
    `reduce_fn`: called as `reduce_fn(terms, where=valid)`. The mean over all valid terms of all
        lists by default, `jnp.sum` for the sums of the ReNAS equations: `[]` float, 0 if no term is
        valid. None for the terms themselves, 0 where invalid, in the shape each function states.
    `phi`: φ, an elementwise penalty of a difference that should be positive: `hinge`, `logistic`,
        `exponential`, or any function of one array. Those made here are `jax.tree_util.Partial`, so
        a margin may be traced.
    `threshold`: targets that differ by no more than it are ties, and ties in the sign of an
        equation are left out. Below 0 they count, as the constant φ(0) of the equations.
    `pairs`, `triplets`: `[M, 2]` or `[M, 3]` integers in 0 … N − 1, the same for all lists; N or
        more makes the loss NaN. `pair_mask`, `triplet_mask`: `[M]` bool, False for padding.
    Errors: ValueError where shapes, types or options do not fit.

ReNAS: Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021 (arXiv
1910.01523). GATES: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for
Predictor-based NAS", ECCV 2020.
"""

from jnas import _renamed, _shown
from jnas.losses.equations import (
    Phi,
    binary_classification,
    comparator,
    exponential,
    hinge,
    list_mle,
    logistic,
    mean_absolute_error,
    mean_squared_error,
    pairwise,
    renas,
    triplet_continuity,
)
from jnas.losses.sampling import sample_pairs, sample_triplets
from jnas.losses.shared import ReduceFn

__all__ = [
    "Phi",
    "ReduceFn",
    "binary_classification",
    "comparator",
    "exponential",
    "hinge",
    "list_mle",
    "logistic",
    "mean_absolute_error",
    "mean_squared_error",
    "pairwise",
    "renas",
    "sample_pairs",
    "sample_triplets",
    "triplet_continuity",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)
