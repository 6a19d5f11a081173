"""Command `jnas search`: a good network, found among candidates or by a strategy."""

import dataclasses
from typing import Any

from jnas.commands import folder as folders
from jnas.commands.options import ChunkSize, Folder, Running
from jnas.commands.search import evaluation, searches, strategies
from jnas.commands.search.settings import Settings
from jnas.commands.search.summary import FILES, summarise
from jnas.commands.summary import show, write


def command(
    *,
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    options: Any = None,
    folder: Folder = Folder(),  # noqa: B008
    running: Running = Running(),  # noqa: B008
    chunk_size: ChunkSize = None,
) -> None:
    """Find a good network: draw candidates, score them without training them, keep the best
    (NASWOT, algorithm 1).

    That is random search in one batch, of --candidates within the task. With a table to search on,
    or any option of searches: searches by a strategy, all seeds as one program.

    Answers are checked against trained accuracies. The run folder has scores.csv of a batch, or
    results.csv and histories.npz of searches, with result.json, plots and report.html.
    """
    settings = dataclasses.replace(settings, options=strategies.given(options))
    place = folder.named(settings.folder_name)
    # But for scores.npz, which a batch may go on from, and then checks by itself.
    names = [name for name in FILES if name != "scores.npz"]
    folders.check(place, names, settings.table)
    result = searches.run(settings, place, running.resumes, running.progress, chunk_size)
    # A batch has kept its scores already, and they tell all of its history.
    if not result.settings.is_batch:
        evaluation.save(place, result.histories, result.distinct)
    told = summarise(result)
    write(place, told)
    show(told, place)


# The options of the strategies are read from their functions, so that the type is made here.
command.__annotations__["options"] = strategies.parsed_class()
(command.__kwdefaults__ or {})["options"] = strategies.parsed_class()()
