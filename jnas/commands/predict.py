"""Command `jnas predict`: classes of image files, named by a network of `jnas train`."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import numpy as np
from cyclopts import Parameter

from jnas import training
from jnas.commands.folder import ROWS, write_csv
from jnas.commands.options import RUN, TASK, default
from jnas.commands.summary import Part, print_part
from jnas.data import files as image_files
from jnas.engine import files
from jnas.engine.messages import setting
from jnas.training import Trained

_NUM_ROWS, _NUM_NAMES = 40, 5  # that the terminal shows


@Parameter(name="*", group=TASK)
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `jnas predict`."""

    top: int = 2
    """Name this many of the most probable classes."""
    out: Annotated[Path | None, Parameter(group=RUN, show_default=default("none"))] = None
    """CSV file with a line for each image: its class, and the probability of every class."""

    def __post_init__(self) -> None:
        """Check the numbers; ValueError names the one that is wrong."""
        if self.top < 1:
            raise ValueError(f"{setting('top')} must be at least 1; got {self.top}")
        if self.out is not None and self.out.suffix.lower() != ".csv":
            raise ValueError(f"{setting('out')} is a .csv file; got {self.out}")


class Predictions(NamedTuple):
    """Predictions of a network.

    Attributes:
        files: `N` image files.
        probabilities: `[N, K]` float32.
        classes: `K` names.
        unreadable: names of files that have none, each with the reason.
    """

    files: list[Path]
    probabilities: np.ndarray
    classes: tuple[str, ...]
    unreadable: list[str]


def load(run: Path) -> tuple[Trained, bool]:
    """Network of a run folder, or of a file that `training.save` wrote, and whether it stretches.

    Raises:
        ValueError: the run is not finished, or its training has diverged.
        FileNotFoundError: there is no such folder or file.
    """
    place = run / "trained.npz" if run.is_dir() else run
    if not place.exists():
        what = "has no trained.npz: jnas train has not finished there"
        raise FileNotFoundError(f"{run} {what if run.is_dir() else 'does not exist'}")
    trained = training.load(place).select(0)
    # Its answers would be one class for all images, and look like those of a network.
    if epoch := int(trained.failed_at[0]):
        raise ValueError(f"the training in {run} diverged in epoch {epoch}; its answers are none")
    try:
        facts = json.loads((place.parent / "result.json").read_text())
        return trained, bool(facts["settings"]["stretch"])
    # Without the facts of a command, images are resized as `data.load` does by default.
    except (OSError, ValueError, TypeError, KeyError):
        return trained, False


def predict(trained: Trained, paths: Sequence[Path], *, stretch: bool) -> Predictions:
    """Predictions for image files, and for all image files below folders.

    Args:
        trained: one network.
        paths: files and folders.
        stretch: how images that are not square were resized for the training.

    Raises:
        ValueError: the network does not read square images, a folder holds no image.
        FileNotFoundError: a path does not exist.
    """
    height, width, channels = trained.dataset.train.x.shape[1:]
    if height != width:
        raise ValueError(
            f"the network reads images of {height} x {width}, and files are resized to squares "
            "only; use Trained.predict with arrays"
        )
    found = image_files.listed(paths)
    x, reasons = image_files.read(found, height, channels, stretch=stretch)
    # One that cannot be read must not shift the names of the others.
    is_read = [not reason for reason in reasons]
    # Files have 255 for white, and the data set may have another number.
    logits = trained.predict(x[is_read].astype(np.float32) * (trained.dataset.scale / 255))[0]
    return Predictions(
        [path for path, good in zip(found, is_read, strict=True) if good],
        np.asarray(jax.nn.softmax(logits)),
        trained.dataset.classes,
        [f"{path} ({why})" for path, why in zip(found, reasons, strict=True) if why],
    )


def rows(predictions: Predictions, top: int) -> list[list[str]]:
    """Table of the most probable classes of each image; a header first."""
    # More than there are is no mistake: a script may ask for five of any network.
    top = min(top, len(predictions.classes))
    order = np.argsort(-predictions.probabilities, axis=1, kind="stable")[:, :top]
    header = ["class", "probability"]
    header += [text for place in range(2, top + 1) for text in (f"or {place}", "probability")]
    # Names of files come last, for they are long, and may take several lines.
    table = [[*header, "image"]]
    for path, best, values in zip(predictions.files, order, predictions.probabilities, strict=True):
        named = [(predictions.classes[k], f"{100 * values[k]:.1f} %") for k in best]
        table.append([*(text for pair in named for text in pair), str(path)])
    return table


def save(path: Path, predictions: Predictions) -> None:
    """CSV file: image, class, its probability, and the probability of every class."""
    best = predictions.probabilities.argmax(axis=1)
    header = ["image", "class", "probability", *(f"p({name})" for name in predictions.classes)]
    lines = [
        [file, predictions.classes[k], values[k], *values]
        for file, k, values in zip(predictions.files, best, predictions.probabilities, strict=True)
    ]
    write_csv(path, header, lines)


def command(
    run: Annotated[Path, Parameter(help="Run folder of jnas train.")],
    /,
    *images: Annotated[Path, Parameter(help="Image files, and folders of such.")],
    settings: Settings = Settings(),
) -> None:
    """Name the classes of images, with probabilities, by a network that jnas train has trained.

    Images are resized as those of the training were.
    """
    if not images:
        raise ValueError("give image files, or folders of such, after the run folder")
    if settings.out is not None:
        files.check(settings.out, ROWS, "out")
    trained, stretch = load(run)
    found = predict(trained, images, stretch=stretch)
    if settings.out is not None:
        save(settings.out, found)
    header, *lines = rows(found, settings.top)
    more = len(lines) - _NUM_ROWS
    text = f"and {more:,} more; --out writes all of them" if more > 0 else ""
    if lines:
        print_part(Part("Classes", text, [header, *lines[:_NUM_ROWS]]))
    if settings.out is not None:
        print(f"{len(lines):,} predictions in {settings.out}")
    # Last, for the others are to be had whatever becomes of one.
    if found.unreadable:
        names = ", ".join(found.unreadable[:_NUM_NAMES])
        more = len(found.unreadable) - _NUM_NAMES
        raise ValueError(
            f"{len(found.unreadable):,} of {len(found.unreadable) + len(lines):,} files cannot be "
            f"read: {names}" + (f", and {more:,} more" if more > 0 else "")
        )
