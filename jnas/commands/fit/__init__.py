"""`jnas fit`: trains predictors on a table, and tests how well they rank."""

from jnas import predictors
from jnas.commands import folder as folders
from jnas.commands.fit import fits
from jnas.commands.fit.settings import Settings
from jnas.commands.fit.summary import FILES, summarise
from jnas.commands.options import Folder, Running
from jnas.commands.summary import show, write


def command(
    *,
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    folder: Folder = Folder(),  # noqa: B008
    running: Running = Running(),  # noqa: B008
) -> None:
    """Train a predictor on a table of trained accuracies, and test how well it ranks what it
    has not seen.

    The run folder holds metrics.csv, result.json, plots, report.html and predictor.npz, which
    jnas score --estimator and jnas search --estimator take. What the same command given again
    takes over is in its folder checkpoint.
    """
    place = folder.named(settings.folder_name)
    folders.check(place, FILES, settings.table)
    result = fits.run(settings, place, running.resumes, running.progress)
    # The first seed is that of the plots: a choice by its test accuracy would flatter it.
    first = predictors.state(result.fitted.states, 0)
    predictors.save(place / "predictor.npz", result.predictor, first)
    told = summarise(result)
    write(place, told)
    show(told, place)
