"""Texts about finished searches: what was done, how it ended, and what the numbers are."""

from typing import Any

import numpy as np

from jnas.commands import estimators, supernets
from jnas.commands.search.searches import Searches
from jnas.commands.truth import stated

_MEANS = {
    "evaluations": "evaluations",
    "distinct": "distinct architectures among them",
    "simulated_seconds": "simulated seconds",
}
_ENDS = {
    "num_without_answer": "found nothing that can be ranked",
    "num_out_of_evaluations": "had seconds left when their evaluations were used up",
    "num_stalled": "were given up, for all they proposed was evaluated before",
    "num_before_search": "ended before the first population of the strategy was evaluated, and are "
    "random search; they need more seconds or a smaller population",
}
_RANK = (
    # The rank is among all of the table, so that runs with different limits have the same measure.
    "Best, rank: of the best answer; the rank is 1 + the number of better architectures, allowed "
    "or not."
)
_TAU = (
    "Best drawn: of all candidates. Tau: Kendall's tau-b of the candidates' scores with their "
    "accuracies."
)


def of_what(result: Searches) -> str:
    """Words for what the best answer is the best of."""
    settings = result.settings
    if settings.is_batch:
        return f"of {settings.candidates:,} candidates"
    return f"answer of {_count(settings.seeds)}"


def _count(num: int) -> str:
    """Number of searches in words."""
    return "one search" if num == 1 else f"{num:,} searches"


def legend(result: Searches, facts: dict[str, Any]) -> str:
    """Legend of the table: what was done, and what the numbers are."""
    lines = _batch_lines(result, facts) if result.settings.is_batch else _lines(result, facts)
    if limits := result.settings.limits:
        told = ", ".join(f"{name} at most {value:,g}" for name, value in limits)
        lines.append(f"Allowed: {told}.")
    lines += [
        f"{check.name}: {stated(check.convention, check.minimize)}; "
        f"{len(check.table):,} architectures."
        for check in result.checks
    ]
    lines += [text for text in map(estimators.caveat, result.settings.judges) if text]
    if result.checks:
        lines += [_RANK, *([_TAU] if result.settings.is_batch else []), *_who_saw(result)]
    return "\n".join(lines)


def _who_saw(result: Searches) -> list[str]:
    """Line on how fair a check accuracies are: a trained predictor may have seen some of them."""
    name = result.settings.estimator
    # What is searched on is no check, and what surrogates say is not trained.
    if name == "table" or all("no training" in check.convention for check in result.checks):
        return []
    # A supernet is trained on images, and has seen no accuracy of any table.
    if estimators.is_saved(name) and not supernets.is_saved(name):
        return ["Trained accuracies: the predictor may have been trained on some of them."]
    return ["Trained accuracies: the search did not see them."]


def _batch_lines(result: Searches, facts: dict[str, Any]) -> list[str]:
    """Lines about what a batch has scored."""
    num, distinct = result.settings.candidates, int(result.distinct[0])
    lines = [f"{num:,} candidates, drawn at random and scored in one batch; {distinct:,} distinct."]
    lines += _gaps(result)
    # What the table lacks has a line of its own, and is not told twice.
    if unranked := facts["num_unranked"] - result.num_missing:
        lines.append(f"{unranked:,} of them cannot be ranked (their score is not finite).")
    return lines


def _lines(result: Searches, facts: dict[str, Any]) -> list[str]:
    """Lines about what searches have evaluated, and how they ended."""
    settings = result.settings
    count = _count(settings.seeds).capitalize()
    if settings.owns_weights:
        return [
            f"{count} of {settings.supernet.epochs:,} epochs on {settings.images}: one half of the "
            "training images fits the weights, the other half chooses.",
            *(f"{facts[name]:,} of them {what}." for name, what in _ENDS.items() if facts[name]),
        ]
    seconds = settings.max_seconds
    limit = "" if seconds is None else f" or {seconds:,g} simulated seconds"
    # Means over the searches; of nothing spent, such as seconds where none are known, no word.
    means = {what: facts[name]["mean"] for name, what in _MEANS.items()}
    spent = ", ".join(
        f"{mean:,.1f}".removesuffix(".0") + f" {what}" for what, mean in means.items() if mean
    )
    return [
        f"{count} of {settings.budget:,} evaluations{limit}.",
        f"{'In all' if settings.seeds == 1 else 'On average'}: {spent}.",
        *(f"{facts[name]:,} of them {what}." for name, what in _ENDS.items() if facts[name]),
        *_gaps(result),
        *_told_after(result),
    ]


def _gaps(result: Searches) -> list[str]:
    """Line on evaluations that a table has no value for."""
    num = int(np.asarray(result.histories.num_evaluations).sum())
    if not result.num_missing:
        return []
    return [
        f"{result.num_missing:,} of all {num:,} evaluations failed, for {result.table} has no "
        f"{result.settings.column} of them; --within-table keeps to those that it has."
    ]


def _told_after(result: Searches) -> list[str]:
    """Line on which column told the score after each number of epochs asked for."""
    # 0 stands for searches that ask for no number of epochs, where nothing is to be said.
    columns = {asked: name for asked, name in result.fidelities.items() if asked}
    if not columns:
        return []
    if len(set(columns.values())) == 1:
        (name,) = set(columns.values())
        asked = ", ".join(map(str, columns))
        return [f"Asked for {asked} epochs: told {name} of each, at its share of the cost."]
    pairs = ", ".join(f"{name} for {asked}" for asked, name in columns.items())
    return [
        f"Columns told for the epochs asked for: {pairs}. The best so far is that of the longest."
    ]
