"""Command `jnas train`: from images to a good trained network that can be shipped."""

import dataclasses
from typing import Any

from jnas import search
from jnas.commands import folder as folders
from jnas.commands.options import Folder, Running
from jnas.commands.search import strategies
from jnas.commands.summary import show, write
from jnas.commands.train import runs
from jnas.commands.train.settings import Settings
from jnas.commands.train.summary import FILES, summarise


def command(
    *,
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    options: Any = None,
    folder: Folder = Folder(),  # noqa: B008
    running: Running = Running(),  # noqa: B008
) -> None:
    """Train a good network on images: choose its architecture, train it, test it, export it.

    Without --arch, --from or --strategy: random candidates within the limits are scored untrained,
    the best are trained shortly, the best of these longer, and the best one in full.

    The run folder has report.html with learning curves, what the network confuses and what was
    tried, result.json, trained.npz for jnas predict, and network/ with files for use without jnas.
    """
    settings = dataclasses.replace(settings, options=strategies.given(options))
    place = folder.named(settings.folder_name)
    # But for trained.npz, which a run may go on from, and then checks by itself.
    folders.check(place, FILES, None)
    result = runs.run(settings, place, running.resumes, running.progress)
    told = summarise(result)
    write(place, told)
    show(told, place)


# The options of the strategies are read from their functions, so that the type is made here. Epochs
# and the size of a batch are those of the training; one architecture is trained at a time.
_PARSED = strategies.parsed_class(("batch_size", "min_epochs", "max_epochs"), search.NAMES)
command.__annotations__["options"] = _PARSED
(command.__kwdefaults__ or {})["options"] = _PARSED()
