"""What a fit leaves behind: a folder of files with a report, and a few lines on the screen."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnas import plots, predictors, report
from jnas.commands import runs
from jnas.commands.fits import Fit
from jnas.engine.environment import environment
from jnas.predictors.recipes import as_plain

_NAMES = {
    "kendall_tau": "Kendall τ-b",
    "n_at_5": "N@5",
    "n_at_10": "N@10",
    "best_of_top_10": "best of the top 10",
}


def write(folder: Path, result: Fit) -> None:
    """Write `metrics.csv`, `result.json`, the plots, `predictor.npz` (of seed 0) and `report.html` into `folder`."""
    header = ("seed", *result.metrics)
    seeds = range(len(result.scores))
    runs.write_csv(
        folder / "metrics.csv", header, zip(seeds, *result.metrics.values(), strict=True)
    )
    runs.write_json(folder / "result.json", _facts(result))
    predictors.save(
        folder / "predictor.npz", result.predictor, predictors.state(result.fitted.states, 0)
    )
    figures = _figures(result)
    for name in ("curves", "ranks"):
        path = folder / f"{name}.png"
        if name in figures:
            plots.save(figures[name][1], path)
        else:
            path.unlink(missing_ok=True)
    report.write(folder / "report.html", "jnas fit", _sections(result, figures))


def _facts(result: Fit) -> dict[str, Any]:
    """Everything a reader needs to trust and repeat the run; what is not known is None."""
    return {
        "metrics": {name: runs.moments(values) for name, values in result.metrics.items()},
        "best_of_test_set": float(result.targets.max()),
        "tau_epochs": list(result.tau_epochs),
        "convention": result.convention,
        "settings": dataclasses.asdict(result.settings),
        "predictor": as_plain(dict(result.predictor.settings)),
        "seconds": result.seconds,
        "resumed": result.resumed,
        "environment": environment(),
    }


def _rows(result: Fit) -> list[tuple[str, ...]]:
    """A table for people: a line for each seed, and one for all."""
    formats = {"kendall_tau": ".4f", "n_at_5": ",.0f", "n_at_10": ",.0f", "best_of_top_10": ".5g"}
    rows: list[tuple[str, ...]] = [("seed", *_NAMES.values())]
    rows += [
        (f"{seed}", *(f"{result.metrics[name][seed]:{form}}" for name, form in formats.items()))
        for seed in range(len(result.scores))
    ]
    if len(result.scores) > 1:
        shown = zip(
            formats, (".4f", ",.1f", ",.1f", ".5g"), (".4f", ",.1f", ",.1f", ".2g"), strict=True
        )
        spreads = [(result.metrics[name], mean, std) for name, mean, std in shown]
        rows.append(
            (
                "mean ± std",
                *(f"{x.mean():{mean}} ± {x.std(ddof=1):{std}}" for x, mean, std in spreads),
            )
        )
    return rows


def _legend(result: Fit) -> str:
    """What the numbers of the table are."""
    last, settings = result.tau_epochs, result.settings
    when = f" (mean after epochs {last[0]} to {last[-1]})" if len(last) > 1 else ""
    order = "drawn at random" if settings.random_split else "the first and the last of the table"
    return (
        f"{settings.num_train:,} training and {settings.num_test:,} test architectures, {order}.\n"
        f"Accuracy: {settings.column}, {result.convention}.\n"
        f"Kendall τ-b: agreement of predicted and true ranking of the test set{when}, 1 is best.\n"
        "N@K: true rank, from 1, of the best among the K architectures predicted best.\n"
        f"Best of the top 10: its accuracy for K = 10; the best of the test set has {result.targets.max():.5g}."
    )


def _title(result: Fit) -> str:
    settings = result.settings
    ensemble = f", {settings.members} members" if settings.members > 1 else ""
    return f"{settings.predictor}{ensemble}: {settings.num_train:,} training architectures of {settings.space}"


def _figures(result: Fit) -> dict[str, tuple[str, Any]]:
    """File name → (caption, figure)."""
    ranks = plots.predicted_ranks(
        result.scores[0], result.targets, title=f"{_title(result)}, seed 0"
    )
    figures = {
        "ranks": ("Ranks of test architectures (1 is best), from seed 0 as it is saved.", ranks)
    }
    losses = result.fitted.losses
    if not losses.size:
        return figures
    if result.fitted.epochs == (0,):
        caption, taus = "Training loss, mean of the members.", None
    else:
        caption, taus = (
            "Training loss, and Kendall τ-b on the test set.",
            np.full(losses.shape, np.nan),
        )
        taus[:, np.asarray(result.fitted.epochs) - 1] = result.fitted.metrics["kendall_tau"]
    return figures | {
        "curves": (caption, plots.training_curves(losses, taus, title=_title(result)))
    }


def _sections(result: Fit, figures: Mapping[str, tuple[str, Any]]) -> list[report.Section]:
    curves = [figures["curves"]] if "curves" in figures else []
    saved = "predictor.npz holds the predictor of seed 0."
    return [
        report.Section(_title(result), _legend(result), _rows(result), [figures["ranks"]]),
        report.Section("Training", saved, figures=curves),
        runs.about_the_run(_facts(result)),
    ]


def show(result: Fit, folder: Path) -> None:
    """Print how well the predictors rank and where the files are."""
    from rich.console import Console

    console = Console()
    console.print()
    runs.print_table(_title(result), _rows(result))
    console.print(_legend(result), style="dim", highlight=False, markup=False, soft_wrap=True)
    lines = f"\nPredictor of seed 0: {folder / 'predictor.npz'}\nReport, plots and files: {folder / 'report.html'}"
    console.print(lines, highlight=False, markup=False, soft_wrap=True)
