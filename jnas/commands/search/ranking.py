"""How a supernet learnt, and how it ranks: numbers, tables and figures of a search by one."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas import plots
from jnas.commands.search.figures import Figures, judge
from jnas.commands.search.methods import Outcome
from jnas.commands.search.searches import Searches
from jnas.commands.summary import Part, kendall_tau, number
from jnas.commands.truth import Check, header
from jnas.oneshot import Supernet
from jnas.oneshot.supernet import facts_of

# Costs stand beside the scores, for a supernet that ranks no better than the number of parameters
# does has learnt nothing about architectures.
_ROWS = ("one-shot", "#params", "FLOPs")


def facts(result: Searches, supernet: Supernet) -> dict[str, Any]:
    """Facts of a supernet, with Kendall's tau-b of what it and the costs say of architectures."""
    learnt = _learnt(supernet, supernet.curves)
    return {
        "epochs": supernet.num_epochs,
        "loss": float(learnt["loss"][-1]),
        "accuracy": float(learnt["accuracy"][-1]),
        "dataset": supernet.dataset.name,
        "num_weights": _num_weights(supernet),
        "recipe": facts_of(supernet.recipe),
        "kendall_tau": {check.name: _taus(result, check) for check in _checks(result)},
    }


def _learnt(supernet: Supernet, curves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means `[T]` of curves `[S, T]` over the supernets whose training has not diverged."""
    # The NaN of one that has would be the mean of all, and no number in JSON.
    is_trained = supernet.failed_at == 0
    return {name: values[is_trained].mean(axis=0) for name, values in curves.items()}


def _checks(result: Searches) -> tuple[Check, ...]:
    """Columns of accuracies that scores are ranked by; none where each score is of its own net."""
    # Scores of different supernets have no common scale, so that no rank correlation is meant by
    # them.
    return () if result.settings.owns_weights else result.checks


def _num_weights(supernet: Supernet) -> int:
    """Number of weights of one supernet."""
    # The first axis is that of supernets trained side by side, and each has weights of its own.
    return sum(int(np.prod(leaf.shape[1:])) for leaf in jax.tree.leaves(supernet.params))


def _known(result: Searches, check: Check) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Architectures `[n, D]` that were evaluated, each once, scores `[n]` and accuracies `[n]`.

    Those alone whose accuracy is known.
    """
    # All searches together: they have one supernet, and so one scale. An architecture that several
    # of them evaluated would count as often, and agree with itself.
    archs = np.asarray(result.histories.archs).reshape(-1, result.archs.shape[1])
    scores, accuracy = np.ravel(result.scores), np.ravel(check.evaluated)
    # Slots that are not in use have NaN scores.
    used = np.flatnonzero(~np.isnan(scores) & np.isfinite(accuracy))
    _, first = np.unique(archs[used], axis=0, return_index=True)
    places = used[first]
    return archs[places], scores[places], accuracy[places]


def _taus(result: Searches, check: Check) -> dict[str, float | None]:
    """Kendall's tau-b with the accuracies of a column, of scores, parameters and operations."""
    archs, scores, accuracy = _known(result, check)
    rows, space = jnp.asarray(archs), result.space
    costs = [np.asarray(jax.jit(jax.vmap(cost))(rows)) for cost in (space.params, space.flops)]
    # Both as "larger is better", or a column of errors would turn the sign of every tau.
    goodness = -accuracy if check.minimize else accuracy
    taus = [kendall_tau(values, goodness) for values in (scores, *costs)]
    return dict(zip(_ROWS, taus, strict=True))


def curve(supernet: Supernet) -> list[list[Any]]:
    """Rows of `supernet.csv`: a header, and means over the supernets after each epoch."""
    means = _learnt(supernet, supernet.curves)
    rows = zip(*means.values(), strict=True)
    return [["epoch", *means], *([number, *row] for number, row in enumerate(rows, start=1))]


def figures(result: Searches, supernet: Supernet) -> Figures:
    """Figures: how the supernet learnt, and its scores against the first known accuracies."""
    curves = {f"train_{name}": supernet.curves[name] for name in ("loss", "accuracy")}
    caption = (
        "Loss and accuracy of the architectures that the steps have sampled, means over each "
        "epoch, on augmented training images."
    )
    # Methods that only sample have no steps that choose, and their curve of NaN would be an empty
    # line.
    if result.outcome is not None and not np.isnan(chosen := _choose_loss(result.outcome)).all():
        curves["validation_loss"] = chosen
        caption += " Validation: the half of the training images that chooses."
    learnt = plots.learning_curves(
        _learnt(supernet, curves),
        title=f"{supernet.network.space.name} on {supernet.dataset.name}: shared weights",
    )
    found: Figures = {"supernet": (caption, learnt)}
    # A batch has such a picture for every column.
    if result.settings.is_batch or not _checks(result):
        return found
    check = result.checks[0]
    archs, scores, accuracy = _known(result, check)
    if len(archs) < 2:
        return found
    scatter = plots.score_against_accuracy(
        scores,
        accuracy,
        score_label=judge(result),
        accuracy_label=check.name,
        minimize_accuracy=check.minimize,
    )
    caption = f"Scores and {check.name} of all that the searches have evaluated."
    return found | {f"scores_{header(check.name)}": (caption, scatter)}


def _choose_loss(outcome: Outcome) -> np.ndarray:
    """Loss `[S, T]` of the steps that move distributions; NaN where there are none."""
    return np.asarray(outcome.searched.curves["choose_loss"])


def part(result: Searches, told: dict[str, Any], names: list[str]) -> Part:
    """Part of the report about the supernet.

    Args:
        result: of the search.
        told: `facts` of the supernet.
        names: of its figures.
    """
    taus = told["kendall_tau"]
    text = (
        f"{told['num_weights']:,} weights, trained for {told['epochs']:,} epochs on "
        f"{told['dataset']}; in the last one, loss {told['loss']:.4g} and accuracy "
        f"{100 * told['accuracy']:.1f} % of the sampled architectures.\n"
        "A score is the negated loss on the validation images, with the statistics of each batch."
    )
    rows: list[list[str]] = []
    if taus:
        num = max(len(_known(result, check)[0]) for check in result.checks)
        text += f"\nKendall's tau-b with trained accuracies, of {num:,} different architectures"
        text += "." if result.settings.is_batch else ", as the searches chose them."
        rows = [["Kendall tau", *taus]]
        rows += [
            [name, *(number(of_one[name], ".3f") for of_one in taus.values())] for name in _ROWS
        ]
    return Part("The supernet", text, rows, names, is_printed=True)
