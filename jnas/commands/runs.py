"""What a search leaves behind: its answer, the check against trained accuracies, and a folder of files."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnas import benchmarks, metrics, plots, report
from jnas.commands import checks
from jnas.engine.environment import environment
from jnas.engine.files import replacing
from jnas.types import Space


class Truth(NamedTuple):
    """How the candidates do in one column of a table of trained accuracies.

    Attributes:
        dataset: name of the data set.
        convention: which accuracy the column holds (split, epochs, mean or single run).
        accuracy: `[B]`, of each candidate.
        table: `[A]`, of every architecture of the table.
        rank: 1 + the number of architectures of the table that are better than the chosen one.
        tau: Kendall tau-b of the candidates' scores with their accuracies.
    """

    dataset: str
    convention: str
    accuracy: np.ndarray
    table: np.ndarray
    rank: int
    tau: float


class Result(NamedTuple):
    """A finished search.

    Attributes:
        space: where it searched.
        archs: `[B, D]` int32, the candidates in the order they were drawn.
        scores: `[B]`, of the estimator.
        best: index of the chosen candidate, the first with the highest score.
        truths: one for each data set whose accuracies are known.
        settings: what the run was asked for.
        seconds: wall time of scoring, compilation included.
    """

    space: Space
    archs: np.ndarray
    scores: np.ndarray
    best: int
    truths: tuple[Truth, ...]
    settings: Mapping[str, Any]
    seconds: float


def summarise(
    space: Space, archs: np.ndarray, scores: np.ndarray, settings: Mapping[str, Any], seconds: float
) -> Result:
    """Choose the best candidate and look the candidates up in the tables that ship with jnas.

    Raises:
        ValueError: no candidate has a finite score.
    """
    comparable = np.where(np.isnan(scores), -np.inf, scores)
    if not np.isfinite(comparable).any():
        raise ValueError(f"none of the {len(scores)} candidates can be ranked; draw more of them")
    best = int(np.argmax(comparable))
    truths = (
        tuple(_truth(name, archs, scores, best) for name in benchmarks.DATASETS)
        if space.name == "nasbench201"
        else ()
    )
    return Result(space, archs, scores, best, truths, settings, seconds)


def _truth(dataset: str, archs: np.ndarray, scores: np.ndarray, best: int) -> Truth:
    check = checks.look_up(
        dataset,
        benchmarks.nasbench201(dataset),
        "val_accuracy",
        archs[:, None],
        np.ones((len(archs), 1), bool),
    )
    accuracy = check.accuracy[:, 0]
    return Truth(
        dataset=dataset,
        convention=check.convention,
        accuracy=accuracy,
        table=check.table,
        rank=int(check.ranks[best]),
        tau=float(metrics.kendall_tau(scores, accuracy)) if len(scores) > 1 else float("nan"),
    )


def write(folder: Path, result: Result) -> None:
    """Write `scores.csv`, `result.json`, the plots and `report.html` into `folder`."""
    columns = [truth.accuracy for truth in result.truths]
    texts = [result.space.to_string(arch) for arch in result.archs]
    header = (
        "architecture",
        "score",
        *(f"val_accuracy_{truth.dataset}" for truth in result.truths),
    )
    write_csv(folder / "scores.csv", header, zip(texts, result.scores, *columns, strict=True))
    write_json(folder / "result.json", _facts(result))
    figures = _figures(result)
    for name, (_, figure) in figures.items():
        plots.save(figure, folder / f"{name}.png")
    report.write(folder / "report.html", "jnas search", _sections(result, list(figures.values())))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, replaced atomically; floats in the shortest form that reads back the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([str(cell) for cell in row] for row in rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a JSON file, replaced atomically."""
    with replacing(path) as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())


def moments(values: np.ndarray) -> dict[str, float | None]:
    """Mean and sample standard deviation over seeds `[S]` of what is known; None where there is none."""
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if len(known) else None
    return {"mean": mean, "std": float(known.std(ddof=1)) if len(known) > 1 else None}


def about_the_run(facts: Mapping[str, Any]) -> report.Section:
    """The last section of a report: the `settings`, `seconds` and `environment` of a run's facts."""
    given = [
        (name, "default" if value is None else str(value))
        for name, value in facts["settings"].items()
    ]
    seconds = "seconds since it was resumed" if facts.get("resumed") else "seconds"
    rows = [
        ("setting", "value"),
        *given,
        (seconds, facts["seconds"]),
        *facts["environment"].items(),
    ]
    return report.Section("The run", "", rows)


def print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first row is its header."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for place, name in enumerate(rows[0]):
        table.add_column(name, no_wrap=place < 2)
    for row in rows[1:]:
        table.add_row(*row)
    Console().print(table)


def _facts(result: Result) -> dict[str, Any]:
    """Everything a reader needs to trust and repeat the run."""
    return {
        "best": {"architecture": _text(result), "score": float(result.scores[result.best])},
        "truth": [
            {
                "dataset": truth.dataset,
                "accuracy": float(truth.accuracy[result.best]),
                "rank": truth.rank,
                "table_rows": len(truth.table),
                "best_of_candidates": float(truth.accuracy.max()),
                "best_of_table": float(truth.table.max()),
                "kendall_tau": truth.tau,
                "convention": truth.convention,
            }
            for truth in result.truths
        ],
        "num_unranked": int(np.sum(~np.isfinite(result.scores))),
        "settings": dict(result.settings),
        "seconds": round(result.seconds, 2),
        "environment": environment(),
    }


def _text(result: Result) -> str:
    return result.space.to_string(result.archs[result.best])


def _truth_title(result: Result) -> str:
    """Heads that table: a trained predictor has seen some of the accuracies, other estimators have not."""
    is_trained = str(result.settings.get("estimator", "")).endswith(".npz")
    seen = (
        "the predictor may have been trained on some of them"
        if is_trained
        else "the search did not see them"
    )
    return f"Trained accuracies in % ({seen})"


def _truth_rows(result: Result) -> list[tuple[str, ...]]:
    """A table for people: one line for each data set."""
    header = ("data set", "accuracy", "rank", "best drawn", "best", "tau")
    return [
        header,
        *(
            (
                truth.dataset,
                f"{truth.accuracy[result.best]:.2f}",
                f"{truth.rank:,} of {len(truth.table):,}",
                f"{truth.accuracy.max():.2f}",
                f"{truth.table.max():.2f}",
                f"{truth.tau:.3f}",
            )
            for truth in result.truths
        ),
    ]


def _figures(result: Result) -> dict[str, tuple[str, Any]]:
    """File name → (caption, figure)."""
    score = f"{Path(result.settings.get('estimator', '')).stem} score".strip()
    figures = {"cell": ("The chosen cell.", plots.cell(result.space, result.archs[result.best]))}
    if not result.truths:
        figures["search"] = (
            "Best score so far.",
            plots.best_so_far(result.scores, score_label=score),
        )
        return figures
    first = result.truths[0]
    figures["search"] = (
        f"Best score so far, and the {first.dataset} accuracy of the candidate that has it.",
        plots.best_so_far(
            result.scores, first.accuracy, score_label=score, accuracy_label=_axis(first)
        ),
    )
    for truth in result.truths:
        scatter = plots.score_against_accuracy(
            result.scores,
            truth.accuracy,
            chosen=result.best,
            score_label=score,
            accuracy_label=_axis(truth),
        )
        figures[f"scores_{truth.dataset}"] = (
            f"Scores and {truth.dataset} accuracy of the candidates.",
            scatter,
        )
    histogram = plots.accuracy_histogram(
        first.table, float(first.accuracy[result.best]), accuracy_label=_axis(first)
    )
    caption = f"All {first.dataset} accuracies of the space, and the chosen one."
    return figures | {f"rank_{first.dataset}": (caption, histogram)}


def _axis(truth: Truth) -> str:
    return f"{truth.dataset} validation accuracy (%)"


def _sections(result: Result, figures: Sequence[tuple[str, Any]]) -> list[report.Section]:
    facts = _facts(result)
    unranked = facts["num_unranked"]
    conventions = "\n".join(f"{truth.dataset}: {truth.convention}" for truth in result.truths)
    answer = (
        f"{_text(result)}\nThe best of {len(result.scores)} candidates, score {facts['best']['score']:.2f}. "
        f"{unranked} of them cannot be ranked (their input and output are not connected)."
    )
    checked = report.Section(_truth_title(result), conventions, _truth_rows(result), figures[1:])
    return [
        report.Section("The answer", answer, (), figures[:1]),
        checked if result.truths else report.Section("The search", figures=figures[1:]),
        about_the_run(facts),
    ]


def show(result: Result, folder: Path) -> None:
    """Print the answer and where the files are."""
    from rich.console import Console

    console = Console()
    console.print(
        f"\nBest of {len(result.scores)} candidates, score {result.scores[result.best]:.2f}:"
    )
    console.print(f"  {_text(result)}\n", highlight=False, markup=False, soft_wrap=True)
    if result.truths:
        print_table(_truth_title(result), _truth_rows(result))
        for truth in result.truths:
            console.print(
                f"  {truth.dataset}: {truth.convention}",
                style="dim",
                highlight=False,
                soft_wrap=True,
            )
    console.print(
        f"\nReport, plots and files: {folder / 'report.html'}", highlight=False, soft_wrap=True
    )
