"""Estimators by the names of the command line: tables, zero-shot scores, and files.

Files are saved predictors and supernets, which are told apart by what they hold.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import jax

from jnas import benchmarks, images, networks, predictors, zeroshot
from jnas.benchmarks import Duplicates, Surrogate, Table
from jnas.commands import supernets
from jnas.engine.messages import nearest
from jnas.types import Estimator, Key, Network, Space

SURROGATE = "surrogate"
_FIRST = ("naswot", "table", SURROGATE)  # the usual ones, ahead of the others in the help
NAMES = (*_FIRST, *(name for name in zeroshot.NAMES if name not in _FIRST))


@dataclasses.dataclass(frozen=True)
class Materials:
    """Materials that estimators are made from; each takes what it needs.

    Attributes:
        images: what networks see: a name, or a file; None for the usual ones.
        num_images: how many of them.
        table: file of trained accuracies; None for the one that ships with jnas or that `JNAS_DATA`
            has.
        column: its column; None for the space's usual accuracy, or else the table's first column.
        minimize: whether the column is better when smaller; None leaves it to the table.
        duplicates: what becomes of repeated rows of the file.
    """

    images: str | None = None
    num_images: int = 128
    table: str | None = None
    column: str | None = None
    minimize: bool | None = None
    duplicates: Duplicates = "refuse"

    @classmethod
    def of(cls, settings: object) -> "Materials":
        """Materials that the settings of a command name; the default of what these lack."""
        names = [field.name for field in dataclasses.fields(cls)]
        given = {name: getattr(settings, name, None) for name in names}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def read(self, space: Space, *others: str | None) -> tuple[Table, str]:
        """Table of a space, and the name of the column.

        Args:
            space: whose architectures are looked up.
            others: further columns, which `minimize` is about, too; None stands for none.

        Raises:
            ValueError: the file is no table of that space, or has no such column.
            FileNotFoundError: the file is absent, or no table of the space is at hand.
        """
        table = benchmarks.of_space(space, self.table, duplicates=self.duplicates)
        column = self.column or benchmarks.usual_column(table)
        # The others as well: two accuracies of one search are of one kind, and an error that was
        # taken for an accuracy would be checked by the worst of the table.
        if self.minimize is not None:
            for name in filter(None, (column, *others)):
                table = table.directed(name, minimize=self.minimize)
        return table, column


def is_saved(name: str) -> bool:
    """Whether `name` is a file of a predictor or of a supernet, not a name."""
    # By its ending and not by whether it exists: a file that was misspelt is then missing, and not
    # an estimator of an unknown name.
    return name.endswith(".npz")


def sees_images(name: str) -> bool:
    """Whether the estimator of that name scores untrained networks, which see images."""
    return name in zeroshot.NAMES


def usual_images(names: Iterable[str]) -> str:
    """Images that estimators of those names see by default: a supernet those of its training."""
    # A supernet comes first: it can judge on its own images only, and untrained networks on any.
    files = [name for name in names if supernets.is_saved(name)]
    return supernets.usual_images(files[0]) if files else "digits"


def label(name: str) -> str:
    """Label of an estimator in tables and plots."""
    return Path(name).stem if is_saved(name) else name


def caveat(name: str) -> str:
    """What to know of the scores of an estimator, for reports; mostly nothing."""
    return f"surrogate: {Surrogate.about}" if name == SURROGATE else ""


def score_label(name: str, column: str | None) -> str:
    """Label of the scores of an estimator, which on a table are the values of a column."""
    return column or "" if name == "table" else f"{label(name)} score"


def place_label(name: str) -> str:
    """Label of an estimator in names of files and folders, which tells saved ones apart."""
    path = Path(name)
    # Commands call all of them alike, and name their folders after the settings.
    if path.name in ("predictor.npz", "supernet.npz") and path.parent.name:
        return path.parent.name
    return label(name)


def estimator(name: str, space: Space, materials: Materials, key: Key) -> Estimator:
    """Estimator of a space: a file, a column of its table, or a zero-shot score.

    Args:
        name: one of `NAMES`, or an `.npz` file that `predictors.save` or `oneshot.save` wrote.
        space: whose architectures are judged, by scores of its untrained reference network.
        materials: what it is made from.
        key: draws the images.

    Raises:
        ValueError: an unknown name, a space without a network, images without labels for a score
            that needs them, other images than those of a supernet, or a file that does not hold
            what it should.
        OSError: a file cannot be read, or there is no table.
    """
    # Before predictors, which end in `.npz` as well; what it holds tells them apart.
    if supernets.is_saved(name):
        return supernets.saved_estimator(name, space, materials.images)
    if is_saved(name):
        return predictors.estimator(*predictors.load(name, space))
    if name == "table":
        table, column = materials.read(space)
        return table.estimator(column)
    if name == SURROGATE:
        if space.name != "nasbench301":
            raise ValueError(f"there is no surrogate of {space.name}; there is one of nasbench301")
        return benchmarks.nasbench301_surrogate().estimator()
    # A message of its own, for the name is one that another command takes.
    if name == "oneshot":
        raise ValueError(
            "a supernet is trained by jnas search --estimator oneshot; here its supernet.npz judges"
        )
    if name not in NAMES:
        raise ValueError(f"unknown estimator {name!r}. {nearest(name, NAMES)}")
    source, num = materials.images or usual_images([name]), materials.num_images
    batch: tuple[jax.Array, ...]
    # Without need for labels any images do, those of sources that have none included.
    if zeroshot.needs_labels(name):
        batch = images.load_labelled(source, num=num, key=key)
    else:
        batch = (images.load(source, num=num, key=key),)
    return zeroshot.by_name(name, _network(space, source, batch[0]), *batch)


def _network(space: Space, source: str, batch: jax.Array) -> Network:
    """Reference network of a space, with the channels and classes of the images of a source."""
    num_classes = images.num_classes(source)
    # As many logits as there are classes: scores that read labels need them, and the gradients of
    # others depend on their number.
    sizes = {} if num_classes is None else {"num_classes": num_classes}
    return networks.by_name(space.name, in_channels=batch.shape[-1], **sizes)
