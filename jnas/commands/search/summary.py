"""Summary of searches: their answers in words, numbers, tables and plots."""

from typing import Any

import numpy as np

from jnas.commands import supernets
from jnas.commands.search import methods, ranking, supernet
from jnas.commands.search.figures import batch_figures, curve_figures, judge, title
from jnas.commands.search.searches import Searches
from jnas.commands.search.texts import legend, of_what
from jnas.commands.summary import (
    Part,
    Summary,
    facts_of,
    kendall_tau,
    moments,
    number,
    spread,
)
from jnas.commands.truth import Check, header

_NUM_ROWS = 20  # searches that a report lists
# All that searches of any kind write: what a run does not write is from an earlier one.
FILES = (
    "scores.csv",
    "scores.npz",
    "results.csv",
    "histories.npz",
    "front.csv",
    *(f"{name}.png" for name in ("cell", "search", "curves", "front", "accuracy")),
    "scores_*.png",
    "rank_*.png",
    "supernet.csv",
    "distribution.csv",
    "distribution.png",
    "supernet.png",
    "ranking.png",
)


def summarise(result: Searches) -> Summary:
    """Summary of finished searches."""
    facts = _facts(result)
    is_batch = result.settings.is_batch
    tables = {"scores.csv": _scores(result)} if is_batch else {"results.csv": _results(result)}
    if front := _front(result):
        tables["front.csv"] = front
    figures = batch_figures(result) if is_batch else curve_figures(result)
    plotted = [name for name in figures if name not in ("cell", "front")]
    parts = [
        *_answer(result, tables, [name for name in figures if name == "cell"]),
        Part(title(result), legend(result, facts), _rows(result), plotted, is_printed=True),
    ]
    if result.supernet is not None:
        more = ranking.figures(result, result.supernet)
        told = facts["supernet"] = ranking.facts(result, result.supernet)
        parts.append(ranking.part(result, told, [*more]))
        figures |= more
        if result.quality is not None:
            parts.append(ranking.by_epoch(result.quality))
            figures |= ranking.curves(result, result.supernet, result.quality)
        tables["supernet.csv"] = ranking.curve(result.supernet)
    if result.outcome is not None:
        tables["distribution.csv"] = methods.probabilities(result.outcome.searched)
    if not is_batch:
        parts.append(_listed(tables["results.csv"]))
    kept = {"scores.npz"} if is_batch else {"histories.npz"}
    # All but what the run keeps itself: evaluations that another call goes on from.
    stale = [name for name in FILES if name not in kept]
    is_trained = result.settings.estimator == supernet.NAME
    pointed = {"Supernet for --estimator": supernets.FILE} if is_trained else {}
    return Summary("jnas search", parts, facts, tables, figures, stale, pointed)


def _answer(result: Searches, tables: dict[str, list[list[Any]]], cell: list[str]) -> list[Part]:
    """Parts that answer: the front of a strategy with costs, and the best architecture."""
    text = result.space.to_string(result.archs[result.chosen])
    best = f"{text}\nThe best {of_what(result)}; its {judge(result)} is {_best(result):.5g}."
    if result.weighed is None:
        return [Part("The answer", best, figures=cell, is_printed=True)]
    weighed, (header, *cells) = result.weighed, tables["front.csv"]
    # Names come last, for in a terminal only the last columns may take several lines.
    told_cells = ([f"{score:.5g}", weighed.text(float(cost)), name] for name, score, cost in cells)
    rows = [[*header[1:], header[0]], *told_cells]
    told = (
        f"{len(cells):,} architectures, each with the best {judge(result)} for its {weighed.name}."
    )
    told += f"\n{weighed.name}: {weighed.convention}." if weighed.convention else ""
    if result.true_front is not None:
        found, num = _num_found(result), len(result.true_front.archs)
        told += f"\nThe true front has {num:,} points; {found:,} of them were found."
    front = Part(f"The answer: {judge(result)} against {weighed.name}", told, rows, ["front"], True)
    return [front, Part("The best of the front", best, figures=cell, is_printed=True)]


def _num_found(result: Searches) -> int:
    """Number of pairs of a score and a cost that both the front and the true one have."""
    # By score and cost, and not by architecture: several may share a point of the front, of which a
    # search needs to find one.
    both = [
        {*zip(front.scores.tolist(), front.costs[:, 0].tolist(), strict=True)}
        for front in (result.front, result.true_front)
        if front is not None
    ]
    return len(set.intersection(*both))


def _listed(rows: list[list[Any]]) -> Part:
    """Part that lists the first searches, one a row."""
    header, *rows = rows
    first = f"The first {_NUM_ROWS} searches; " if len(rows) > _NUM_ROWS else ""
    files = (
        f"{first}results.csv has one line for each search, histories.npz all that they evaluated."
    )
    return Part("The searches", files, [header, *rows[:_NUM_ROWS]])


# --------------------------------------------------------------------------------------------------
# Numbers.


def _facts(result: Searches) -> dict[str, Any]:
    """Facts that a reader needs to trust and repeat the run; what is not known is None."""
    chosen, histories = result.chosen, result.histories
    # In float64: sums of many costs of thousands of seconds lose digits in float32.
    seconds = np.asarray(histories.seconds).sum(axis=1, dtype=np.float64)
    num = int(np.asarray(histories.num_evaluations).sum())
    return {
        "best": {
            "architecture": result.space.to_string(result.archs[chosen]),
            "score": float(result.best[chosen, -1]),
            "search": chosen,
            "params": int(result.params[chosen]),
            "flops": float(result.flops[chosen]),
        },
        "score": moments(result.best[:, -1]),
        "truth": [_truth(result, check) for check in result.checks],
        "front": _front_facts(result),
        "evaluations": moments(np.asarray(histories.num_evaluations)),
        "distinct": moments(result.distinct),
        "simulated_seconds": moments(seconds),
        "minimize": result.minimize,
        "fidelities": {str(asked): name for asked, name in result.fidelities.items() if asked},
        "num_unranked": num - int(np.isfinite(histories.scores).sum()),
        "num_missing": result.num_missing,
        "num_before_search": result.num_before_search,
        "num_without_answer": int(np.isnan(result.best[:, -1]).sum()),
        "num_out_of_evaluations": int(np.sum(histories.truncated)),
        "num_stalled": int(np.sum(histories.stalled)),
        **facts_of(result),
    }


def _front_facts(result: Searches) -> dict[str, int | None] | None:
    """Facts of a front: its size, that of the true one, and how many points both have."""
    if result.front is None:
        return None
    true = result.true_front
    return {
        "size": len(result.front.archs),
        "true_size": None if true is None else len(true.archs),
        "found": None if true is None else _num_found(result),
    }


def _truth(result: Searches, check: Check) -> dict[str, Any]:
    """Facts of one column: how good the answers are, and what a batch had to choose from."""
    accuracy, rank = check.accuracy[result.chosen, -1], check.ranks[result.chosen]
    facts = {
        "column": check.name,
        "convention": check.convention,
        "minimize": check.minimize,
        "of_best": None if np.isnan(rank) else {"accuracy": float(accuracy), "rank": int(rank)},
        "accuracy": moments(check.accuracy[:, -1]),
        "rank": moments(check.ranks) | {"median": _median(check.ranks)},
        "table_rows": len(check.table),
        "best_of_table": check.table_best,
    }
    return facts | (_of_candidates(result, check) if result.settings.is_batch else {})


def _of_candidates(result: Searches, check: Check) -> dict[str, float | None]:
    """Facts of the candidates: the best known accuracy, and how well the scores rank them."""
    known = np.isfinite(check.evaluated[0])
    # As the program has them: larger is better.
    scores, accuracy = np.asarray(result.histories.scores)[0][known], check.evaluated[0][known]
    goodness = -accuracy if check.minimize else accuracy
    return {
        "best_of_candidates": float(accuracy[np.argmax(goodness)]) if len(accuracy) else None,
        "kendall_tau": kendall_tau(scores, goodness),
    }


def _median(values: np.ndarray) -> float | None:
    """Median of what is known, or None."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _scores(result: Searches) -> list[list[Any]]:
    """Rows of `scores.csv`: a header, and one for each candidate, as they were drawn."""
    columns = {header(check.name): check.evaluated[0] for check in result.checks}
    texts = [result.space.to_string(arch) for arch in np.asarray(result.histories.archs)[0]]
    rows = zip(texts, result.scores[0], *columns.values(), strict=True)
    return [["architecture", "score", *columns], *map(list, rows)]


def _results(result: Searches) -> list[list[Any]]:
    """Rows of `results.csv`: a header, and one for each search; empty where it has no answer."""
    histories, last = result.histories, np.asarray(result.histories.best)[:, -1]
    always: dict[str, Any] = {
        "search": range(len(last)),
        "evaluations": np.asarray(histories.num_evaluations),
        "distinct": result.distinct,
        "seconds": np.asarray(histories.seconds).sum(axis=1, dtype=np.float64),
    }
    answers: dict[str, Any] = {
        "architecture": [result.space.to_string(arch) for arch in result.archs],
        "score": result.best[:, -1],
        "found_at": last + 1,
        "params": result.params,
        "flops": result.flops,
    }
    for check in result.checks:
        name, known = header(check.name), np.isfinite(check.ranks)
        ranks = [int(rank) if any_ else "" for rank, any_ in zip(check.ranks, known, strict=True)]
        answers |= {name: check.accuracy[:, -1], f"rank_{name}": ranks}
    rows = [[*always, *answers]]
    for place, has_answer in enumerate(np.isfinite(result.best[:, -1])):
        # An architecture stands in the arrays in any case, for they have one shape, but is no
        # answer.
        found = [values[place] if has_answer else "" for values in answers.values()]
        rows.append([*(values[place] for values in always.values()), *found])
    return rows


def _front(result: Searches) -> list[list[Any]]:
    """Rows of `front.csv`: a header, and the front from the cheapest on; nothing without costs."""
    front, weighed = result.front, result.weighed
    if front is None or weighed is None:
        return []
    cells = zip(front.archs, front.scores.tolist(), front.costs[:, 0].tolist(), strict=True)
    rows = [
        [result.space.to_string(arch), score, weighed.exact(cost)] for arch, score, cost in cells
    ]
    return [["architecture", judge(result), weighed.name], *rows]


# --------------------------------------------------------------------------------------------------
# Tables for people.


def _best(result: Searches) -> float:
    """Score of the best answer."""
    return float(result.best[result.chosen, -1])


def _rows(result: Searches) -> list[list[str]]:
    """Table for people: the answers by score and by every column of trained accuracies."""
    is_batch = result.settings.is_batch
    several = ["median rank"] if not is_batch else ["best drawn", "tau"]
    rows = [["answers by", *(["mean ± std"] if not is_batch else [])]]
    rows[0] += ["best", "rank", *several, "best of all"]
    if result.settings.estimator != "table":
        score = [] if is_batch else [spread(result.best[:, -1])]
        rows.append([judge(result), *score, f"{_best(result):.5g}", *[""] * (len(several) + 2)])
    return rows + [_row(result, check) for check in result.checks]


def _row(result: Searches, check: Check) -> list[str]:
    """Row of the table: the answers by one column of trained accuracies."""
    accuracy, rank = check.accuracy[result.chosen, -1], check.ranks[result.chosen]
    best = ["unknown", ""] if np.isnan(rank) else [f"{accuracy:.5g}", f"{rank:,.0f}"]
    most = f"{check.table_best:.5g}"
    if result.settings.is_batch:
        drawn, tau = _of_candidates(result, check).values()
        told = [number(drawn, ".5g"), number(tau, ".3f")]
        return [check.name, *best, *told, most]
    among = number(_median(check.ranks), ",.10g")
    return [check.name, spread(check.accuracy[:, -1]), *best, among, most]
