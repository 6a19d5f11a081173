"""Summary of a fit: how well predictors rank, in numbers, tables and plots."""

from typing import Any

import numpy as np

from jnas import plots
from jnas.commands.fit.fits import Fit
from jnas.commands.summary import Part, Summary, facts_of, moments
from jnas.commands.truth import stated
from jnas.predictors.recipes import as_plain

_NAMES = {
    "kendall_tau": "Kendall τ-b",
    "n_at_5": "N@5",
    "n_at_10": "N@10",
    "best_of_top_10": "best of the top 10",
}

# All that a fit writes beside its report.
FILES = ("metrics.csv", "ranks.png", "curves.png", "predictor.npz")


def summarise(result: Fit) -> Summary:
    """Summary of a fit."""
    figures = _figures(result)
    curves = ["curves"] if "curves" in figures else []
    saved = "predictor.npz holds the predictor of seed 0."
    parts = [
        Part(_title(result), _legend(result), _rows(result), ["ranks"], is_printed=True),
        Part("Training", saved, figures=curves),
    ]
    return Summary(
        command="jnas fit",
        parts=parts,
        facts=_facts(result),
        tables={"metrics.csv": _metrics(result)},
        figures=figures,
        # All other files of a fit are written by every fit.
        stale=("curves.png",),
        files={"Predictor of seed 0": "predictor.npz"},
    )


def _metrics(result: Fit) -> list[list[Any]]:
    """Rows of `metrics.csv`: a header, and one for each seed."""
    rows = zip(range(len(result.scores)), *result.metrics.values(), strict=True)
    return [["seed", *result.metrics], *map(list, rows)]


def _facts(result: Fit) -> dict[str, Any]:
    """Facts that a reader needs to trust and repeat the run; what is not known is None."""
    return {
        "metrics": {name: moments(values) for name, values in result.metrics.items()},
        "best_of_test_set": _best(result),
        "minimize": result.minimize,
        "tau_epochs": list(result.tau_epochs),
        "convention": result.convention,
        "predictor": as_plain(dict(result.predictor.settings)),
        **facts_of(result),
    }


def _rows(result: Fit) -> list[tuple[str, ...]]:
    """Table for people: a line for each seed, and one for all."""
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


def _best(result: Fit) -> float:
    """Best accuracy of the test set, in the unit of the column."""
    # Targets are larger for better throughout; people read the column as it is.
    return float((-1 if result.minimize else 1) * result.targets.max())


def _legend(result: Fit) -> str:
    """Legend of the table: what its numbers are."""
    last, settings = result.tau_epochs, result.settings
    when = f" (mean after epochs {last[0]} to {last[-1]})" if len(last) > 1 else ""
    order = "drawn at random" if settings.random_split else "the first and the last of the table"
    return (
        f"{settings.num_train:,} training and {settings.num_test:,} test architectures, {order}.\n"
        f"Accuracy: {settings.column}, {stated(result.convention, result.minimize)}.\n"
        f"Kendall τ-b: agreement of predicted and true ranking of the test set{when}, 1 is best.\n"
        "N@K: true rank, from 1, of the best among the K architectures predicted best.\n"
        "Best of the top 10: its accuracy for K = 10; the best of the test set has "
        f"{_best(result):.5g}."
    )


def _title(result: Fit) -> str:
    """Heading of the table and titles of the plots: what was trained on how much."""
    settings = result.settings
    ensemble = f", {settings.members} members" if settings.members > 1 else ""
    return (
        f"{settings.predictor}{ensemble}: {settings.num_train:,} training architectures of "
        f"{settings.space}"
    )


def _figures(result: Fit) -> dict[str, tuple[str, Any]]:
    """Figures by the name of their file, with captions."""
    ranks = plots.predicted_ranks(
        result.scores[0], result.targets, title=f"{_title(result)}, seed 0"
    )
    figures = {
        "ranks": ("Ranks of test architectures (1 is best), from seed 0 as it is saved.", ranks)
    }
    losses = result.fitted.losses
    # Predictors that are not trained in epochs, such as a random forest, have no curve.
    if not losses.size:
        return figures
    # An ensemble is measured once, after its training, which epoch 0 stands for.
    if result.fitted.epochs == (0,):
        caption, taus = "Training loss, mean of the members.", None
    else:
        # NaN between the epochs that were measured, where the curve has no points.
        caption, taus = (
            "Training loss, and Kendall τ-b on the test set.",
            np.full(losses.shape, np.nan),
        )
        taus[:, np.asarray(result.fitted.epochs) - 1] = result.fitted.metrics["kendall_tau"]
    return figures | {
        "curves": (caption, plots.training_curves(losses, taus, title=_title(result)))
    }
