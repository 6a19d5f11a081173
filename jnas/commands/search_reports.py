"""What searches leave behind: a folder of files with a report, and a few lines on the screen."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnas import plots, report
from jnas.commands import judges, runs, searches
from jnas.commands.checks import Check
from jnas.commands.searches import Searches
from jnas.engine.environment import environment

_NUM_ROWS = 20  # searches that a report lists
_MEANS = {
    "evaluations": "evaluations",
    "distinct": "distinct architectures among them",
    "simulated_seconds": "simulated seconds",
}
_ENDS = {
    "num_without_answer": "found nothing that can be ranked",
    "num_out_of_evaluations": "had seconds left when their evaluations were used up",
    "num_stalled": "were given up, for all they proposed was evaluated before",
}


def write(folder: Path, result: Searches) -> None:
    """Write `histories.npz`, `results.csv`, the plots, `report.html` and `result.json` into `folder`."""
    # It stands for a whole folder, so it is there neither before nor without the other files.
    (folder / "result.json").unlink(missing_ok=True)
    searches.save(folder, result)
    header, *rows = _results(result)
    runs.write_csv(folder / "results.csv", [str(name) for name in header], rows)
    (folder / "front.csv").unlink(missing_ok=True)
    if front := _front(result):
        runs.write_csv(folder / "front.csv", front[0], front[1:])
    figures = _figures(result)
    for name in ("cell", "curves", "front", "accuracy"):
        path = folder / f"{name}.png"
        if name in figures:
            plots.save(figures[name][1], path)
        else:
            path.unlink(missing_ok=True)
    facts = _facts(result)
    report.write(folder / "report.html", "jnas search", _sections(result, facts, figures))
    runs.write_json(folder / "result.json", facts)


def show(result: Searches, folder: Path) -> None:
    """Print the answer, how good the others are, and where the files are."""
    from rich.console import Console

    console = Console()
    console.print(f"\n{_answer(result)}\n", highlight=False, markup=False, soft_wrap=True)
    runs.print_table(_title(result), _rows(result))
    console.print(_legend(result), style="dim", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"\nReport, plots and files: {folder / 'report.html'}", highlight=False, soft_wrap=True
    )


# ------------------------------------------------------------------------------------------------------
# Numbers.


def _facts(result: Searches) -> dict[str, Any]:
    """Everything a reader needs to trust and repeat the run; what is not known is None."""
    chosen, histories = result.chosen, result.histories
    return {
        "best": {
            "architecture": result.space.to_string(result.archs[chosen]),
            "score": float(result.best[chosen, -1]),
            "search": chosen,
            "params": int(result.params[chosen]),
            "flops": float(result.flops[chosen]),
        },
        "score": runs.moments(result.best[:, -1]),
        "truth": [_truth(check, chosen) for check in result.checks],
        "evaluations": runs.moments(np.asarray(histories.num_evaluations)),
        "distinct": runs.moments(result.distinct),
        "simulated_seconds": runs.moments(
            np.asarray(histories.seconds).sum(axis=1, dtype=np.float64)
        ),
        "num_without_answer": int(np.isnan(result.best[:, -1]).sum()),
        "num_out_of_evaluations": int(np.sum(histories.truncated)),
        "num_stalled": int(np.sum(histories.stalled)),
        "settings": dataclasses.asdict(result.settings),
        "seconds": result.seconds,
        "environment": environment(),
    }


def _truth(check: Check, chosen: int) -> dict[str, Any]:
    accuracy, rank = check.accuracy[chosen, -1], check.ranks[chosen]
    return {
        "column": check.name,
        "convention": check.convention,
        "of_best": None if np.isnan(rank) else {"accuracy": float(accuracy), "rank": int(rank)},
        "accuracy": runs.moments(check.accuracy[:, -1]),
        "rank": runs.moments(check.ranks) | {"median": _median(check.ranks)},
        "table_rows": len(check.table),
        "best_of_table": check.table_best,
    }


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _results(result: Searches) -> list[list[Any]]:
    """A header, and a row for each search; cells that tell of an answer are empty where there is none."""
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
        name, known = check.name.replace(" ", "_"), np.isfinite(check.ranks)
        ranks = [int(rank) if any_ else "" for rank, any_ in zip(check.ranks, known, strict=True)]
        answers |= {name: check.accuracy[:, -1], f"rank_{name}": ranks}
    has_answer = np.isfinite(result.best[:, -1])
    rows = zip(
        has_answer,
        zip(*always.values(), strict=True),
        zip(*answers.values(), strict=True),
        strict=True,
    )
    return [
        [*always, *answers],
        *([*told, *(found if any_ else [""] * len(found))] for any_, told, found in rows),
    ]


def _front(result: Searches) -> list[list[Any]]:
    """A header and rows: the front, the cheapest first; nothing for a strategy with one objective."""
    front = result.front
    if front is None:
        return []
    cells = zip(front.archs, front.scores.tolist(), front.costs[:, 0].tolist(), strict=True)
    rows = [[result.space.to_string(arch), score, f"{cost:.0f}"] for arch, score, cost in cells]
    return [["architecture", _judge(result), result.settings.against], *rows]


# ------------------------------------------------------------------------------------------------------
# Texts, tables and figures.


def _judge(result: Searches) -> str:
    """What is maximised."""
    settings = result.settings
    return (
        settings.column or ""
        if settings.estimator == "table"
        else f"{judges.label(settings.estimator)} score"
    )


def _count(result: Searches) -> str:
    num = result.settings.seeds
    return "one search" if num == 1 else f"{num:,} searches"


def _title(result: Searches) -> str:
    settings = result.settings
    return f"{settings.space}: {settings.strategy} on {_judge(result)}"


def _answer(result: Searches) -> str:
    text = result.space.to_string(result.archs[result.chosen])
    return f"{text}\nThe best answer of {_count(result)}, with a {_judge(result)} of {_best(result):.5g}."


def _best(result: Searches) -> float:
    return float(result.best[result.chosen, -1])


def _rows(result: Searches) -> list[tuple[str, ...]]:
    """A table for people: the answers by score and by every column of trained accuracies."""
    rows: list[tuple[str, ...]] = [
        ("answers by", "mean ± std", "best", "rank", "median rank", "best of all")
    ]
    if result.settings.estimator != "table":
        rows.append(
            (_judge(result), _spread(result.best[:, -1]), f"{_best(result):.5g}", "", "", "")
        )
    for check in result.checks:
        accuracy, rank, median = (
            check.accuracy[:, -1],
            check.ranks[result.chosen],
            _median(check.ranks),
        )
        mine = (
            ("unknown", "")
            if np.isnan(rank)
            else (f"{accuracy[result.chosen]:.5g}", f"{rank:,.0f}")
        )
        among = "" if median is None else f"{median:,.10g}"
        rows.append((check.name, _spread(accuracy), *mine, among, f"{check.table_best:.5g}"))
    return rows


def _spread(values: np.ndarray) -> str:
    mean, std = runs.moments(values).values()
    return (
        "unknown" if mean is None else f"{mean:.5g}" if std is None else f"{mean:.5g} ± {std:.2g}"
    )


def _legend(result: Searches) -> str:
    """What was done, and what the numbers of the table are."""
    facts, settings = _facts(result), result.settings
    limit = (
        "" if settings.max_seconds is None else f" or {settings.max_seconds:,g} simulated seconds"
    )
    means = {what: facts[name]["mean"] for name, what in _MEANS.items()}
    spent = ", ".join(
        f"{mean:,.1f}".removesuffix(".0") + f" {what}" for what, mean in means.items() if mean
    )
    lines = [
        f"{_count(result).capitalize()} of {settings.budget:,} evaluations{limit}.",
        f"{'In all' if settings.seeds == 1 else 'On average'}: {spent}.",
        *(f"{facts[name]:,} of them {what}." for name, what in _ENDS.items() if facts[name]),
        *(
            f"{check.name}: {check.convention}; {len(check.table):,} architectures."
            for check in result.checks
        ),
    ]
    rank = "Best, rank: of the best answer; the rank is 1 + the number of better architectures, allowed or not."
    return "\n".join([*lines, rank] if result.checks else lines)


def _figures(result: Searches) -> dict[str, tuple[str, Any]]:
    """File name → (caption, figure)."""
    settings, checks = result.settings, result.checks
    lines = {"best of the table": checks[0].table_best} if checks else {}
    is_on_table = settings.estimator == "table"
    title, judge = _title(result), _judge(result)
    curves = plots.search_curves(
        {settings.strategy: result.best},
        lines=lines if is_on_table else {},
        y_label=f"best {judge} so far",
        title=title,
    )
    figures = {
        "cell": ("The best answer.", plots.cell(result.space, result.archs[result.chosen])),
        "curves": (f"Best {judge} so far.", curves),
    }
    if result.against is not None:
        front = plots.pareto_front(
            np.asarray(result.histories.scores).ravel(),
            result.against.ravel() / 1e6,
            score_label=judge,
            cost_label=f"{settings.against} (millions)",
            title=title,
        )
        figures |= {
            "front": (f"All that was evaluated: {judge} against {settings.against}.", front)
        }
    if is_on_table or not checks or not np.isfinite(checks[0].accuracy[:, -1]).any():
        return figures
    name = checks[0].name
    accuracy = plots.search_curves(
        {settings.strategy: checks[0].accuracy},
        lines=lines,
        y_label=f"{name} of the best {judge} so far",
        title=title,
    )
    return figures | {
        "accuracy": (f"The {name} of the architecture with the best {judge} so far.", accuracy)
    }


def _sections(
    result: Searches, facts: Mapping[str, Any], figures: Mapping[str, tuple[str, Any]]
) -> list[report.Section]:
    header, *rows = _results(result)
    listed = f"The first {_NUM_ROWS} searches; " if len(rows) > _NUM_ROWS else ""
    files = (
        f"{listed}results.csv has one line for each search, histories.npz all that they evaluated."
    )
    curves = [figures[name] for name in ("front", "curves", "accuracy") if name in figures]
    given = {name: value for name, value in facts["settings"].items() if value not in (None, False)}
    return [
        report.Section("The answer", _answer(result), figures=[figures["cell"]]),
        report.Section(_title(result), _legend(result), _rows(result), curves),
        report.Section("The searches", files, [header, *rows[:_NUM_ROWS]]),
        runs.about_the_run({**facts, "settings": given}),
    ]
