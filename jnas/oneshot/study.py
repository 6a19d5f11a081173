"""Study of estimators: the criteria of many scores side by side, always beside those of their size.

A score that ranks no better than the number of parameters says nothing that could not be counted
(Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas.engine.fingerprints import Resume
from jnas.engine.inputs import as_archs
from jnas.engine.messages import nearest
from jnas.engine.score import score
from jnas.oneshot.analysis.criteria import average, criteria
from jnas.oneshot.analysis.rows import floats, known
from jnas.oneshot.scoring import suite
from jnas.oneshot.supernet import Supernet
from jnas.types import Dataset, Space

COSTS = ("params", "flops")
"""Names of the rows that every table of a study ends with."""

Row = dict[str, tuple[float, float]]
"""Name of a criterion → its mean and standard deviation over seeds."""


class Study(NamedTuple):
    """Scores of one set of architectures by supernets after several of their epochs.

    Attributes:
        epochs: `E` numbers, in ascending order.
        archs: `[N, D]` int32.
        scores: "accuracy" and "loss" (negated) → `[E, S, N]` float64, of `S` supernets.
        truth: `[N]`, true accuracies.
        costs: "params" and "flops" → `[N]`.
    """

    epochs: tuple[int, ...]
    archs: np.ndarray
    scores: dict[str, np.ndarray]
    truth: np.ndarray
    costs: dict[str, np.ndarray]

    def criteria(
        self, criterion: str = "loss", ratios: Sequence[float] | None = None
    ) -> dict[str, np.ndarray]:
        """`criteria` of the rankings by "loss" or "accuracy", `[E, S]` each.

        Raises:
            ValueError: another criterion; and as for `criteria`.
        """
        if criterion not in self.scores:
            hint = nearest(criterion, tuple(self.scores))
            raise ValueError(f"unknown criterion {criterion!r}. {hint}")
        return criteria(self.scores[criterion], self.truth, ratios=ratios)

    def table(self, epoch: int | None = None) -> dict[str, "Row"]:
        """`study_table` of both scores after an epoch, the last by default.

        Raises:
            ValueError: an epoch that was not studied; and as for `study_table`.
        """
        if epoch is not None and epoch not in self.epochs:
            known = ", ".join(map(str, self.epochs))
            raise ValueError(f"epoch {epoch} was not studied, but {known}")
        place = -1 if epoch is None else self.epochs.index(epoch)
        scores = {name: values[place] for name, values in self.scores.items()}
        return study_table(scores, self.truth, self.costs)


def study(
    supernet: Supernet,
    dataset: Dataset,
    archs: ArrayLike,
    truth: ArrayLike,
    *,
    epochs: Iterable[int] | None = None,
    batch_size: int = 512,
    batches: int | None = None,
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = False,
) -> Study:
    """Study of supernets on a given evaluation set: how they rank it while they are trained.

    Args:
        supernet: with the weights that were kept on the way (`keep` of `oneshot.train`).
        dataset: whose validation images are scored with.
        archs: `[N, D]`, the evaluation set.
        truth: `[N]`, their true accuracies; NaN where one is not known.
        epochs: after which they are ranked; None takes all that were kept, and the last.
        batch_size: as for `oneshot.estimator`.
        batches: likewise.
        out: folder that scores are kept in, and that a call which was killed goes on from.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show bars on standard error.

    Raises:
        ValueError: as for `oneshot.estimator` and `criteria`; an epoch whose weights were not kept,
            or other numbers of architectures and accuracies.
        OSError: `out` cannot be written.
    """
    space = supernet.network.space
    vectors, true = as_archs(np.asarray(archs), len(space.cardinalities)), floats("truth", truth)
    if true.shape != vectors.shape[:1]:
        raise ValueError(
            f"truth must be [{len(vectors)}], one for each architecture; got {list(true.shape)}"
        )
    every = (*supernet.epochs, supernet.num_epochs) if epochs is None else epochs
    chosen, found = tuple(sorted(set(every))), []
    # What is wrong is told before all is scored: one class of rank, epochs that were not kept.
    criteria(true, true)
    for at in [supernet.at(epoch) for epoch in chosen]:
        for seed in range(len(supernet.failed_at)):
            # A file for each: epochs that are asked for later, or more seeds, do not score these
            # anew.
            name = f"epoch{at.num_epochs}-{seed}.npz"
            # One supernet at a time: a suite of all of them scores by their mean, an ensemble,
            # which as a rule ranks better than each.
            made = suite(at.select(seed), dataset, batch_size=batch_size, batches=batches)
            # No score is random: any key gives the same.
            found.append(
                score(
                    made,
                    vectors,
                    jax.random.key(0),
                    out=None if out is None else Path(out) / name,
                    resume=resume,
                    progress=progress,
                )
            )
    shape = len(chosen), len(supernet.failed_at), len(vectors)
    scores = {
        name: np.stack([np.asarray(one[name], np.float64) for one in found]).reshape(shape)
        for name in ("accuracy", "loss")
    }
    return Study(chosen, np.asarray(vectors), scores, true, costs(space, vectors))


def study_table(
    scores: Mapping[str, ArrayLike],
    truth: ArrayLike,
    costs: Mapping[str, ArrayLike],
    *,
    ratios: Sequence[float] | None = None,
) -> dict[str, Row]:
    """Criteria of each score, and in the last rows those of #params and FLOPs as scores.

    All rows are of the same architectures: one that lacks a truth or any of the scores (NaN) is
    left out of all of them.

    Args:
        scores: name → `[N]`, or `[S, N]` of several seeds; higher is better.
        truth: `[N]`, true accuracies.
        costs: those of `costs(space, archs)`, or other numbers "params" and "flops", `[N]` each.
        ratios: as for `criteria`.

    Returns:
        Name → `Row`; the deviation over seeds is NaN where there is one. "num" is how many are
        ranked, "left_out" how many are not.

    Raises:
        ValueError: the costs are not "params" and "flops", a score is called like a cost, and as
            for `criteria`.
    """
    if set(costs) != set(COSTS):
        raise ValueError(f"costs must be {' and '.join(COSTS)}, got {', '.join(costs) or 'none'}.")
    taken = [name for name in scores if name in COSTS]
    if taken:
        raise ValueError(f"a score must not be called {taken[0]!r}, which is the row of a cost.")
    rows = {name: floats(name, values) for name, values in {**scores, **costs}.items()}
    true = floats("truth", truth)
    for name, values in rows.items():
        if values.ndim not in (1, 2) or values.shape[-1:] != true.shape:
            raise ValueError(
                f"{name!r} must be [N] or [S, N] with truth [N], got {values.shape} and "
                f"{true.shape}."
            )
    used = np.logical_and.reduce([known(values) for values in (*rows.values(), true)])
    # What is left out of one is left out of all, and `criteria` counts it.
    held = np.where(used, true, np.nan)
    return {name: _row(np.atleast_2d(values), held, ratios) for name, values in rows.items()}


def costs(space: Space, archs: ArrayLike) -> dict[str, np.ndarray]:
    """Rows of #params and of FLOPs, `[N]` each, of `archs [N, D]` in the reference network."""
    vectors = jnp.asarray(archs, jnp.int32)
    return {
        # As scores they are not negated: more weights, higher accuracy is the baseline that
        # estimators fail to beat on NAS-Bench-301.
        "params": np.asarray(jax.jit(jax.vmap(space.params))(vectors)),
        "flops": np.asarray(jax.jit(jax.vmap(space.flops))(vectors)),
    }


def _row(scores: np.ndarray, truth: np.ndarray, ratios: Sequence[float] | None) -> Row:
    """Mean and deviation of the criteria of `scores [S, N]`."""
    found = average(criteria(scores, truth, ratios=ratios))
    return {name: (float(mean), float(spread)) for name, (mean, spread) in found.items()}
