"""How a supernet learnt, and how it ranks: numbers, tables and figures of a search by one."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas import plots
from jnas.commands.search.figures import Figures, judge
from jnas.commands.search.methods import Outcome
from jnas.commands.search.quality import SCORES, Quality
from jnas.commands.search.searches import Searches
from jnas.commands.summary import Part, kendall_tau, number
from jnas.commands.truth import Check, header
from jnas.oneshot import Supernet, published
from jnas.oneshot.study import COSTS
from jnas.oneshot.supernet import facts_of

# Costs stand beside the scores, for a supernet that ranks no better than the number of parameters
# does has learnt nothing about architectures.
_ROWS = ("one-shot", "#params", "FLOPs")
_TAU = "Kendall tau-b"
_Curves: TypeAlias = dict[str, tuple[ArrayLike, ArrayLike]]
_LABELS = {"loss": "−loss", "accuracy": "accuracy", "params": "#params", "flops": "FLOPs"}


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
        "ranking": None if result.quality is None else result.quality._asdict(),
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


# --------------------------------------------------------------------------------------------------
# While it is trained.


def by_epoch(quality: Quality) -> Part:
    """Part of the report about how well the supernet ranks after some of its epochs."""
    header = ["Kendall tau", *(f"epoch {epoch:,}" for epoch in quality.epochs)]
    rows = [
        [_LABELS[name], *(number(tau, ".3f") for tau in taus)]
        for name, taus in quality.kendall.items()
    ]
    text = f"{_verdict(quality)}Of {_evaluation(quality)}."
    if quality.share is not None:
        header.append(_top(quality))
        for name, row in zip(quality.kendall, rows, strict=True):
            row.append(number(quality.p_top[name][-1], ".3f"))
        best = f"{int(quality.share * quality.num)} best"
        text += (
            f"\n{_top(quality)}, after the last epoch: the share of the {best} by score that are "
            f"among the {best} by accuracy."
        )
    return Part("How well the supernet ranks", text, [header, *rows], ["ranking"], is_printed=True)


def _verdict(quality: Quality) -> str:
    """Line on whether the supernet ranks better than the number of parameters; "" if unknown."""
    mine, count = (quality.kendall[name][-1] for name in ("loss", "params"))
    if mine is None or count is None:
        return ""
    numbers = f"tau {mine:.3f} of −loss against {count:.3f}"
    if mine < count:
        return f"The supernet ranks worse than the number of parameters does: {numbers}.\n"
    than = "better than" if mine > count else "as well as"
    return f"The supernet ranks {than} the number of parameters: {numbers}.\n"


def curves(result: Searches, supernet: Supernet, quality: Quality) -> Figures:
    """Figure of ranking quality by share of the training, over the published one of the space."""
    space = supernet.network.space.name
    known = published.CURVES.get(space)
    told = {_TAU: quality.kendall}
    if quality.share is not None:
        told[_top(quality)] = quality.p_top
    panels = {panel: _drawn(quality, values) for panel, values in told.items()}
    length = f"{quality.epochs[-1]:,} epochs of {quality.steps:,} steps"
    if known:
        _add(panels, known)
        length += f" here, {known.num_epochs:,} of {known.steps:,} published"
    figure = plots.criterion_curves(
        panels,
        {panel: _lines(values) for panel, values in told.items()},
        # Not by epochs or steps, of which a published training has other numbers: what a supernet
        # knows about ranks comes as its learning rate falls, over the whole length of either.
        x_label=f"share of the training\n({length})",
        title=f"{space} on {quality.images}: how well shared weights rank",
    )
    shares = _shares(quality).tolist()
    pairs = zip(shares, quality.epochs, strict=True)
    ticks = [f"{share:.0f} %\nepoch {epoch:,}" for share, epoch in pairs]
    figure.axes[-1].set_xticks([0, *shares], ["0 %", *ticks])
    return {"ranking": (_caption(result, quality, known), figure)}


def _drawn(quality: Quality, values: Mapping[str, list[float | None]]) -> _Curves:
    """Curves of this supernet, of one criterion."""
    return {
        f"{_LABELS[score]}, this supernet": (_shares(quality), np.array(values[score], float))
        for score in SCORES
    }


def _shares(quality: Quality) -> np.ndarray:
    """Shares `[E]` of the training in %, after which it was ranked."""
    return 100 * np.array(quality.epochs) / quality.epochs[-1]


def _add(panels: Mapping[str, _Curves], known: published.Curve) -> None:
    """Add the published curve to each panel that it is known for."""
    criteria = {_TAU: known.kendall, f"P@top {100 * published.SHARE:.0f} %": known.p_top}
    for panel, values in criteria.items():
        if panel in panels:
            shares = 100 * np.array(list(values)) / known.num_epochs
            drawn = shares, np.array(list(values.values()))
            panels[panel][f"{_LABELS[known.score]}, published"] = drawn


def _caption(result: Searches, quality: Quality, known: published.Curve | None) -> str:
    """Caption: which architectures, truth, images and seeds each curve is of."""
    mine = (
        f"This supernet: {_evaluation(quality)}; truth: {quality.convention}; one supernet, seed "
        f"{result.settings.seed}. Grey: costs as scores of the same architectures."
    )
    if not known:
        return mine
    return (
        f"{mine} Published ({published.SOURCE}): {known.about}; tau of #params there "
        f"{known.params:.3f}."
    )


def _lines(values: Mapping[str, list[float | None]]) -> dict[str, float]:
    """Heights of the costs by their labels: one line of those that rank alike."""
    heights: dict[float, list[str]] = {}
    for cost in COSTS:
        height = values[cost][-1]
        if height is not None:
            heights.setdefault(height, []).append(_LABELS[cost])
    return {", ".join(labels): height for height, labels in heights.items()}


def _top(quality: Quality) -> str:
    """Name of P@top."""
    return f"P@top {100 * (quality.share or 0):.0f} %"


def _evaluation(quality: Quality) -> str:
    """Words for what was ranked, by which truth, and on which images."""
    return (
        f"{quality.num:,} architectures of different classes, drawn from those of known "
        f"{quality.column}; scored on {quality.num_images:,} validation images of {quality.images}"
    )
