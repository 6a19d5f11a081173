"""Command `jnas score`: scores of all, N random, or listed architectures, in a CSV file."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
from cyclopts import Parameter

from jnas import population, spaces
from jnas.commands import estimators
from jnas.commands.estimators import Materials
from jnas.commands.folder import ROWS, write_csv
from jnas.commands.options import (
    FLAG,
    RUN,
    TASK,
    ChunkSize,
    Column,
    EstimatorName,
    Images,
    JudgedSpaceName,
    NumImages,
    Running,
    Seed,
    TableFile,
    at_least,
    check_seed,
    default,
    joined,
)
from jnas.engine import files
from jnas.engine.fingerprints import Resume
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
    images: Images = "digits"
    num_images: NumImages = 128
    table: TableFile = None
    column: Column = None
    seed: Seed = 0
    out: Annotated[
        Path | None,
        Parameter(group=RUN, show_default=default("scores-….csv, named after the settings")),
    ] = None
    """CSV file; progress is kept beside it, as .npz."""

    def __post_init__(self) -> None:
        """Check the numbers and the file; ValueError names what is wrong."""
        at_least({"num": 1, "num_images": 2}, self)
        check_seed(self.seed)
        if self.out is not None and self.out.suffix == ".npz":
            raise ValueError(
                f"--out is the CSV file (progress is kept beside it, as .npz); got {self.out}"
            )

    def file_name(self, texts: tuple[str, ...]) -> str:
        """Name of a CSV file, which says what is scored, by what and on what."""
        by_table = self.estimator == "table"
        sees_images = estimators.sees_images(self.estimator)
        listed = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8] if texts else ""
        parts = [
            self.space,
            estimators.place_label(self.estimator),
            Path(self.table).stem if self.table and by_table else "",
            self.column if by_table else "",
            f"{Path(self.images).stem}{self.num_images}" if sees_images else "",
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
    materials = Materials(settings.images, settings.num_images, settings.table, settings.column)
    estimator = estimators.estimator(settings.estimator, space, materials, image_key)
    files.check(out, ROWS, "out")
    # Beside the CSV file, which is why that must not end in .npz.
    kept = out.with_suffix(".npz")
    scores = population.score(estimator, archs, score_key, chunk_size, kept, resume, progress)
    values, named = np.asarray(scores), [space.to_string(arch) for arch in archs]
    header = "architecture", estimators.label(settings.estimator)
    write_csv(out, header, zip(named, values, strict=True))
    # NaN, a score that cannot be ranked, would be the largest to `argmax`.
    best = int(np.argmax(np.where(np.isnan(values), -np.inf, values)))
    return f"{len(values)} scores in {out}. Best: {named[best]} ({values[best]:.6g})"


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
    if sum(ways.values()) != 1:
        given = ", ".join(way for way, used in ways.items() if used) or "none"
        raise ValueError(f"say what to score in exactly one way: {', '.join(ways)}; given: {given}")
    if settings.all_:
        return space.enumerate()
    if settings.num is not None:
        return np.asarray(jax.vmap(space.sample)(jax.random.split(key, settings.num)))
    if settings.file is not None:
        files.reading(settings.file, "the list of architectures")
    lines = settings.file.read_text().split("\n") if settings.file is not None else texts
    listed = [line.strip() for line in lines if line.strip()]
    if not listed:
        raise ValueError(f"{settings.file} holds no architecture")
    return np.stack([np.asarray(space.from_string(text)) for text in listed])


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
