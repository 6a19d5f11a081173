"""Command `jnas score`: scores of all, N random, or listed architectures, in a CSV file."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
from cyclopts import Parameter

from jnas import population, spaces
from jnas.commands import estimators, supernets
from jnas.commands.estimators import Materials
from jnas.commands.folder import ROWS, write_csv
from jnas.commands.options import (
    FLAG,
    RUN,
    TASK,
    ChunkSize,
    Column,
    DuplicateRows,
    EstimatorName,
    Images,
    JudgedSpaceName,
    Minimize,
    NumImages,
    Running,
    Seed,
    TableFile,
    at_least,
    check_seed,
    default,
    joined,
    table_labels,
)
from jnas.engine import files
from jnas.engine.fingerprints import Resume
from jnas.engine.readers import read_text
from jnas.types import Space


@Parameter(name="*", group=TASK)
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `jnas score`: what is scored, and by what."""

    num: int | None = None
    """Score this many random architectures."""
    all_: Annotated[bool, Parameter(name="--all"), FLAG] = False
    """Score every architecture of the space."""
    file: Path | None = None
    """Score those of a text file, one architecture a line."""
    space: JudgedSpaceName = "nasbench201"
    estimator: EstimatorName = "naswot"
    images: Images = None
    num_images: NumImages = 128
    table: TableFile = None
    column: Column = None
    minimize: Minimize = None
    duplicates: DuplicateRows = "refuse"
    seed: Seed = 0
    best: Annotated[int, Parameter(group=RUN)] = 1
    """Name this many of the best, highest score first."""
    out: Annotated[
        Path | None,
        Parameter(group=RUN, show_default=default("scores-….csv, named after the settings")),
    ] = None
    """CSV file; progress is kept beside it, as .npz."""

    def __post_init__(self) -> None:
        """Check the numbers and the file; ValueError names what is wrong."""
        # Two images at least: NASWOT and its like compare the images of a batch.
        at_least({"num": 1, "num_images": 2, "best": 1}, self)
        check_seed(self.seed)
        if self.out is not None and self.out.suffix == ".npz":
            raise ValueError(
                f"--out is the CSV file (progress is kept beside it, as .npz); got {self.out}"
            )

    def file_name(self, texts: tuple[str, ...]) -> str:
        """Name of a CSV file, which says what is scored, by what and on what."""
        by_table = self.estimator == "table"
        sees_images = estimators.sees_images(self.estimator)
        # Lists may be long, and two of them of one length are two jobs.
        listed = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8] if texts else ""
        parts = [
            self.space,
            estimators.place_label(self.estimator),
            Path(self.table).stem if self.table and by_table else "",
            self.column if by_table else "",
            *(table_labels(self.minimize, self.duplicates) if by_table else []),
            f"{Path(self.images or 'digits').stem}{self.num_images}" if sees_images else "",
            Path(self.images).stem if self.images and supernets.is_saved(self.estimator) else "",
            "all" if self.all_ else "",
            f"{self.num}" if self.num is not None else "",
            self.file.stem if self.file is not None else "",
            f"{len(texts)}listed-{listed}" if texts else "",
            f"seed{self.seed}",
        ]
        return joined("scores", *parts) + ".csv"


def run(
    texts: tuple[str, ...],
    settings: Settings,
    resume: Resume = True,
    progress: bool = False,
    chunk_size: int | None = None,
) -> str:
    """Message about the scores that were written to the CSV file, in a line.

    Args:
        texts: architectures as strings; none if the settings say what to score.
        settings: what to do.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar on standard error.
        chunk_size: architectures that are scored at a time.

    Raises:
        ValueError: an unknown name, no or several ways to say what to score, or a progress file of
            another job.
        OSError: a file cannot be read or written.
    """
    out = settings.out or Path(settings.file_name(texts))
    space = spaces.by_name(settings.space)
    # One key a purpose, so that the images are the same whatever is scored on them.
    draw_key, image_key, score_key = jax.random.split(jax.random.key(settings.seed), 3)
    archs = _population(space, texts, settings, draw_key)
    materials = Materials.of(settings)
    # Read once: it judges, and its numbers are what is written.
    table = materials.read(space) if settings.estimator == "table" else None
    estimator = (
        table[0].estimator(table[1])
        if table is not None
        else estimators.estimator(settings.estimator, space, materials, image_key)
    )
    files.check(out, ROWS, "out")
    # Beside the CSV file, which is why that must not end in .npz.
    kept = out.with_suffix(".npz")
    scores = population.score(estimator, archs, score_key, chunk_size, kept, resume, progress)
    values, named = np.asarray(scores), [space.to_string(arch) for arch in archs]
    told = f"{len(values):,} scores in {out}"
    if table is not None:
        # As they are in the table, where programs have them in float32, and larger for better.
        values = table[0].look_up(table[1], archs)
        if num := int(np.isnan(values).sum()):
            told += f"; {table[0].source} has no {table[1]} of {num:,} of them"
    header = "architecture", estimators.label(settings.estimator)
    write_csv(out, header, zip(named, values, strict=True))
    # By the scores, of which larger is always better, in the values of the table.
    places = _order(np.asarray(scores))[: settings.best]
    if not len(places):
        raise ValueError(f"none of the architectures can be ranked: {told}")
    best = [f"{named[place]} ({values[place]:.6g})" for place in places]
    return (
        f"{told}. Best: {best[0]}" if settings.best == 1 else "\n  ".join([f"{told}. Best:", *best])
    )


def _order(scores: np.ndarray) -> np.ndarray:
    """Places of what can be ranked, best first, of equal ones the first."""
    places = np.flatnonzero(np.isfinite(scores))
    return places[np.argsort(-scores[places], kind="stable")]


def _population(
    space: Space, texts: tuple[str, ...], settings: Settings, key: jax.Array
) -> np.ndarray:
    """Architectures `[B, D]` from the way that was chosen; ValueError if it is none or several."""
    ways = {
        "architectures": bool(texts),
        "--num": settings.num is not None,
        "--all": settings.all_,
        "--file": settings.file is not None,
    }
    # None of them is preferred: a flag that was left over would otherwise be ignored in silence.
    if sum(ways.values()) != 1:
        given = ", ".join(way for way, used in ways.items() if used) or "none"
        raise ValueError(f"say what to score in exactly one way: {', '.join(ways)}; given: {given}")
    if settings.all_:
        return space.enumerate()
    if settings.num is not None:
        return np.asarray(jax.jit(jax.vmap(space.sample))(jax.random.split(key, settings.num)))
    if settings.file is None:
        return np.stack([np.asarray(space.from_string(text)) for text in texts])
    return _listed(space, settings.file)


def _listed(space: Space, file: Path) -> np.ndarray:
    """Architectures `[B, D]` of a text file; ValueError names the line of a wrong one."""
    files.reading(file, "the list of architectures")
    archs = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        try:
            # Empty lines are passed over: editors and spreadsheets leave them at the end of a file.
            archs += [np.asarray(space.from_string(line.strip()))] if line.strip() else []
        except ValueError as error:
            raise ValueError(f"line {number} of {file.name}: {error}") from error
    if not archs:
        raise ValueError(f"{file} holds no architecture")
    return np.stack(archs)


def command(
    *architectures: Annotated[str, Parameter(help="Architecture strings to score.")],
    settings: Settings = Settings(),
    running: Running = Running(),  # noqa: B008
    chunk_size: ChunkSize = None,
) -> None:
    """Score all, N random, or listed architectures of a space, to a CSV file.

    An interrupted run goes on where it stopped when the same command is given again.
    """
    print(run(architectures, settings, running.resumes, running.progress, chunk_size))
